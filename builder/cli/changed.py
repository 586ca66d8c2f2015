from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from builder.cli.options import DEFAULT_STORE, Json, StoreFolder

if TYPE_CHECKING:
    from builder.changes.compare import Change
    from builder.changes.cost import Cached
    from builder.changes.gather import Comparison

Places = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="[MANIFEST_OR_FOLDER...]", help="Manifests, and folders of them (manifests/).", show_default=False
    ),
]
SINCE = "The git revision to compare with; an id of zeros for none."

MOST_NAMED = 3


def changed(
    since: Annotated[str, typer.Option("--since", metavar="REV", help=SINCE)],
    places: Places = None,
    to: Annotated[
        str | None, typer.Option("--to", metavar="REV", help="Another revision, in place of the working tree.")
    ] = None,
    as_json: Json = False,
    store: StoreFolder = DEFAULT_STORE,
) -> None:
    """List the manifests whose plan changed since a git revision: what would run again, and about how long.

    A comment, or keys in another order, change no plan; new code of a step changes all that use it.

    Example: tinsmith changed --since origin/main
    """
    from builder.changes import cost
    from builder.errors import refuse

    found = compare(places, since, to)
    cached = cost.cached_in(store)
    if as_json:
        print(json.dumps(cost.document(found, cached), indent=2, sort_keys=True))
    else:
        print_changes(found, cached)
    refuse(found.invalid)


def compare(places: Sequence[Path] | None, since: str, to: str | None = None) -> Comparison:
    """What changed at ``places``; paths are from the working folder. UsageError as for the parts."""
    from builder.changes import git
    from builder.changes.gather import compared
    from builder.changes.manifests import asked_paths, shown
    from builder.errors import UsageError

    repository = git.find(Path.cwd())
    if repository.top is None and to is None:
        raise UsageError("this repository has no working tree here", help="name the newer revision too: --to main")
    asked = asked_paths(places or [], repository.prefix, repository.top)
    then, now = git.commit(repository, since), git.commit(repository, to) if to is not None else None
    found = compared(repository, asked, then, now)
    changes = (
        replace(
            change,
            path=shown(change.path, repository.prefix),
            origin=shown(change.origin, repository.prefix) if change.origin else None,
        )
        for change in found.changes
    )
    return replace(found, changes=tuple(changes))


def print_changes(found: Comparison, cached: Cached) -> None:
    """A line a manifest, and a sum."""
    from builder.changes import cost
    from builder.printed import line

    if not found.changes:
        print("; ".join(["no plan has changed", *_unchanged(found)]))
        return
    rows = [(line(change.path), change.status, *_said(change, cached)) for change in found.changes]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        print("  ".join([*cells, *row[4:]]).rstrip())
    building = [change for change in found.changes if change.builds]
    left = cost.seconds(cost.to_build(building), cached).to_run
    told = f"{len(building)} to build, {cost.in_words(left)} on two cores" if building else "nothing to build"
    invalid = len(found.invalid)
    wrong = [f"{invalid:,} {'is' if invalid == 1 else 'are'} invalid"] if invalid else []
    print("; ".join([told, *wrong, *_unchanged(found)]))


def _said(change: Change, cached: Cached) -> tuple[str, str, str]:
    """What changed first, how much of it is there already, and how long the rest takes."""
    from builder.changes import cost
    from builder.printed import line

    if change.problems is not None:
        count = len(change.problems.diagnostics)
        return f"{count} error" + ("s" if count != 1 else ""), "", ""
    if not change.builds:
        return (f"from {line(change.origin)}" if change.origin else ""), "", ""
    keys = {step.line.key for plan in change.plans for step in plan.steps}
    names = change.changed_steps()
    if change.selection:
        names = ["select"]
    elif change.before is None and change.status == "changed":
        names = ["was not valid"]
    steps = " ".join(names[:MOST_NAMED]) + (" …" if len(names) > MOST_NAMED else "")
    done = f"{sum(map(cached, keys))} of {len(keys)} cached"
    return steps, done, cost.in_words(cost.seconds(cost.to_build([change]), cached).to_run)


def _unchanged(found: Comparison) -> list[str]:
    """How many manifests are the same, if any."""
    count = found.unchanged
    return [f"{count:,} manifest" + (" is the same" if count == 1 else "s are the same")] if count else []
