"""The steps of several plans as one list: what they share stands, and runs, once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

from builder.digest import Digest


class _Keyed(Protocol):
    @property
    def key(self) -> Digest: ...


S_co = TypeVar("S_co", bound=_Keyed, covariant=True)


class _Steps(Protocol[S_co]):
    @property
    def steps(self) -> Sequence[S_co]: ...


def merged(plans: Sequence[_Steps[S_co]]) -> list[tuple[S_co, int]]:
    """Each different step of ``plans`` (or of their lines in a summary), before all that need it, and in how many of
    the plans it is."""
    steps: dict[Digest, S_co] = {}
    users: dict[Digest, int] = {}
    for plan in plans:
        for step in plan.steps:
            steps.setdefault(step.key, step)
            users[step.key] = users.get(step.key, 0) + 1
    return [(step, users[key]) for key, step in steps.items()]
