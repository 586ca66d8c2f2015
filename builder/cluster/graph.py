"""The steps of many plans as one graph: each key once, and the keys that it waits for. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from builder.digest import Digest
from builder.plan.step import Plan, Step


@dataclass(frozen=True)
class Graph:
    """``steps`` by key, each after those that it needs; ``needs`` has their keys by step name as ``Step.inputs`` has
    it."""

    steps: Mapping[Digest, Step]
    needs: Mapping[Digest, Mapping[str, Digest]]

    def without(self, done: Collection[Digest]) -> Graph:
        """What is left of the graph once the steps ``done`` have results; ``needs`` still names these."""
        left = {key: step for key, step in self.steps.items() if key not in done}
        return Graph(left, {key: self.needs[key] for key in left})

    def after(self, keys: Collection[Digest]) -> set[Digest]:
        """The steps that need one of ``keys``, directly or not; ``keys`` are not among them, unless they do."""
        reached: set[Digest] = set()
        for key, needs in self.needs.items():
            if any(need in keys or need in reached for need in needs.values()):
                reached.add(key)
        return reached

    def last(self) -> set[Digest]:
        """The steps that no other one needs."""
        needed = {need for needs in self.needs.values() for need in needs.values()}
        return {key for key in self.steps if key not in needed}


def graph_of(plans: Iterable[Plan]) -> Graph:
    """All steps of ``plans``. Steps of one key are one: a key covers everything that decides a step's output."""
    steps: dict[Digest, Step] = {}
    needs: dict[Digest, Mapping[str, Digest]] = {}
    for plan in plans:
        keys = {step.name: step.key for step in plan.steps}
        for step in plan.steps:
            if step.key not in steps:
                steps[step.key] = step
                needs[step.key] = {item.step: keys[item.step] for item in step.inputs if item.step is not None}
    return Graph(steps, needs)
