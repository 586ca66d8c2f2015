"""What changed from one subject to the next. Pure: the facts of two in, rows out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from builder.rebuild.causes import leaves
from builder.report import words
from builder.report.facts import Facts
from builder.report.formats import Run, Stage

_UNTOLD = ("name", "version", "train.cpu_class")
"""Paths of a manifest whose difference says nothing of the model."""
LATENCY_NOISE = 0.1
"""Share by which latency moves from run to run of the same file: less is called neither better nor worse."""
_SMALLER, _NEITHER, _LARGER = -1, 0, 1


@dataclass(frozen=True)
class Change:
    """A value that is another one; None is nothing."""

    what: str
    before: Any
    after: Any

    @property
    def told(self) -> tuple[str, str]:
        return words.value(self.before), words.value(self.after)


@dataclass(frozen=True)
class Delta:
    """A figure on both sides; None where one has no such figure. ``unit`` is one of ``words.UNITS``.

    ``better``: True or False where the difference has a good side, None where it has none or cannot be compared.
    """

    what: str
    unit: str
    before: float | None
    after: float | None
    better: bool | None

    @property
    def told(self) -> tuple[str, str, str]:
        """(before, after, difference) in words."""
        write = words.UNITS[self.unit]
        before, after = ("–" if side is None else write(side) for side in (self.before, self.after))
        if self.before is None or self.after is None:
            return before, after, ""
        return before, after, words.change(self.before, self.after, self.unit)

    @property
    def verdict(self) -> str:
        return {True: "better", False: "worse", None: ""}[self.better]


@dataclass(frozen=True)
class Difference:
    """``before`` names what is compared with, None if there is nothing: then only ``figures`` has rows.

    ``headings``: what to call the two in a table.

    ``manifest``: values that differ, by dotted path; ``origins``: toolchains and data; ``classes``: the average
    precision of each class. ``steps``: names of the steps that ran with other inputs or other code, None if that is not
    known. ``notes``: what has to be known to read the figures. ``machines``: what latency was measured on, before and
    now.
    """

    before: str | None
    headings: tuple[str, str]
    figures: tuple[Delta, ...]
    classes: tuple[Delta, ...] = ()
    manifest: tuple[Change, ...] | None = None
    origins: tuple[Change, ...] = ()
    steps: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()
    machines: tuple[str, str] | None = None


def difference(old: Facts | None, new: Facts) -> Difference:
    """What changed from ``old`` to ``new``."""
    if old is None:
        return Difference(None, ("", new.subject.version), tuple(_figures(None, new)))
    named = old.subject.name == new.subject.name and old.subject.version != new.subject.version
    return Difference(
        before=old.subject.ref,
        headings=(old.subject.version, new.subject.version) if named else (old.subject.ref, new.subject.ref),
        figures=tuple(_figures(old, new)),
        classes=tuple(_classes(old, new)),
        manifest=tuple(_manifest(old, new)) if old.subject.manifest and new.subject.manifest else None,
        origins=tuple(_origins(old, new)),
        steps=_steps(old, new),
        notes=tuple(_notes(old, new)),
        machines=(machine(old.run), machine(new.run)) if old.run is not None and new.run is not None else None,
    )


def machines_told(before: str, now: str) -> str:
    """What latency was measured on, before and now, in a sentence or two."""
    return f"Latency before and now: {now}." if before == now else f"Latency before: {before}. Latency now: {now}."


def same_pictures(old: Facts, new: Facts) -> bool:
    """Were both evaluated on the same pictures, with the same annotations, as far as they say?"""
    splits = [side.metadata.dataset.splits.get("eval") for side in (old, new)]
    return splits[0] is not None and splits[0] == splits[1]


def same_machine(old: Facts, new: Facts) -> bool:
    """Were latencies measured on CPUs of one name, with as many threads?"""
    return old.run is not None and new.run is not None and machine(old.run) == machine(new.run)


def machine(run: Run) -> str:
    """What latency was measured on."""
    return f"{run.latency.cpu}, {run.latency.threads} threads"


def _figures(old: Facts | None, new: Facts) -> Iterator[Delta]:
    judged = old is not None and not new.subject.canary
    alike, fair = (judged and old is not None and same(old, new) for same in (same_pictures, same_machine))

    def row(what: str, unit: str, figure: Callable[[Facts], float | None], side: int) -> Delta:
        return _delta(what, unit, figure(old) if old is not None else None, figure(new), side)

    yield row("size of the .tflite", "bytes", lambda side: side.metrics.size if side.metrics else None, _SMALLER)
    for word, name in (("mAP", "map"), ("mAP@0.5", "map50"), ("mAP@0.75", "map75"), ("AR@100", "ar100")):
        yield row(word, "share", partial(_accuracy, name), _LARGER if alike else _NEITHER)
    yield row("mAP@0.5 of one constant box", "share", _constant, _NEITHER)
    yield row("latency, median", "ms", partial(_latency, "median"), _SMALLER if fair else _NEITHER)
    yield row("latency, 90 % are below", "ms", partial(_latency, "p90"), _NEITHER)
    yield row("memory at its peak", "MB", lambda side: side.run.latency.peak_memory_mb if side.run else None, _NEITHER)


def _accuracy(name: str, facts: Facts) -> float | None:
    stage = _released(facts)
    found: float | None = getattr(stage, name) if stage is not None else None
    return found


def _constant(facts: Facts) -> float | None:
    return facts.metrics.constant_baseline.map50 if facts.metrics is not None else None


def _latency(name: str, facts: Facts) -> float | None:
    found: float | None = getattr(facts.run.latency.latency_ms, name) if facts.run is not None else None
    return found


def _classes(old: Facts, new: Facts) -> Iterator[Delta]:
    one, other = (_released(side) for side in (old, new))
    if one is None or other is None:
        return
    side = _LARGER if same_pictures(old, new) else _NEITHER
    for name in [*other.per_class, *(name for name in one.per_class if name not in other.per_class)]:
        before, after = (stage.per_class.get(name) for stage in (one, other))
        yield _delta(name, "share", before.ap if before else None, after.ap if after else None, side)


def _manifest(old: Facts, new: Facts) -> Iterator[Change]:
    for path, before, after in leaves(dict(old.manifest), dict(new.manifest), ""):
        what = path.lstrip(".")
        if what not in _UNTOLD:
            yield Change(what, before, after)


def _origins(old: Facts, new: Facts) -> Iterator[Change]:
    one, other = old.metadata, new.metadata
    for name in sorted({*one.toolchains, *other.toolchains}):
        yield from _changed(f"toolchain {name}", one.toolchains.get(name), other.toolchains.get(name))
    yield from _changed("data", one.dataset.digest, other.dataset.digest)
    for name in sorted({*one.dataset.splits, *other.dataset.splits}):
        parts = [side.dataset.splits.get(name) for side in (one, other)]
        told = [f"{part.images:,} pictures, {part.digest[:19]}…" if part is not None else None for part in parts]
        if parts[0] != parts[1]:
            yield Change(f"pictures of {name}", *told)


def _steps(old: Facts, new: Facts) -> tuple[str, ...] | None:
    if old.run is None or new.run is None:
        return None
    keys, known = new.run.steps, old.run.steps
    if any(step.key is None for step in (*keys.values(), *known.values())):
        return None
    names = [name for name in new.subject.order if name in keys] or list(keys)
    return tuple(name for name in names if name not in known or known[name].key != keys[name].key)


def _notes(old: Facts, new: Facts) -> Iterator[str]:
    if _released(old) is not None and _released(new) is not None and not same_pictures(old, new):
        yield (
            "The two were evaluated on different pictures or annotations: a difference in accuracy may come from these."
        )
    if old.run is not None and new.run is not None and not same_machine(old, new):
        yield "Latency was measured on different machines, or with other threads: these milliseconds do not compare."


def _released(facts: Facts | None) -> Stage | None:
    return facts.metrics.released if facts is not None and facts.metrics is not None else None


def _delta(what: str, unit: str, before: float | None, after: float | None, side: int) -> Delta:
    """``side``: whether larger is better, or smaller, or neither."""
    if before is None or after is None or not side or words.UNITS[unit](before) == words.UNITS[unit](after):
        return Delta(what, unit, before, after, None)
    noise = unit == "ms" and abs(after - before) <= LATENCY_NOISE * before
    return Delta(what, unit, before, after, None if noise else (after > before) == (side == _LARGER))


def _changed(what: str, before: str | None, after: str | None) -> Iterator[Change]:
    if before != after:
        yield Change(what, before, after)
