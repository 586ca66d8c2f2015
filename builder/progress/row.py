"""A step as a view knows it: where it stands, where it runs, how far it has come."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from builder.progress.figures import Figures
from builder.progress.series import Series

Status = Literal["waiting", "cached", "preparing", "running", "done", "failed", "stopped", "blocked"]
"""``blocked``: on a cluster, what needs a step that failed, and so will not run."""

_LEAST_SECONDS = 2.0
"""After which a rate is told."""
_FEWEST_LEFT = 20
"""Of fewer pieces nobody wants to know how many a second; they may differ as much as the parts of an export do."""
_RESUMED = 0.05
"""A training that begins beyond this share of its steps is the rest of one, and says nothing of a whole one."""


@dataclass
class Row:
    """A step. ``label`` says which variants it is of, where there are several; times as in events.

    ``cost`` is what past runs let expect, ``predicted`` what the manifest does, in seconds. ``worker`` is empty where
    the build is of one machine. ``lost`` counts the workers that it was lost with, ``lost_with`` is the last of them,
    and ``share`` what was left to do by then. ``behind``: expected seconds from its begin to the end of the longest
    path of steps that need each other.
    """

    name: str
    label: str = ""
    toolchain: str = ""
    training: bool = False
    predicted: float | None = None
    cost: float | None = None
    needs: tuple[str, ...] = ()
    status: Status = "waiting"
    worker: str = ""
    since: float = 0.0
    ended: float = 0.0
    seconds: float = 0.0
    code: str = ""
    why: str = ""
    figures: Figures = field(default_factory=Figures)
    said: float = 0.0
    loss: Series = field(default_factory=Series)
    first: tuple[float, int] | None = None  # when, and with how much done, the stage at hand began
    resumed: bool = False
    lost: int = 0
    lost_with: str = ""
    share: float = 1.0
    behind: float = 0.0

    @property
    def at_work(self) -> bool:
        return self.status in ("preparing", "running")

    @property
    def expected(self) -> float | None:
        """Seconds that the whole step should take."""
        return self.predicted if self.cost is None else self.cost

    def elapsed(self, now: float) -> float:
        return max(0.0, now - self.since)

    def rate(self) -> float | None:
        """Pieces a second of the stage at hand, where the step gives no rate of its own and it makes sense."""
        if self.first is None or self.figures.total - self.first[1] < _FEWEST_LEFT:
            return None
        seconds, done = self.said - self.first[0], self.figures.done - self.first[1]
        return done / seconds if seconds >= _LEAST_SECONDS and done > 0 else None

    def eta(self, now: float) -> float | None:
        """Seconds that are left of the stage at hand: what the step says, or as its rate has it."""
        left = self.figures.eta_seconds
        if left is None:
            rate = self.rate()
            if rate is None:
                return None
            left = max(0, self.figures.total - self.figures.done) / rate
        return max(0.0, left - max(0.0, now - self.said))

    def whole(self, now: float) -> float | None:
        """Seconds that all of it took, or will take as it goes; None while, or where, that cannot be told."""
        if self.resumed or self.lost:
            return None
        if self.status == "done":
            return self.seconds
        if not self.training or self.status != "running" or self.elapsed(now) <= _LEAST_SECONDS:
            return None
        left = self.eta(now)
        return None if left is None else self.elapsed(now) + left

    def begins(self, status: Status, time: float, worker: str) -> None:
        """It is at work from ``time`` on. Of what was lost the curve stays: it goes on."""
        self.status, self.since, self.worker = status, time, worker
        self.figures, self.first = Figures(), None
        if not self.lost:
            self.loss = Series()

    def comes_to(self, found: Figures, time: float) -> None:
        """Takes in what the step says of itself."""
        if self.first is None or found.stage != self.figures.stage or found.done < self.figures.done:
            self.first = (time, found.done)
            self.resumed = self.resumed or found.done > max(1, found.total * _RESUMED)
        if found.loss is not None:
            self.loss.add(found.loss)
        elif self.figures.loss is not None:  # a stage after training: what was learnt stays to be seen
            found = replace(found, loss=self.figures.loss, losses=self.figures.losses)
        self.figures, self.said = found, time

    def ends(self, status: Status, time: float, code: str = "") -> None:
        self.seconds = self.elapsed(time) if self.at_work else 0.0
        self.status, self.ended, self.code = status, time, code

    def is_lost(self, worker: str) -> None:
        """It waits again. A training goes on from its last checkpoint, so that about as much is left as was."""
        if self.training and self.figures.total:
            self.share = max(0.0, 1 - self.figures.done / self.figures.total)
        self.status, self.lost, self.lost_with, self.worker = "waiting", self.lost + 1, worker, ""
