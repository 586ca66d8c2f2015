from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from builder.cli.options import DEFAULT_RELEASES, ReleaseFolder, ReleaseRef


def pull(
    release: ReleaseRef,
    folder: Annotated[Path, typer.Argument(help="The folder to write the files to.")],
    releases: ReleaseFolder = DEFAULT_RELEASES,
) -> None:
    """Write the files of a release into a folder, each checked against its digest.

    Example: tinsmith pull shapes@1.0.0 app/models/shapes
    """
    from builder.release.layout import Layout
    from builder.release.make import pull as pull_files

    layout = Layout(releases)
    for path in pull_files(layout, layout.find(release), folder):
        print(path)
