from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from builder.cli.gate import AllowUnsigned
from builder.cli.options import DEFAULT_RELEASES, Json, Progress, ReleaseFolder
from builder.errors import IntegrityError, TinsmithError, UsageError
from builder.printed import printable

if TYPE_CHECKING:
    from builder.catalogue.models import Model
    from builder.catalogue.offers import Left, Offered
    from builder.registry.gate import Gate
    from builder.registry.receive import Emit


def site(
    refs: Annotated[
        list[str] | None,
        typer.Argument(metavar="REF", help="host/repository or ./folder[:name]: every version there, too."),
    ] = None,
    out: Annotated[
        Path, typer.Option("-o", "--out", help="The folder to write: new, or an older site.", show_default=False)
    ] = ...,  # type: ignore[assignment]
    title: Annotated[str, typer.Option(help="What the catalogue is called.")] = "Models",
    skip_damaged: Annotated[
        bool, typer.Option("--skip-damaged", help="Leave out releases that cannot be read, instead of failing.")
    ] = False,
    allow_unsigned: AllowUnsigned = False,
    releases: ReleaseFolder = DEFAULT_RELEASES,
    progress: Progress = "auto",
    as_json: Json = False,
) -> None:
    """Write a catalogue of releases as static pages: the local ones, and those of every REF.

    What the rules of tinsmith.toml refuse is not listed, and named. A damaged release ends the run, and the folder
    stays as it was. The pages need no server and fetch nothing from elsewhere.

    Example: tinsmith site registry.example.org/models/shapes -o public
    """
    import json

    from builder.catalogue.entry import entries_of
    from builder.catalogue.models import models_of
    from builder.catalogue.pages import site_of
    from builder.catalogue.write import room_for, write_site
    from builder.cli.gate import gate
    from builder.cli.load import reporter

    with reporter(progress) as emit, room_for(out) as scratch, ExitStack() as stack:
        blobs = scratch / "blobs"
        blobs.mkdir()
        empty: list[TinsmithError] = []
        offered = _offered(refs or [], releases, gate(allow_unsigned), emit, stack, empty)
        entries, left = entries_of(offered, blobs)
        for item in left:
            emit("message", {"text": f"not listed: {_told(item)}"})
        if empty:
            raise empty[0]
        _check(left, bool(entries), skip_damaged)
        for entry in entries:
            for note in entry.background.notes:
                emit("message", {"text": f"passed over: {note}"})
        models = models_of(entries)
        made = site_of(models, title)
        write_site(made.pages, made.files, out, scratch)
    if as_json:
        print(json.dumps(_document(out, models, left), indent=2, sort_keys=True))
    else:
        print(out / "index.html")


def _offered(
    refs: list[str], releases: Path, gatekeeper: Gate, emit: Emit, stack: ExitStack, empty: list[TinsmithError]
) -> Iterator[Offered | Left]:
    """The local releases, then those of ``refs``, which are all looked at before anything is fetched.

    ``empty`` gets an error for each place that was named and of which nothing at all is listed.
    """
    from builder.catalogue.offers import check_whole, in_layout, in_registry
    from builder.registry.client import Registry
    from builder.registry.reference import Remote, parse_reference
    from builder.release.layout import Layout
    from builder.settings import cache_folder
    from builder.trust.origin import origin_of
    from builder.trust.policy import Origin

    references = [(text, parse_reference(text)) for text in refs]
    for text, reference in references:
        check_whole(reference.which, reference.tag if isinstance(reference, Remote) else None, text)
    yield from in_layout(Layout(releases), origin_of(releases), gatekeeper)
    for text, reference in references:
        if isinstance(reference, Remote):
            registry = stack.enter_context(Registry(reference.host))
            found = in_registry(registry, reference, gatekeeper, cache_folder() / "downloads", emit)
        else:
            layout = Layout(reference.path)
            found = in_layout(layout, Origin("folder", str(layout.root.absolute())), gatekeeper, reference.name)
        yield from _some_of(found, text, empty)


def _some_of(found: Iterator[Offered | Left], text: str, empty: list[TinsmithError]) -> Iterator[Offered | Left]:
    from builder.catalogue.offers import Left

    refused: TinsmithError = UsageError(f"{text} has no release")
    listed = False
    for number, item in enumerate(found):
        listed = listed or not isinstance(item, Left) or item.damaged
        if isinstance(item, Left) and not number:
            refused = item.error
        yield item
    if not listed:
        empty.append(refused)


def _check(left: list[Left], some: bool, skip_damaged: bool) -> None:
    damaged = [item for item in left if item.damaged]
    if damaged and not skip_damaged:
        more = f", and {len(damaged) - 1} more" if len(damaged) > 1 else ""
        raise IntegrityError(
            f"damaged: {_told(damaged[0])}{more}",
            help="make or pull it again, or leave it out: --skip-damaged; nothing was written",
        )
    refused = len(left) - len(damaged)
    if not some and refused:
        were = "was" if refused == 1 else "were"
        raise UsageError(
            f"there is no release to list: {refused} {were} refused, for the reasons above",
            help="have them signed, or change the [[trust]] rules of tinsmith.toml; --allow-unsigned takes only what "
            "no rule there is about",
        )
    if not some:
        raise UsageError("there is no release to list", help="name a layout or a repository, or build one")


def _told(item: Left) -> str:
    return printable(f"{item.what}: {item.error.message} [{item.error.code}]")


def _document(out: Path, models: list[Model], left: list[Left]) -> dict[str, object]:
    return {
        "site": str(out),
        "listed": [step.entry.release.ref for model in models for step in model.steps],
        "not_listed": [
            {"what": item.what, "why": item.error.message, "code": item.error.code, "damaged": item.damaged}
            for item in left
        ],
    }
