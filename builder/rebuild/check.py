"""The second build of ``build --check``: every step once more on the first build's inputs, and its outputs compared."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from builder.build import failing, run_step
from builder.digest import Digest, digest_json
from builder.engine.base import Emit, Engine
from builder.errors import IntegrityError, RebuildDiffers
from builder.lock.listing import changes
from builder.plan.code import StepCode
from builder.plan.step import Plan
from builder.rebuild.compare import ComparedStep, outputs_of
from builder.rebuild.training import Conditions, conditions
from builder.store.base import BuildStore, StepResult

Tier = Literal["A", "B"]


@dataclass(frozen=True)
class Checked:
    """Each step that the release depends on, compared; under which ``conditions`` each of its trainings ran.

    ``tier``: A if all but trainings left the same bytes, B if these did, too; None if not even A was reached.
    """

    plan: Plan
    steps: tuple[ComparedStep, ...]
    conditions: dict[str, Conditions]

    @property
    def tier(self) -> Tier | None:
        if any(not step.same and not step.training for step in self.steps):
            return None
        return "B" if all(step.same for step in self.steps) else "A"


class SecondBuild:
    """Runs steps a second time, each key once: variants share steps here as they do in a build."""

    def __init__(
        self,
        code: StepCode,
        *,
        sources: Callable[[str], Path],
        store: BuildStore,
        engine: Callable[[], Engine],
        emit: Emit,
    ) -> None:
        self._code, self._sources, self._store, self._engine, self._emit = code, sources, store, engine, emit
        self._done: dict[Digest, StepResult] = {}

    def check(self, plan: Plan) -> Checked:
        """Runs the steps that the target of ``plan``, which has been built, depends on; errors as for ``build``.

        Each has the first build's inputs, so that a step which is not reproducible hides no other.
        """
        first: dict[str, StepResult] = {}
        compared = []
        for step in plan.needed():
            result = self._store.lookup(step.key)
            if result is None:
                raise IntegrityError(f"the store has lost the result of step {step.name}", help="build again")
            if step.key not in self._done:
                self._done[step.key] = self._again(plan, step.name, first)
            first[step.name] = result
            found = tuple(changes(outputs_of(result), outputs_of(self._done[step.key])))
            text = "the same bytes twice" if not found else f"OTHER bytes the second time: {found[0]}"
            self._emit("message", {"step": step.name, "text": text})
            compared.append(ComparedStep(step, len(result.artifacts), inputs_same=True, changes=found))
        trainings = {item.step.name: conditions(item.step) for item in compared if item.training}
        return Checked(plan, tuple(compared), trainings)

    def _again(self, plan: Plan, name: str, first: dict[str, StepResult]) -> StepResult:
        step = plan.step(name)
        self._emit("message", {"step": name, "text": "second run, from nothing"})
        # A scratch folder of its own, and no checkpoints of a stopped run: all of it runs.
        with self._store.claimed(digest_json({"again": step.key})) as folder:
            whole = replace(step, resumable=False)
            with failing(step, self._emit):
                result = run_step(
                    whole, folder, self._code, self._sources, first, self._store, self._engine(), self._emit
                )
            shutil.rmtree(folder)
        self._emit("finished", {"step": step.name, "key": step.key, "seconds": result.run["seconds"]})
        return result


def judge(checked: Checked, ref: str) -> None:
    """RebuildDiffers (exit 5) naming every step whose second run left other bytes."""
    differing = [step for step in checked.steps if not step.same]
    if not differing:
        return
    lines = [
        f"{step.step.name}: {step.changes[0]}, {len(step.changes)} of {step.files} files"
        + (f" ({checked.conditions[step.step.name]})" if step.training else "")
        for step in differing
    ]
    reached = f"tier {checked.tier} was reached" if checked.tier else "no tier was reached"
    raise RebuildDiffers(
        "\n  ".join([f"{ref} is released, but a second run of these steps left other bytes; {reached}", *lines]),
        help="the same inputs were given to both runs; docs/rebuild.md says what steps may depend on",
        code="not-reproducible",
    )
