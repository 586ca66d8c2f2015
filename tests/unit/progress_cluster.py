"""Events of a matrix of eight variants on four workers, one of which is lost; one step fails. As a cluster sends them.

To look at: ``python -m tests.unit.progress_cluster [WIDTH HEIGHT [SECOND …]]`` prints screens.
"""

from __future__ import annotations

import sys
from typing import Any

from tests.unit.progress_story import BEGIN, Story

DEPTHS = ("0.25", "0.5", "0.75", "1.0")
SIZES = ("96x96", "96x160")
VARIANTS = [f"shapes-d{depth}-{size}" for depth in DEPTHS for size in SIZES]
CHAIN = {"train": 100.0, "export": 8.0, "convert": 4.0, "infer": 12.0, "verify": 6.0, "measure": 5.0, "package": 2.0}
"""Seconds that each step of a variant should take, one after the other."""
WORKERS = ("rack-1", "rack-2", "rack-3", "rack-10")
LOST_AT, BACK_AT, TRAINED = 100.0, 130.0, 800
FAILS = f"convert-{VARIANTS[2]}"


def matrix(variants: list[str] = VARIANTS, name: str = "shapes", **more: Any) -> dict[str, Any]:
    """The event ``plan``: one ingest for all, then a chain of steps for each variant."""
    first = f"ingest-{name}"
    steps = [_step("ingest", first, variants, [], 14.0, **more)]
    for variant in variants:
        before = [first]
        for step, seconds in CHAIN.items():
            key = f"{step}-{variant}"
            steps.append(_step(step, key, [variant], before, seconds, **more))
            before = [key]
    return {"name": name, "version": "1.0.0", "variants": variants, "steps": steps}


def _step(
    name: str, key: str, variants: list[str], needs: list[str], seconds: float | None, **more: Any
) -> dict[str, Any]:
    training, predicted = name == "train", 100 if name == "train" else None
    return {"name": name, "key": key, "toolchain": "tf1.15", "cached": False, "training": training, "needs": needs,
            "predicted_seconds": predicted, "seconds": seconds, "variants": variants, **more}  # fmt: skip


class Cluster:
    """Workers that take what is ready, a second at a time, each step as long as the plan has it; ``speed`` times that.

    At ``LOST_AT`` the third worker dies; the step that it was at begins again where its checkpoint left it. At
    ``BACK_AT`` there is another in its place. The step ``FAILS`` fails.
    """

    def __init__(self, view: Any = None, plan: dict[str, Any] | None = None, speed: float = 1.0) -> None:
        self.story = Story(view)
        self._plan = plan or matrix()
        self._steps = {step["key"]: step for step in self._plan["steps"]}
        self._left = {key: step["seconds"] * speed for key, step in self._steps.items()}
        self._whole = dict(self._left)
        self._ended: set[str] = set()
        self._never: set[str] = set()
        self._busy: dict[str, str] = {}
        self._workers: list[str] = []

    @property
    def seconds(self) -> float:
        return self.story.now - BEGIN

    def run(self, until: float = float("inf")) -> Story:
        """Goes on to a second of the build, or to its end."""
        while self.seconds < until and len(self._ended | self._never) < len(self._steps):
            self._second()
        return self.story

    def _second(self) -> None:
        if self.seconds == 0:
            self.story.tell("plan", self._plan)
            self._told([])
        elif self.seconds == 1:
            self._told(list(WORKERS))
        elif self.seconds == LOST_AT:
            key = self._busy.pop(WORKERS[2], None)
            self._told([name for name in WORKERS if name != WORKERS[2]])
            if key is not None:
                self._left[key] = min(self._whole[key], self._left[key] + 10)
                self._tell("lost", key, WORKERS[2], text="rack-3 was not heard of for 30s")
        elif self.seconds == BACK_AT:
            self._told(list(WORKERS))
        for worker in self._workers:
            if worker not in self._busy:
                self._take(worker)
        self.story.after(1)
        for worker, key in list(self._busy.items()):
            self._work(worker, key)

    def _told(self, workers: list[str]) -> None:
        self._workers = workers
        self.story.tell("workers", workers=len(workers), offers={"slots": len(workers), "memory": 8000 * len(workers)})

    def _tell(self, kind: str, key: str, worker: str, **more: Any) -> None:
        name = "name" if "step" in more else "step"
        self.story.tell(kind, {"key": key, name: self._steps[key]["name"], "worker": worker, **more})

    def _take(self, worker: str) -> None:
        taken = self._ended | self._never | set(self._busy.values())
        for key, step in self._steps.items():
            if key not in taken and self._ended.issuperset(step["needs"]):
                self._busy[worker] = key
                self._tell("preparing", key, worker, toolchain="tf1.15")
                self._tell("started", key, worker, engine="docker")
                return

    def _work(self, worker: str, key: str) -> None:
        step, whole = self._steps[key], self._whole[key]
        self._left[key] -= 1
        done = 1 - max(0.0, self._left[key]) / whole
        if step["training"]:
            at = int(TRAINED * done)
            losses = {"classification": 500 / (at + 200), "localization": 300 / (at + 200)}
            self._tell("progress", key, worker, stage="training", step=at, steps=TRAINED, images_per_second=147.4,
                       loss=800 / (at + 200), losses=losses, learning_rate=0.0011,
                       eta_seconds=max(0.0, self._left[key]))  # fmt: skip
        elif step["name"] in ("ingest", "infer"):
            self._tell("progress", key, worker, stage="decoding", step=int(240 * done), steps=240, unit="pictures")
        if key == FAILS:
            del self._busy[worker]
            self._never |= self._behind(key)
            self._tell("error", key, worker, code="bad-graph", message="an operator has no int8 kernel", help="")
            self._tell("failed", key, worker, code="bad-graph")
        elif self._left[key] <= 0:
            del self._busy[worker]
            self._ended.add(key)
            self._tell("finished", key, worker, seconds=whole)

    def _behind(self, key: str) -> set[str]:
        found = {key}
        for other, step in self._steps.items():
            if found & set(step["needs"]):
                found.add(other)
        return found


def main(width: int = 120, height: int = 40, *seconds: int) -> None:
    from builder.progress.glyphs import UNICODE
    from builder.progress.screen import screen, text_of

    cluster = Cluster()
    for second in seconds or (1, 60, 110, 140, 10_000):
        story = cluster.run(second)
        print(f"{cluster.seconds:.0f}s".center(width, "="))
        print(text_of(screen(story.board, width - 1, height - 1, story.now, UNICODE)), end="")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
