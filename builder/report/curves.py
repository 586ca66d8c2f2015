"""The charts of a report: how training went, and precision against recall."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from builder.report import words
from builder.report.charts import Series, lines
from builder.report.formats import Evaluation, TrainingStage

CLASSES_A_CHART = 6
MOST_CLASSES = 48
_LOSSES = {
    "loss": "total", "classification": "classes", "localization": "boxes", "regularization": "regularization",
}  # fmt: skip
_LOOKS = {"map": "mAP", "map50": "mAP@0.5"}


@dataclass(frozen=True)
class Chart:
    heading: str
    drawn: Markup
    told: str


def training_charts(stage: TrainingStage) -> list[Chart]:
    """Losses, learning rate and what training looked at, as far as ``stage`` has them."""
    found = []
    named = _series(stage, _LOSSES)
    if named:
        told = f"{_went(stage, 'loss')} over {stage.steps:,} steps." if "loss" in stage.curves else ""
        found.append(_chart("Loss", named, "loss", told))
    if rate := _series(stage, {"learning_rate": "learning rate"}):
        values = [point[1] for point in rate[0].points]
        told = f"From {values[0]:.3g} by way of {max(values):.3g} at most to {values[-1]:.3g}."
        found.append(_chart("Learning rate", rate, "learning rate", told))
    if looks := _series(stage, _LOOKS):
        last = words.listed([f"{one.label} {one.points[-1][1]:.3f}" for one in looks])
        found.append(_chart("Accuracy on held-out pictures", looks, "accuracy", f"At the last look: {last}."))
    return found


def precision_recall(evaluation: Evaluation) -> tuple[list[Chart], int]:
    """Charts of CLASSES_A_CHART classes each, and how many classes there was no room for."""
    ordered = sorted(evaluation.precision_recall.items(), key=lambda item: -item[1].boxes)
    kept = [name for name, _ in ordered[:MOST_CLASSES]]
    names = [name for name in evaluation.precision_recall if name in kept]
    charts = []
    for start in range(0, len(names), CLASSES_A_CHART):
        group = names[start : start + CLASSES_A_CHART]
        series = [_curve(name, evaluation) for name in group]
        told = "; ".join(f"{name}: {_told(evaluation, one)}" for name, one in zip(group, series, strict=True))
        title = f"Precision against recall of {words.listed(group, CLASSES_A_CHART)}. {told}"
        drawn = lines(series, "recall", "precision", title, box=(0.0, 1.02))
        charts.append(Chart(words.listed(group, CLASSES_A_CHART), drawn, told))
    return charts, len(evaluation.precision_recall) - len(names)


def _curve(name: str, evaluation: Evaluation) -> Series:
    """The curve of a class as far as it reaches, marked where detections from the advised score on end."""
    curve = evaluation.precision_recall[name]
    points, mark = [], None
    for number, (precision, score) in enumerate(zip(curve.precision, curve.score, strict=True)):
        if not precision:  # beyond the recall that is reached, COCO's figures are 0
            break
        points.append((number / 100, precision))
        if score is not None and score >= evaluation.score:
            mark = points[-1]
    return Series(name, points, mark)


def _told(evaluation: Evaluation, one: Series) -> str:
    if not evaluation.precision_recall[one.label].boxes:
        return "there is no box to find"
    if one.mark is None:
        return "nothing is found from the advised score on"
    return f"at the dot precision {one.mark[1]:.2f}, recall {one.mark[0]:.2f}"


def _series(stage: TrainingStage, labels: Mapping[str, str]) -> list[Series]:
    return [
        Series(label, [(point[0], point[1]) for point in stage.curves[name]])
        for name, label in labels.items()
        if stage.curves.get(name)
    ]


def _chart(heading: str, series: Sequence[Series], up: str, told: str) -> Chart:
    return Chart(heading, lines(series, "step", up, f"{heading} by training step. {told}".strip()), told)


def _went(stage: TrainingStage, name: str) -> str:
    values = [point[1] for point in stage.curves[name]]
    return f"From {values[0]:.3g} to {values[-1]:.3g}" if values else "No values"
