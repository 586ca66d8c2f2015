"""Where two builds part first, and what follows from it: the answer of ``tinsmith why``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from builder.lock.listing import changes
from builder.rebuild import tflite
from builder.rebuild.causes import KINDS, Cause, input_causes, key_changes
from builder.rebuild.sides import Side
from builder.release.document import TITLE, VERSION

MODEL = "model.tflite"


@dataclass(frozen=True)
class Answer:
    """Every difference, causes before what they cause; the steps whose keys differ, and those whose keys are one."""

    causes: tuple[Cause, ...]
    rerun: tuple[str, ...]
    shared: tuple[str, ...]

    @property
    def first(self) -> Cause | None:
        return self.causes[0] if self.causes else None


def why(one: Side, other: Side) -> Answer:
    """All that differs between ``one`` and ``other``. IntegrityError as for reading a release's files."""
    rerun = key_changes(one, other)
    shared = [step["name"] for step in one.plan["steps"] if step["name"] not in rerun]
    causes = [*input_causes(one, other), *_outputs(one, other), *_files(one, other)]
    if not causes and one.digest != other.digest and one.digest and other.digest:
        causes += _annotations(one, other)
    return Answer(tuple(causes), tuple(rerun), tuple(shared))


def _outputs(one: Side, other: Side) -> Iterator[Cause]:
    """The first file of each step that left other bytes, in the order of the plan."""
    if one.steps is None or other.steps is None:
        return
    differing: set[str] = set()
    for step in one.plan["steps"]:
        name = step["name"]
        if name not in one.steps or name not in other.steps:
            continue
        before, after = one.steps[name], other.steps[name]
        found = list(changes(before.outputs, after.outputs))
        if not found:
            continue
        differing.add(name)
        same_inputs = not any(item.get("step") in differing for item in step["inputs"])
        note = "its inputs were the same" if same_inputs else "its inputs were other ones"
        if before.key == after.key:
            note = f"for the same key; {note}"
        if len(found) > 1:
            note = f"and {len(found) - 1:,} more of its files; {note}"
        yield Cause("output", f"{name}/{found[0].path}", found[0].before, found[0].after, note=note)


def _files(one: Side, other: Side) -> Iterator[Cause]:
    if one.released is None or other.released is None:
        return
    found = list(changes(one.released, other.released))
    # The model first: it is what the others are about.
    for change in sorted(found, key=lambda change: change.path != MODEL):
        note = _inside(one, other) if change.path == MODEL and change.before and change.after else ""
        yield Cause("file", change.path, change.before, change.after, note=note)


def _inside(one: Side, other: Side) -> str:
    """Where in the two .tflite files the first difference is."""
    assert one.model is not None and other.model is not None, "a release has its model"
    return str(tflite.compare(one.model(), other.model()))


def _annotations(one: Side, other: Side) -> Iterator[Cause]:
    names = sorted({*one.annotations, *other.annotations} - {TITLE, VERSION})
    for name in names:
        if one.annotations.get(name) != other.annotations.get(name):
            yield Cause("annotation", name, one.annotations.get(name), other.annotations.get(name))


def lines(one: Side, other: Side, answer: Answer, *, every: bool) -> Iterator[str]:
    """The answer in words; with ``every`` all differences, else the first and what follows."""
    if answer.first is None:
        yield f"{one.label} and {other.label}: nothing differs"
        return
    yield f"{one.label} and {other.label} part first in {KINDS[answer.first.kind]}"
    shown = answer.causes if every else answer.causes[:1]
    for cause in shown:
        yield f"  {cause}"
    yield _consequences(answer)
    if not every:
        rest = answer.causes[1:]
        made = [cause for cause in rest if cause.kind in ("output", "file")]
        for kind in ("output", "file"):
            yield from (f"{KINDS[kind]}: {cause}" for cause in [it for it in made if it.kind == kind][:1])
        if rest:
            yield f"{len(rest):,} more difference{'s' if len(rest) > 1 else ''}: --all"


def _consequences(answer: Answer) -> str:
    if not answer.rerun:
        return "no key differs: what is built from either is the same, as far as steps are reproducible"
    shared = f"; the same for both: {', '.join(answer.shared)}" if answer.shared else ""
    return f"steps with other keys: {', '.join(answer.rerun)}{shared}"


def document(one: Side, other: Side, answer: Answer) -> dict[str, Any]:
    """The answer as plain data, for ``--json``."""
    causes: Sequence[dict[str, Any]] = [vars(cause) for cause in answer.causes]
    return {
        "a": one.label,
        "b": other.label,
        "same": answer.first is None,
        "first": causes[0] if causes else None,
        "differences": causes,
        "steps": {"other_keys": answer.rerun, "same_keys": answer.shared},
    }
