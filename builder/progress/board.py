"""All that is known of a build's steps, as a function of the events so far; what views show is made from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from builder.progress.ahead import Left, blocked, seconds_left, training_left, weigh
from builder.progress.events import Event
from builder.progress.figures import figures, number, word
from builder.progress.row import Row, Status

_LONGEST_NAME = 64
_LONGEST_WHY = 400


class Board:
    """Rows by key, in the order of the plan, each after those that it needs.

    ``running`` are the steps at work, by key, in the order in which they began: one at a time on one machine. On a
    cluster ``workers`` says how many there are (None: not told), ``slots`` how many steps they take at once.
    """

    def __init__(self) -> None:
        self.rows: dict[str, Row] = {}
        self.running: dict[str, Row] = {}
        self.begun: float | None = None
        self.workers: int | None = None
        self.slots = 1
        self.cluster = False
        self._plans: list[tuple[str, list[str]]] = []
        self._users: dict[str, list[str]] = {}

    @property
    def title(self) -> str:
        more = f" and {len(self._plans) - 1} more" if len(self._plans) > 1 else ""
        return self._plans[0][0] + more if self._plans else ""

    @property
    def current(self) -> Row | None:
        """The step at work that began last."""
        return next(reversed(self.running.values()), None)

    def row_of(self, event: Event) -> Row | None:
        return self.rows.get(_key(event))

    def add(self, event: Event) -> None:
        """Takes ``event`` in. Whatever makes no sense is passed over."""
        if self.begun is None:
            self.begun = event.time
        self.cluster = self.cluster or event.kind == "workers" or event.worker != ""
        match event.kind:
            case "plan":
                self._plan(event.detail)
            case "workers":
                self._workers(event.detail)
            case "cached":
                row = self._row(event)
                if row.status in ("waiting", "blocked"):  # else it ran in this very build, for another variant
                    row.status = "cached"
            case "preparing" | "started":
                self._begin(event)
            case "progress":
                self._progress(event)
            case "error":
                if (known := self.row_of(event)) is not None:
                    known.why = _text(event.detail.get("message"))
            case "lost":
                self._lost(event)
            case "finished":
                self._end(event, "done")
                self.rows[_key(event)].seconds = number(event.detail.get("seconds")) or 0.0
            case "failed":
                self._end(event, "stopped" if event.detail.get("code") == "interrupted" else "failed")

    def count(self, *statuses: Status) -> int:
        return sum(row.status in statuses for row in self.rows.values())

    def left(self, now: float) -> Left | None:
        """About how long the build still takes, or its trainings, or None where not even that can be said."""
        return seconds_left(self.rows, now, self._places())

    def training_left(self, now: float) -> float | None:
        """About how many seconds of training are ahead, or None where that cannot be said of each of them."""
        return training_left(self.rows, now, self._places())

    def _places(self) -> int:
        return 0 if self.workers == 0 else self.slots

    def _plan(self, detail: Mapping[str, Any]) -> None:
        title = word(f"{detail['name']} {detail['version']}", _LONGEST_NAME)
        self._plans.append((title, list(detail["variants"])))
        for step in detail["steps"]:
            key = step["key"]
            row = self.rows.setdefault(key, Row(word(step["name"]), toolchain=word(step["toolchain"])))
            if step["cached"] and row.status == "waiting":
                row.status = "cached"
            row.training = step["training"] is True
            row.predicted, row.cost = number(step["predicted_seconds"]), number(step.get("seconds"))
            row.needs = tuple(step.get("needs", ()))
            self._users.setdefault(key, []).extend(step["variants"])
        weigh(self.rows)
        variants = list(dict.fromkeys(name for _, names in self._plans for name in names))
        if len(variants) > 1:
            start = _shared_start(variants)
            plans = {tuple(names): word(title.partition(" ")[0], 20) for title, names in self._plans}
            for key, users in self._users.items():
                self.rows[key].label = plans.get(tuple(users), "") if len(self._plans) > 1 and len(users) > 1 else ""
                self.rows[key].label = self.rows[key].label or _label(users, len(variants), start)

    def _workers(self, detail: Mapping[str, Any]) -> None:
        self.workers = max(0, int(number(detail.get("workers")) or 0))
        offers = detail.get("offers")
        slots = number(offers.get("slots")) if isinstance(offers, Mapping) else None
        self.slots = max(1, self.workers if slots is None else int(slots))

    def _row(self, event: Event) -> Row:
        return self.rows.setdefault(_key(event), Row(word(event.step)))

    def _begin(self, event: Event) -> None:
        row = self._row(event)
        failed = row.status == "failed"
        row.begins("preparing" if event.kind == "preparing" else "running", event.time, word(event.worker))
        row.toolchain = word(event.detail.get("toolchain")) or row.toolchain
        self.running[_key(event)] = row
        if failed:
            self._block()

    def _progress(self, event: Event) -> None:
        key = _key(event)
        row = self.running.get(key)
        if row is None:
            row = self.rows.get(key) if event.key else None
            if row is None:  # a step by itself, of which no more is told
                row = Row(word(event.step))
            elif row.status != "waiting" or (row.lost and word(event.worker) == row.lost_with):
                return  # late news of what has ended, or of a worker that was given up
            row.begins("running", event.time, word(event.worker))
            self.running[key] = row
        row.comes_to(figures(event.detail), event.time)

    def _lost(self, event: Event) -> None:
        row = self._row(event)
        if row.at_work or row.status == "waiting":
            self.running.pop(_key(event), None)
            row.is_lost(word(event.worker))

    def _end(self, event: Event, status: Status) -> None:
        row = self._row(event)
        self.running.pop(_key(event), None)
        failed = row.status == "failed"
        row.worker = word(event.worker) or row.worker
        row.ends(status, event.time, word(event.detail.get("code")))
        if failed or status == "failed":
            self._block()

    def _block(self) -> None:
        """On one machine a failure ends the build, and all the rest waits for the next one."""
        if not self.cluster:
            return
        never = blocked(self.rows)
        for key, row in self.rows.items():
            if row.status in ("waiting", "blocked"):
                row.status = "blocked" if key in never else "waiting"


def _key(event: Event) -> str:
    return event.key or event.step


def _text(value: Any) -> str:
    return value if isinstance(value, str) and len(value) <= _LONGEST_WHY else str(value or "")[:_LONGEST_WHY]


def _shared_start(names: Sequence[str]) -> int:
    """Characters that all ``names`` begin with, up to the last dash among them."""
    least, most = min(names), max(names)
    same = next((index for index, sign in enumerate(least) if sign != most[index]), len(least))
    return least.rfind("-", 0, same) + 1


def _label(users: Sequence[str], variants: int, start: int) -> str:
    if len(users) == 1:
        return word(users[0][start:], 20)
    return "all" if len(users) == variants else f"{len(users)} of {variants}"
