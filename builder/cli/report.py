from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from builder.cli.options import DEFAULT_RELEASES, ReleaseFolder, ReleaseRef
from builder.settings import FILES

Against = Annotated[
    str | None,
    typer.Option(metavar="RELEASE", help="What the report compares with; else the release of this name before it."),
]


def report(
    release: ReleaseRef,
    against: Against = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FOLDER", help="Where to write it; else build/NAME-VERSION."),
    ] = None,
    releases: ReleaseFolder = DEFAULT_RELEASES,
) -> None:
    """Write the report of a release: a page (report.html), the same in short (report.md), a model card (card.md).

    'tinsmith build' writes the same for what it builds; here it is made of any release in the layout, also a pulled
    one. The page needs nothing but a browser, and no network.

    Example: tinsmith report shapes@1.1.0 --against shapes@1.0.0 -o reports
    """
    from builder.release.layout import Layout
    from builder.report.subject import of_release
    from builder.report.write import CARD, PAGE, TWIN, compared, write_report

    layout = Layout(releases)
    found = layout.find(release)
    other = compared(layout, found.name, found.version, against)
    folder = output if output is not None else FILES / f"{found.name}-{found.version}"
    write_report(of_release(layout, found), layout, other, folder, anew=True)
    for name in (PAGE, TWIN, CARD):
        print(folder / name)
