"""All that is known of a build's steps, as a function of the events so far; what a screen shows is made from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from builder.progress.events import Event
from builder.progress.figures import Figures, figures, number, word
from builder.progress.series import Series

Status = Literal["waiting", "cached", "preparing", "running", "done", "failed", "stopped"]

_LEAST_SECONDS = 2.0
"""After which a rate is told."""
_FEWEST_LEFT = 20
"""Of fewer pieces nobody wants to know how many a second; they may differ as much as the parts of an export do."""
_RESUMED = 0.05
"""A training that begins beyond this share of its steps is the rest of one, and says nothing of a whole one."""


@dataclass
class Row:
    """A step. ``label`` says which variants it is of, where there are several; times as in events."""

    name: str
    label: str = ""
    toolchain: str = ""
    training: bool = False
    predicted: float | None = None
    status: Status = "waiting"
    since: float = 0.0
    seconds: float = 0.0
    code: str = ""
    figures: Figures = field(default_factory=Figures)
    said: float = 0.0
    loss: Series = field(default_factory=Series)
    first: tuple[float, int] | None = None  # when, and with how much done, the stage at hand began
    resumed: bool = False

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


class Board:
    """Rows by key, in the order in which they run. ``current`` is the step at work."""

    def __init__(self) -> None:
        self.title = ""
        self.rows: dict[str, Row] = {}
        self.current: Row | None = None
        self.begun: float | None = None
        self._variants: dict[str, None] = {}
        self._users: dict[str, list[str]] = {}

    def add(self, event: Event) -> None:
        """Takes ``event`` in. Whatever makes no sense is passed over."""
        if self.begun is None:
            self.begun = event.time
        detail = event.detail
        match event.kind:
            case "plan":
                self._plan(detail)
            case "cached":
                row = self._row(event)
                if row.status == "waiting":  # else it ran in this very build, for another variant
                    row.status = "cached"
            case "preparing" | "started":
                row = self.current = self._row(event)
                row.status, row.since = ("preparing" if event.kind == "preparing" else "running"), event.time
                row.toolchain = word(detail.get("toolchain")) or row.toolchain
                row.figures, row.first, row.loss = Figures(), None, Series()
            case "progress":
                self._progress(event)
            case "finished":
                self._end(event, "done")
                self.rows[_key(event)].seconds = number(detail.get("seconds")) or 0.0
            case "failed":
                self._end(event, "stopped" if detail.get("code") == "interrupted" else "failed")

    def count(self, *statuses: Status) -> int:
        return sum(row.status in statuses for row in self.rows.values())

    def training_left(self, now: float) -> float | None:
        """About how many seconds of training are ahead, or None where that cannot be said of each of them.

        Trainings that wait are predicted, and the prediction is corrected by how those of this build went.
        """
        trainings = [row for row in self.rows.values() if row.training]
        ahead = [row for row in trainings if row.status in ("waiting", "preparing", "running")]
        pace, left = _pace(trainings, now), 0.0
        for row in ahead:
            seconds = row.eta(now) if row.status == "running" else None
            if seconds is None and row.predicted is not None:
                seconds = max(0.0, row.predicted * pace - (row.elapsed(now) if row.status == "running" else 0.0))
            if seconds is None:
                return None
            left += seconds
        return left if ahead else None

    def _plan(self, detail: Mapping[str, Any]) -> None:
        self.title = word(f"{detail['name']} {detail['version']}", 64) if not self.title else f"{self.title}, …"
        self._variants.update(dict.fromkeys(detail["variants"]))
        for step in detail["steps"]:
            row = self.rows.setdefault(step["key"], Row(word(step["name"]), toolchain=word(step["toolchain"])))
            if step["cached"] and row.status == "waiting":
                row.status = "cached"
            row.training = step["training"] is True
            row.predicted = number(step["predicted_seconds"])
            self._users.setdefault(step["key"], []).extend(step["variants"])
        if len(self._variants) > 1:
            start = _shared_start(list(self._variants))
            for key, users in self._users.items():
                self.rows[key].label = _label(users, len(self._variants), start)

    def _row(self, event: Event) -> Row:
        return self.rows.setdefault(_key(event), Row(word(event.step)))

    def _progress(self, event: Event) -> None:
        if self.current is None:  # a step by itself, of which no more is told
            self.current = Row(word(event.step), status="running", since=event.time)
        row, found = self.current, figures(event.detail)
        if row.first is None or found.stage != row.figures.stage or found.done < row.figures.done:
            row.first = (event.time, found.done)
            row.resumed = row.resumed or found.done > max(1, found.total * _RESUMED)
        if found.loss is not None:
            row.loss.add(found.loss)
        elif row.figures.loss is not None:  # a stage after training: what was learnt stays to be seen
            found = replace(found, loss=row.figures.loss, losses=row.figures.losses)
        row.figures, row.said = found, event.time

    def _end(self, event: Event, status: Status) -> None:
        row = self._row(event)
        row.seconds = row.elapsed(event.time) if row.status in ("preparing", "running") else 0.0
        row.status, row.code = status, word(event.detail.get("code"))
        self.current = None


def _key(event: Event) -> str:
    key = event.detail.get("key")
    return key if isinstance(key, str) else event.step


def _pace(trainings: list[Row], now: float) -> float:
    """Seconds that trainings of this build take for each predicted one; 1 while none has told."""
    taken = expected = 0.0
    for row in trainings:
        if row.predicted is None or row.resumed:
            continue
        left = row.eta(now) if row.status == "running" and row.elapsed(now) > _LEAST_SECONDS else None
        if row.status == "done" or left is not None:
            taken += row.seconds if left is None else row.elapsed(now) + left
            expected += row.predicted
    return taken / expected if taken and expected else 1.0


def _shared_start(names: list[str]) -> int:
    """Characters that all ``names`` begin with, up to the last dash among them."""
    least, most = min(names), max(names)
    same = next((index for index, sign in enumerate(least) if sign != most[index]), len(least))
    return least.rfind("-", 0, same) + 1


def _label(users: list[str], variants: int, start: int) -> str:
    if len(users) == 1:
        return word(users[0][start:], 20)
    return "all" if len(users) == variants else f"{len(users)} of {variants}"
