from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from builder.errors import UsageError


def init(name: Annotated[str, typer.Argument(help="Name of the model.")] = "my-model") -> None:
    """Write a commented starter manifest, manifests/NAME.yaml.

    Example: tinsmith init squirrels
    """
    from builder.manifest import init_text, loads

    path = Path("manifests") / f"{name}.yaml"
    text = init_text(name)
    loads(text, str(path))
    path.parent.mkdir(exist_ok=True)
    try:
        with path.open("x") as stream:
            stream.write(text)
    except FileExistsError:
        raise UsageError(f"{path} is there already", help="choose another name, or edit it") from None
    print(path)
