"""Plans as text: what each model costs, then the steps of all of a manifest's variants, once each."""

from __future__ import annotations

from pathlib import Path

from builder.digest import Digest, hex_of
from builder.plan.merge import merged
from builder.plan.status import Statuses
from builder.plan.summary import Summary
from builder.predict.manifest import in_words


class PlanText:
    """The texts of one manifest after another, and of what they are together, beside a ``store``."""

    def __init__(self, store: str | Path) -> None:
        self._statuses = Statuses(store)
        self._manifests = self._models = 0
        self._keys: set[Digest] = set()

    def of(self, summary: Summary) -> str:
        """The lines of one manifest. IntegrityError if a result in the store is damaged."""
        lines, plans = [], summary.plans
        for plan in plans:
            lines.append(f"{plan.name} {summary.version}  plan {plan.digest}")
            lines.append(f"  {in_words(plan.predicted)}")
        steps = merged(plans)
        # Of each plan by itself: a step waits for those of its own variant.
        found = {
            step.key: status
            for plan in plans
            for step, status in zip(plan.steps, self._statuses.of(plan.steps), strict=True)
        }
        for step, users in steps:
            shared = "" if len(plans) == 1 else f"{users:>3} of {len(plans)}  "
            lines.append(f"  {step.name:12} {step.toolchain:10} {hex_of(step.key)[:16]}  {shared}{found[step.key]}")
        if len(plans) > 1:
            apart = sum(len(plan.steps) for plan in plans)
            lines.append(f"  {len(steps)} steps for {len(plans)} variants; built apart they would be {apart}")
        self._manifests += 1
        self._models += len(plans)
        self._keys.update(found)
        return "\n".join(lines)

    def total(self) -> str:
        """One line for all of them."""
        cached = sum(map(self._statuses.cached, self._keys))
        return (
            f"{self._manifests:,} manifests, {self._models:,} models: "
            f"{len(self._keys):,} different steps, {cached:,} of them cached"
        )
