"""From manifest paths on the command line to manifests, locks and plans."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from builder.cli.options import one_of
from builder.errors import InvalidManifest, refuse
from builder.lock.check import locked
from builder.lock.model import Lock
from builder.manifest.family import Family
from builder.manifest.load import load
from builder.plan.code import StepCode, read_step_code
from builder.plan.kept import user_kept
from builder.plan.make import make_plan
from builder.plan.parsed import with_imports
from builder.plan.step import Plan
from builder.progress.events import Reporter
from builder.progress.views import MODES, view_for
from builder.resources import steps_folder


@dataclass(frozen=True)
class Planned:
    """A manifest file with its lock; ``plans`` are those of the family's variants, in their order."""

    path: Path
    family: Family
    lock: Lock
    plans: tuple[Plan, ...]
    code: StepCode


def reporter(mode: str) -> Reporter:
    return Reporter(view_for(one_of("--progress", mode, MODES)))


def load_all(paths: list[Path]) -> list[tuple[Path, Family]]:
    """What every manifest builds, or InvalidManifest with what is wrong in all of them."""
    loaded, wrong = [], []
    for path in paths:
        try:
            loaded.append((path, load(path)))
        except InvalidManifest as error:
            wrong.append(error)
    refuse(wrong)
    return loaded


def load_planned(paths: list[Path]) -> Iterator[Planned]:
    """Family, lock and plans of each path; nothing is yielded before all are valid."""
    code = with_imports(read_step_code(steps_folder()), user_kept())
    planned = []
    for path, family in load_all(paths):
        lock = locked(family, path)
        plans = tuple(make_plan(manifest, lock, code) for manifest in family.manifests)
        planned.append(Planned(path, family, lock, plans, code))
    yield from planned
