"""The report in short, as Markdown for a pull request: what changed comes first."""

from __future__ import annotations

from collections.abc import Iterator

from builder.report import words
from builder.report.advice import warning
from builder.report.difference import Difference, machine, machines_told
from builder.report.durations import durations, time_told
from builder.report.facts import Facts
from builder.report.html import state
from builder.report.judged import budgets
from builder.report.markdown_text import code, line, prose, table

MOST = 60_000
"""Characters. GitHub takes 65,536 in a comment, and whoever posts it may add a line of theirs."""
MOST_CHANGES = 40
MOST_CLASSES = 30
MOST_MISSES = 20


def markdown(facts: Facts, changed: Difference) -> str:
    """Sections in the order of their weight; the last are left out where they do not fit into a comment."""
    subject = facts.subject
    text = f"## {prose(subject.title)}\n\n{state(facts)[1]}\n\n"
    if said := warning(facts):
        text += f"> **Warning:** {prose(said)}\n\n"
    left_out = "\n*The rest is in the report's page.*\n"
    for section in _sections(facts, changed):
        added = "\n".join(section) + "\n"
        if len(text) + len(added) + len(left_out) > MOST:
            return text + left_out
        text += added
    return text


def _sections(facts: Facts, changed: Difference) -> Iterator[list[str]]:
    yield _figures(facts, changed)
    if changed.machines is not None:
        before, now = (code(one, cell=False) for one in changed.machines)
        yield [machines_told(before, now), ""]
    elif facts.run is not None:
        yield [f"Latency on {code(machine(facts.run), cell=False)}.", ""]
    if changed.notes:
        yield [f"> **Note:** {prose(note)}\n" for note in changed.notes]
    yield from _misses(facts)
    yield from _rejected(facts)
    if changed.before is not None:
        yield _manifest(changed)
        yield from _origins(changed)
    yield from _classes(facts, changed)
    yield from _time(facts)
    yield _origin(facts)


def _figures(facts: Facts, changed: Difference) -> list[str]:
    told = [(row, row.told) for row in changed.figures]
    if changed.before is None:
        rows = [[code(row.what), after] for row, (_, after, _) in told]
        return [*table(["figure", code(changed.headings[1])], rows, [1]), "No release to compare with.", ""]
    headings = ["figure", *map(code, changed.headings), "difference", "verdict"]
    return table(
        headings,
        ([code(row.what), *texts, f"**{row.verdict}**" if row.verdict else ""] for row, texts in told),
        [1, 2, 3],
    )


def _misses(facts: Facts) -> Iterator[list[str]]:
    if facts.misses:
        lines = [f"- {code(miss, 400, cell=False)}" for miss in facts.misses[:MOST_MISSES]]
        yield ["### Budgets that are missed", "", *lines, ""]
    rows = budgets(facts)
    if rows:
        cells = ([code(row.name), code(row.allowed), code(row.measured), row.state] for row in rows)
        yield ["### Budgets", "", *table(["budget", "allowed", "measured", "verdict"], cells)]


def _rejected(facts: Facts) -> Iterator[list[str]]:
    if facts.rejected:
        rows = ([code(one.file), code(one.reason, 400)] for one in facts.rejected[: words.MOST_REJECTED])
        more = len(facts.rejected) - words.MOST_REJECTED
        lines = [words.rejected(len(facts.rejected)), "", *table(["file", "reason"], rows)]
        yield ["### Rejected pictures", "", *lines, *([f"And {words.count(more)} more.", ""] if more > 0 else [])]


def _manifest(changed: Difference) -> list[str]:
    if changed.manifest is None:
        return ["The manifest of one of the two is not known.", ""]
    if not changed.manifest:
        return ["The manifests say the same, but for name and version.", ""]
    rows = [[code(row.what), *(code(told, words.LONGEST_VALUE) for told in row.told)] for row in changed.manifest]
    more = [f"And {len(rows) - MOST_CHANGES} more.", ""] if len(rows) > MOST_CHANGES else []
    return ["### Manifest", "", *table(["key", *map(code, changed.headings)], rows[:MOST_CHANGES]), *more]


def _origins(changed: Difference) -> Iterator[list[str]]:
    if changed.origins:
        rows = ([code(row.what), *(code(told) for told in row.told)] for row in changed.origins[:MOST_CHANGES])
        yield ["### Toolchains and data", "", *table(["what", *map(code, changed.headings)], rows)]
    if changed.steps is not None:
        names = ", ".join(code(name, 60, cell=False) for name in changed.steps)
        yield [f"Steps with other inputs or other code: {names}." if names else "Every step is the same one.", ""]


def _classes(facts: Facts, changed: Difference) -> Iterator[list[str]]:
    if facts.metrics is None:
        return
    before = {row.what: row for row in changed.classes}
    figures = list(facts.metrics.released.per_class.items())
    rows = []
    for name, one in figures[:MOST_CLASSES]:
        difference = before[name].told[2] if name in before else ""
        rows.append([code(name, 60), words.count(one.boxes), words.share(one.ap), words.share(one.ap50), difference])
    if rows:
        more = [f"And {len(figures) - MOST_CLASSES} more classes.", ""] if len(figures) > MOST_CLASSES else []
        headings = ["class", "boxes", "AP", "`AP@0.5`", "difference of AP"]
        yield _folded("Classes", [*table(headings, rows, [1, 2, 3, 4]), *more])


def _time(facts: Facts) -> Iterator[list[str]]:
    if facts.run is None:
        return
    steps = durations(facts)
    if steps:
        known = facts.subject.cached is not None
        rows = (
            [code(row.step, 60), words.seconds(row.seconds), code(row.engine, 60)]
            + ([("cached" if row.cached else "ran")] if known else [])
            for row in steps[:MOST_CHANGES]
        )
        summed = time_told(steps)
        headings = ["step", "time", "engine", *(["in this build"] if known else [])]
        yield _folded(f"Time of each step: {summed}" if summed else "Time of each step", table(headings, rows, [1]))


def _origin(facts: Facts) -> list[str]:
    subject = facts.subject
    rows = [["release", code(subject.digest or "not released")], ["plan", code(subject.plan or "")]]
    rows += [[f"toolchain {code(name, 60)}", code(digest)] for name, digest in facts.metadata.toolchains.items()]
    rows.append(["data", code(facts.metadata.dataset.digest or "drawn by tinsmith, or not said")])
    return _folded("Where it comes from", table(["what", "digest"], rows))


def _folded(heading: str, lines: list[str]) -> list[str]:
    """A part that is opened by a click; ``heading`` is tinsmith's own text."""
    return [f"<details><summary>{line(heading)}</summary>", "", *lines, "</details>", ""]
