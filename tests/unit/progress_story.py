"""Events of a build of two variants, as a build sends them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from builder.progress.board import Board
from builder.progress.events import Event, Reporter

BEGIN = 1e9
NAMES = ("ingest", "train", "export", "package")


def step(name: str, variants: list[str], **more: Any) -> dict[str, Any]:
    key = f"{name}-{'-'.join(variants)}"
    known = {"cached": False, "training": name == "train", "predicted_seconds": 100 if name == "train" else None}
    return {"name": name, "key": key, "toolchain": "tf1.15", **known, "variants": variants, **more}


def plan(*, variants: int = 2, first: str = "ingest", **more: Any) -> dict[str, Any]:
    names = [f"shapes-d{100 - number:03}" for number in range(variants)]
    steps = [step(first, names, **more)]
    steps += [step(name, [variant]) for variant in names for name in NAMES[1:]]
    return {"name": "shapes", "version": "1.0.0", "variants": names, "steps": steps}


class Story:
    """Tells a view, or a board, what happens; ``after`` moves the clock."""

    def __init__(self, view: Any = None) -> None:
        self.now = BEGIN
        self.board = Board()
        self.events: list[Event] = []
        self._view = view
        self._report = Reporter(self, clock=lambda: self.now)

    def show(self, event: Event) -> None:
        self.events.append(event)
        self.board.add(event)
        if self._view is not None:
            self._view.show(event)

    def close(self) -> None:
        if self._view is not None:
            self._view.close()

    def after(self, seconds: float) -> Story:
        self.now += seconds
        return self

    def tell(self, kind: str, detail: Mapping[str, Any] | None = None, **more: Any) -> Story:
        self._report(kind, {**(detail or {}), **more})
        return self

    def runs(self, name: str, *variants: str) -> Story:
        key = f"{name}-{'-'.join(variants)}"
        self.tell("preparing", step=name, key=key, toolchain="tf1.15")
        return self.tell("started", step=name, key=key, engine="local")

    def ends(self, name: str, *variants: str, seconds: float = 1.0) -> Story:
        return self.tell("finished", step=name, key=f"{name}-{'-'.join(variants)}", seconds=seconds)

    def trains(self, done: int, total: int = 800, **more: Any) -> Story:
        figures = {"stage": "training", "images_per_second": 147.4, "loss": 800 / (done + 1), "learning_rate": 0.0011}
        losses = {"classification": 0.9, "localization": 0.5}
        return self.tell("progress", {**figures, "losses": losses, "step": done, "steps": total, **more})


BOTH = ("shapes-d100", "shapes-d099")


def in_training() -> Story:
    """The first of two trainings, at step 400 of 800 after 50 seconds."""
    story = Story().tell("plan", plan()).runs("ingest", *BOTH).after(4).ends("ingest", *BOTH, seconds=4)
    story.runs("train", BOTH[0])
    for done in range(0, 401, 10):
        story.after(50 / 41).trains(done, eta_seconds=50.0)
    return story
