"""The table of models, put into words. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from builder.catalogue.models import Model
from builder.catalogue.wording import machine, megabytes, milliseconds, share, some


@dataclass(frozen=True)
class Row:
    """A model in the index: texts, and the values that they are sorted and filtered by."""

    name: str
    link: str
    version: str
    versions: int
    description: str
    task: str
    classes: str
    class_count: int
    size: str
    size_mb: float
    map: str
    map_value: float
    map50: str
    map50_value: float
    beaten: bool
    """By one constant box."""
    latency: str
    latency_ms: float | None
    cpu: str
    quantization: str
    license: str
    test_set: str
    pictures: int
    words: str
    """All that a search looks in, in lower case."""


def row(model: Model, sets: Mapping[str, str], link: str) -> Row:
    entry, facts = model.newest, model.newest.facts
    latency, stage = entry.background.latency, facts.released
    names = facts.labels.names
    words = (model.name, facts.description, facts.license, facts.architecture.name, facts.quantized, facts.task)
    return Row(
        name=model.name,
        link=link,
        version=entry.release.version,
        versions=len(model.steps),
        description=facts.description,
        task=facts.task,
        classes=some(names),
        class_count=len(names),
        size=megabytes(entry.size),
        size_mb=entry.size / 1e6,
        map=share(stage.map),
        map_value=stage.map,
        map50=share(stage.map50),
        map50_value=stage.map50,
        beaten=facts.beaten,
        latency=milliseconds(latency.latency_ms.median) if latency else "–",
        latency_ms=latency.latency_ms.median if latency else None,
        cpu=machine(latency),
        quantization=facts.quantized,
        license=facts.license,
        test_set=sets[facts.tested_on],
        pictures=facts.metrics.images,
        words=" ".join([*words, *facts.authors, *names]).lower(),
    )
