"""Releases put together: the versions of each model, what changed between them, who was tested on the same pictures.

Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from builder.catalogue.entry import Entry
from builder.versions import Version, newest, parse_version


@dataclass(frozen=True)
class Drift:
    """From the version before to this one. Bytes, shares, milliseconds; None where the two do not compare."""

    size: int
    map: float | None
    map50: float | None
    latency: float | None
    added: tuple[str, ...]
    removed: tuple[str, ...]
    reordered: bool
    input: bool
    quantization: tuple[str, str] | None
    license: tuple[str, str] | None
    test_set: bool
    """Has the test set changed? Then mAP does not compare."""


@dataclass(frozen=True)
class Step:
    """A version, and how it differs from the one before it; None for the first."""

    entry: Entry
    drift: Drift | None


@dataclass(frozen=True)
class Model:
    """``steps`` from the highest version to the lowest; ``newest`` is what is advised, a release if there is one."""

    name: str
    steps: tuple[Step, ...]
    newest: Entry


def models_of(entries: Iterable[Entry]) -> list[Model]:
    """By name."""
    ordered = sorted(entries, key=lambda entry: (entry.release.name.lower(), entry.release.name))
    return [_model(name, list(group)) for name, group in groupby(ordered, lambda entry: entry.release.name)]


def sets_of(models: Sequence[Model]) -> dict[str, str]:
    """A letter for each set of pictures that the newest versions were tested on, from ``Facts.tested_on``."""
    found = dict.fromkeys(model.newest.facts.tested_on for model in models)
    return {digest: _letter(number) for number, digest in enumerate(found)}


def drift(before: Entry, entry: Entry) -> Drift:
    """What changed from ``before`` to ``entry``."""
    old, new = before.facts, entry.facts
    same = old.tested_on == new.tested_on
    was, names = set(old.labels.names), set(new.labels.names)
    added = tuple(name for name in new.labels.names if name not in was)
    removed = tuple(name for name in old.labels.names if name not in names)
    return Drift(
        size=entry.size - before.size,
        map=new.released.map - old.released.map if same else None,
        map50=new.released.map50 - old.released.map50 if same else None,
        latency=_latency(before, entry),
        added=added,
        removed=removed,
        reordered=not added and not removed and old.labels.names != new.labels.names,
        input=old.input != new.input,
        quantization=(old.quantized, new.quantized) if old.quantized != new.quantized else None,
        license=(old.license, new.license) if old.license != new.license else None,
        test_set=not same,
    )


def _latency(before: Entry, entry: Entry) -> float | None:
    old, new = before.background.latency, entry.background.latency
    if old is None or new is None or (old.cpu, old.threads) != (new.cpu, new.threads):
        return None
    return new.latency_ms.median - old.latency_ms.median


def _model(name: str, entries: list[Entry]) -> Model:
    ordered = sorted(entries, key=_order)
    befores: list[Entry | None] = [None, *ordered[:-1]]
    steps = [
        Step(entry, drift(before, entry) if before is not None else None)
        for before, entry in zip(befores, ordered, strict=True)
    ]
    best = newest([(entry.release.version, entry) for entry in ordered])
    assert best is not None
    return Model(name, tuple(reversed(steps)), best)


def _order(entry: Entry) -> tuple[bool, Version, str]:
    """By precedence; what is no semantic version comes first, by its text."""
    version = parse_version(entry.release.version)
    return version is not None, version or Version(0, 0, 0), entry.release.version


def _letter(number: int) -> str:
    turn, place = divmod(number, 26)
    return chr(ord("A") + place) + (str(turn + 1) if turn else "")
