from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from builder.errors import UsageError


def init(
    name: Annotated[str, typer.Argument(help="Name of the model.")] = "my-model",
    data: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="A data folder to inspect: format, classes, sizes.")
    ] = None,
) -> None:
    """Write a commented starter manifest, manifests/NAME.yaml, and the schema that editors complete it from.

    Where there is no .gitignore, one is written that names what builds make.

    Example: tinsmith init squirrels --data ../squirrel-photos
    """
    from builder.manifest.load import loads
    from builder.manifest.schema import FILE, schema_text
    from builder.starter import GITIGNORE, starter_text, survey

    path = Path("manifests") / f"{name}.yaml"
    if data is None:
        text = starter_text(name)
    else:
        text = starter_text(name, survey(data), Path(os.path.relpath(data.resolve(), path.parent.resolve())).as_posix())
    loads(text, str(path))
    path.parent.mkdir(exist_ok=True)
    (path.parent / FILE).write_text(schema_text(), encoding="utf-8")
    try:
        with path.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError:
        raise UsageError(f"{path} is there already", help="choose another name, or edit it") from None
    print(path)
    with suppress(FileExistsError), Path(".gitignore").open("x", encoding="utf-8") as stream:
        stream.write(GITIGNORE)
        print(".gitignore")
