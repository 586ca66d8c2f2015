"""The budgets of a manifest beside what was measured: how much room is left, or by how much it was missed. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from builder.report import words
from builder.report.facts import Facts
from builder.report.formats import Metrics

_MISSED, _KEPT, _UNJUDGED = "missed", "kept", "not judged"


@dataclass(frozen=True)
class Budget:
    """``state`` is one of kept, missed, not judged: the budget is of the other kinds of quantization, it says nothing
    of a canary, or the figure is not there."""

    name: str
    allowed: str
    measured: str
    state: str


def budgets(facts: Facts) -> list[Budget]:
    """One row for each budget that the manifest sets, and one for the constant answer, which is always judged."""
    metrics = facts.metrics
    if metrics is None:
        return []
    limits = facts.manifest.get("verify")
    rows = list(_rows(limits if isinstance(limits, Mapping) else {}, metrics, facts))
    constant = metrics.degenerate.constant_answer
    said = metrics.degenerate.reason or ("they do not" if constant else "they do")
    rows.append(Budget("constant answer", "answers must differ from picture to picture", said, _state(constant)))
    unjudged = facts.subject.unjudged
    return [replace(row, measured="–", state=_UNJUDGED) if row.name in unjudged else row for row in rows]


def _rows(limits: Mapping[str, Any], metrics: Metrics, facts: Facts) -> Iterator[Budget]:
    released, stages = metrics.released, metrics.stages
    if (least := _number(limits, "min_map50")) is not None:
        missed = released.map50 < least
        yield Budget(
            "min_map50", f"mAP@0.5 of {words.share(least)} or more", words.share(released.map50), _state(missed)
        )
    if (most := _number(limits, "max_size")) is not None:
        text = f"{words.size(most)} ({most:,.0f} bytes) or less"
        yield Budget(
            "max_size", text, f"{words.size(metrics.size)} ({metrics.size:,} bytes)", _state(metrics.size > most)
        )
    quantized = metrics.quantization.type != "float32"
    whole = stages.get("float", stages.get("frozen"))
    if (most := _number(limits, "max_quant_drop")) is not None:
        drop = whole.map - released.map if whole is not None and quantized else None
        yield _drop("max_quant_drop", f"{most:g} mAP or less below the float graph", drop, most)
    if (most := _number(limits, "max_map_drop")) is not None:
        frozen = stages.get("frozen")
        drop = max(frozen.map - one.map for one in stages.values()) if frozen is not None and not quantized else None
        yield _drop("max_map_drop", f"{most:g} mAP or less below the trained graph", drop, most)
    if (most := _number(limits, "max_latency_ms")) is not None:
        median = facts.run.latency.latency_ms.median if facts.run is not None else None
        measured = words.milliseconds(median) if median is not None else "–"
        yield Budget(
            "max_latency_ms", f"{most:g} ms or less", measured, _state(median > most if median is not None else None)
        )


def _drop(name: str, allowed: str, drop: float | None, most: float) -> Budget:
    measured = f"{drop:.4f}".replace("-", words.MINUS) if drop is not None else "–"
    return Budget(name, allowed, measured, _state(drop > most if drop is not None else None))


def _state(missed: bool | None) -> str:
    return _UNJUDGED if missed is None else _MISSED if missed else _KEPT


def _number(limits: Mapping[str, Any], name: str) -> float | None:
    value = limits.get(name)
    return (
        float(value) if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e15 else None
    )
