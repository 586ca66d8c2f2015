"""Two summaries of a manifest, an older and a newer one, compared. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from builder.digest import Digest
from builder.errors import InvalidManifest
from builder.plan.summary import PlanLine, StepLine, Summary

Side = Mapping[str, Summary | InvalidManifest]
"""Manifests by path."""

Status = Literal["changed", "new", "removed", "renamed", "invalid", "unchanged"]


@dataclass(frozen=True)
class StepChange:
    """A step of the newer plan; ``changed``: the older plan had no step with its key."""

    line: StepLine
    changed: bool


@dataclass(frozen=True)
class PlanChange:
    """A variant. ``before`` and ``after`` are its plans, None where it was not or is no longer; ``steps`` are those of
    ``after``."""

    name: str
    before: PlanLine | None
    after: PlanLine | None
    steps: tuple[StepChange, ...]

    @property
    def status(self) -> Status:
        if self.before is None:
            return "new"
        if self.after is None:
            return "removed"
        return "unchanged" if self.before.digest == self.after.digest else "changed"


@dataclass(frozen=True)
class Change:
    """What became of the manifest at ``path``; ``origin`` is where it was, if that was elsewhere.

    ``before`` is None if there was none, or none that was valid. ``problems`` is what makes it invalid now.
    ``selection``: it releases other ones of the same variants.
    """

    path: str
    status: Status
    origin: str | None = None
    before: Summary | None = None
    after: Summary | None = None
    plans: tuple[PlanChange, ...] = ()
    problems: InvalidManifest | None = field(default=None, compare=False)
    selection: bool = False

    @property
    def builds(self) -> bool:
        """Is there anything to build?"""
        return self.status in ("changed", "new")

    def changed_steps(self) -> list[str]:
        """The names of the steps that changed in any variant, in the order of the plans."""
        names = [item.line.name for plan in self.plans for item in plan.steps]
        changed = {item.line.name for plan in self.plans for item in plan.steps if item.changed}
        return [name for name in dict.fromkeys(names) if name in changed]


def compare(old: Side, new: Side) -> list[Change]:
    """A change a manifest of either side, by path, those with the same plans among them.

    A manifest that went from one path to another is recognised by its name, if that is unique on both sides.
    """
    moved = _moved(old, new)
    gone = set(old) - set(new) - set(moved.values())
    changes = [_change(path, moved.get(path), old.get(moved.get(path, path)), after) for path, after in new.items()]
    changes += [Change(path, "removed", before=_valid(old[path])) for path in gone]
    return sorted(changes, key=lambda change: change.path)


def _moved(old: Side, new: Side) -> dict[str, str]:
    """New path -> old path."""
    appeared = _by_name({path: side for path, side in new.items() if path not in old})
    gone = _by_name({path: side for path, side in old.items() if path not in new})
    return {
        paths[0]: gone[name][0] for name, paths in appeared.items() if len(paths) == 1 and len(gone.get(name, ())) == 1
    }


def _by_name(side: Side) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for path, summary in side.items():
        if isinstance(summary, Summary):
            found.setdefault(summary.name, []).append(path)
    return found


def _change(
    path: str, origin: str | None, before: Summary | InvalidManifest | None, after: Summary | InvalidManifest
) -> Change:
    if isinstance(after, InvalidManifest):
        return Change(path, "invalid", origin, _valid(before), problems=after)
    plans = _plans(_valid(before), after)
    if before is None:
        status: Status = "new"
    elif any(plan.status != "unchanged" for plan in plans):
        status = "changed"
    else:
        status = "renamed" if origin else "unchanged"
    return Change(path, status, origin, _valid(before), after, plans)


def _plans(before: Summary | None, after: Summary) -> tuple[PlanChange, ...]:
    old = {plan.name: plan for plan in before.plans} if before else {}
    # A key that any variant had counts: what is shared by variants runs once, for whichever comes first.
    known = {step.key for plan in old.values() for step in plan.steps}
    found = [_plan(old.get(plan.name), plan, known) for plan in after.plans]
    names = {plan.name for plan in after.plans}
    return (*found, *(PlanChange(name, plan, None, ()) for name, plan in old.items() if name not in names))


def _plan(before: PlanLine | None, after: PlanLine, known: set[Digest]) -> PlanChange:
    return PlanChange(after.name, before, after, tuple(StepChange(step, step.key not in known) for step in after.steps))


def _valid(summary: Summary | InvalidManifest | None) -> Summary | None:
    return summary if isinstance(summary, Summary) else None
