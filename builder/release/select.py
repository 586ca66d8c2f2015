"""Which variants of a family are released: those that meet their budgets, or the best of them. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from builder.errors import BudgetExceeded
from builder.manifest.selection import Select
from builder.release.figures import Figures

_KEYS: dict[str, Callable[[Figures], float]] = {
    "map": lambda figures: -figures.released["map"],
    "map50": lambda figures: -figures.released["map50"],
    "size": lambda figures: figures.metrics["size"],
    "latency": lambda figures: figures.latency["latency_ms"]["median"],
}
"""By how much a variant is worse, for each key of ``select.best``."""


@dataclass(frozen=True)
class Candidate:
    """A built variant: its name, what it measured and which budgets it misses, a line each."""

    name: str
    figures: Figures
    misses: Sequence[str]


def released(select: Select | None, candidates: Sequence[Candidate]) -> list[bool]:
    """For each candidate, whether it is released. Without ``select`` those that meet their budgets are, too."""
    fit = [not candidate.misses for candidate in candidates]
    if select is None or select.best is None or not any(fit):
        return fit
    worse = _KEYS[select.best]
    # The first of equals: the order of the manifest.
    best = min((index for index, ok in enumerate(fit) if ok), key=lambda index: worse(candidates[index].figures))
    return [index == best for index in range(len(candidates))]


def judge(select: Select | None, candidates: Sequence[Candidate], outcome: str = "not released") -> None:
    """BudgetExceeded (exit 5) naming every miss: of any candidate, or with ``select`` only if all miss something.

    ``outcome`` is what becomes of them.
    """
    missing = [candidate for candidate in candidates if candidate.misses]
    if not missing or (select is not None and len(missing) < len(candidates)):
        return
    lines = [
        line if len(candidates) == 1 else f"{candidate.name}: {line}"
        for candidate in missing
        for line in candidate.misses
    ]
    help = "train longer or change the model, or change the budgets under 'verify'"
    if len(candidates) > 1 and select is None:
        help += "; 'select: budgets' releases the variants that meet them and passes over the others"
    raise BudgetExceeded(f"{outcome}, verification failed:\n  " + "\n  ".join(lines), help=help)
