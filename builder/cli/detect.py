from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from builder.cli.options import DEFAULT_RELEASES, EngineName, Progress, ReleaseFolder, ReleaseRef


def detect(
    release: ReleaseRef,
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE...", help="Pictures, JPEG or PNG.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for the pictures with boxes.")] = Path("detections"),
    threshold: Annotated[
        float | None,
        typer.Option(min=0.0, max=1.0, help="Least score that is drawn; by default the one the release advises."),
    ] = None,
    engine: EngineName = "auto",
    releases: ReleaseFolder = DEFAULT_RELEASES,
    progress: Progress = "auto",
) -> None:
    """Run a released model on pictures and draw the boxes.

    Example: tinsmith detect raccoon-025 holiday/*.jpg -o boxes
    """
    from builder.cli.load import reporter
    from builder.detect import detect_in
    from builder.engine.select import choose
    from builder.release.layout import Layout

    layout = Layout(releases)
    found = layout.find(release)
    with reporter(progress) as emit:
        chosen = choose(engine)
        try:
            detections = detect_in(layout, found, images, out, threshold, chosen, emit)
        finally:
            chosen.close()
    for picture in detections:
        boxes = picture["detections"]
        what = ", ".join(f"{box['label']} {box['score']:.2f}" for box in boxes) or "nothing"
        print(f"{out / picture['picture']}: {what}")
