"""The steps of several plans as one list: what they share stands, and runs, once."""

from __future__ import annotations

from collections.abc import Sequence

from builder.digest import Digest
from builder.plan.step import Plan, Step


def merged(plans: Sequence[Plan]) -> list[tuple[Step, int]]:
    """Each different step of ``plans``, before all that need it, and in how many of the plans it is."""
    steps: dict[Digest, Step] = {}
    users: dict[Digest, int] = {}
    for plan in plans:
        for step in plan.steps:
            steps.setdefault(step.key, step)
            users[step.key] = users.get(step.key, 0) + 1
    return [(step, users[key]) for key, step in steps.items()]
