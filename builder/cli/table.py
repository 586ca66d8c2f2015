"""What builds amount to, as a table or as JSON."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from builder.manifest.family import Family
from builder.predict.manifest import in_words
from builder.predict.manifest import predicted as predicted_of
from builder.printed import printable
from builder.release.produce import Made
from builder.release.trial import Trial
from builder.report.advice import beaten
from builder.report.write import PAGE

_HEADINGS = ("size", "mAP", "mAP@0.5", "constant box", "latency")
_SHOWN = 5
"""Rejected pictures that are named; data.json has all."""


@dataclass(frozen=True)
class Produced:
    """A family with what was made of it; ``comparison`` is the picture of its variants, if there are several."""

    family: Family
    made: Sequence[Made]
    comparison: Path | None


def print_produced(families: Sequence[Produced], *, as_json: bool) -> None:
    """Size, mAP beside what constant answers get (one box a class, and several), latency, where the files lie."""
    every = [item for produced in families for item in produced.made]
    if as_json:
        print(json.dumps([_document(item) for item in every], indent=2, sort_keys=True))
        return
    if not every:  # of a cluster on which steps failed
        return
    # Elsewhere than on a terminal there is room for the table: logs are searched for these figures.
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    lines = [*rows_told([_row(item) for item in every], width), *filter(None, map(_warning, every))]
    for produced in families:
        for item in produced.made:
            if item.trial is not None:
                lines += _trial_told(item, item.trial)
            elif item.built is not None:
                lines += _files_told(item, brief=len(produced.made) > 1)
        lines += [f"  report  {item.folder / PAGE}" for item in produced.made]
        if produced.comparison is not None:
            lines.append(f"\nvariants compared  {produced.comparison}")
    print(printable("\n".join(lines)))


def rows_told(rows: Sequence[Sequence[str]], width: int | None) -> list[str]:
    """The lines of a table, or where ``width`` is too narrow for it the figures of a release below each other: none is
    ever cut.

    ``rows`` have a release, what _HEADINGS name, and what became of it.
    """
    table = [("release", *_HEADINGS, ""), *rows]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = [
        "  ".join([release.ljust(widths[0]), *map(str.rjust, figures, widths[1:-1]), state]).rstrip()
        for release, *figures, state in table
    ]
    if width is None or max(map(len, lines)) <= width:
        return lines
    lines = []
    for release, *figures, state in rows:
        told = [f"  {heading:12}  {text}" for heading, text in zip(_HEADINGS, figures, strict=True)]
        lines += [release, *told, f"  {state}"]
    return lines


def _row(item: Made) -> tuple[str, ...]:
    figures, manifest = item.candidate.figures, item.variant.manifest
    return (
        f"{manifest.name}@{manifest.version}",
        f"{figures.metrics['size'] / 1e6:.3f} MB",
        *_scores(item),
        f"{figures.latency['latency_ms']['median']:.1f} ms",
        _state(item),
    )


def _scores(item: Made) -> tuple[str, str, str]:
    """mAP, mAP@0.5 and that of a constant box; of a canary they mean nothing."""
    if item.trial is not None:
        return "-", "-", "-"
    figures = item.candidate.figures
    baseline = figures.metrics["constant_baseline"]["map50"]
    return f"{figures.released['map']:.3f}", f"{figures.released['map50']:.3f}", f"{baseline:.3f}"


def _warning(item: Made) -> str:
    """Where a model is worth less than an answer that never changes; of a canary that means nothing."""
    figures, manifest = item.candidate.figures, item.variant.manifest
    if item.trial is not None:
        return ""
    said = beaten(figures.released["map50"], figures.metrics["constant_baseline"]["map50"])
    return f"warning: {manifest.name}@{manifest.version} {said}" if said else ""


def _state(item: Made) -> str:
    if item.trial is not None:
        return "canary: misses its budgets" if item.candidate.misses else "canary: all that was judged holds"
    if item.built is not None:
        return "released" if item.built.new else "released before, the same bytes"
    return "misses its budgets" if item.candidate.misses else "not selected"


def _files_told(item: Made, *, brief: bool) -> list[str]:
    manifest, figures = item.variant.manifest, item.candidate.figures
    if brief:
        return [f"  {item.folder / 'model.tflite'}"]
    several = figures.metrics["constant_baseline"]["several_boxes"]["map50"]
    return [
        f"\n{manifest.name}@{manifest.version}: {_state(item)}",
        f"  mAP@0.5 of several constant boxes {several:.3f}",
        f"  latency on {figures.latency['cpu']}",
        f"  model   {item.folder / 'model.tflite'}",
        f"  picture {item.folder / 'detections.png'}",
    ]


def _trial_told(item: Made, trial: Trial) -> list[str]:
    measured, predicted, sample = item.candidate.figures.metrics["size"], trial.predicted_bytes, trial.sample
    more = len(trial.rejected) - _SHOWN
    difference = 100 * (measured - predicted) / predicted
    return [
        f"\ncanary of {trial.of.name}@{trial.of.version}: not released",
        f"  judged      {', '.join(trial.judged)}",
        f"  not judged  {', '.join(trial.not_judged)}: the model has learnt nothing yet",
        f"  data        annotations of all {sample['total']:,} pictures; {sample['train']:,} trained on, "
        f"{sample['eval']:,} evaluated, {sample['not_opened']:,} not opened"
        + (f", {len(trial.rejected):,} rejected" if trial.rejected else ""),
        *(f"  rejected    {each['file']}: {each['reason']}" for each in trial.rejected[:_SHOWN]),
        *([f"  rejected    {more:,} more, all named in {item.folder / 'data.json'}"] if more > 0 else []),
        f"  size        {measured:,} bytes, {difference:+.1f} % of the {predicted:,} predicted",
        *([f"  init        {100 * trial.covered:.1f} % of the parameters"] if trial.covered is not None else []),
        f"  whole build {in_words(predicted_of(trial.of))}",
        f"  files       {item.folder}",
    ]


def _document(item: Made) -> dict[str, object]:
    manifest, figures, built = item.variant.manifest, item.candidate.figures, item.built
    document: dict[str, object] = {
        "release": f"{manifest.name}@{manifest.version}",
        "variant": dict(item.variant.choices),
        "released": built is not None,
        "misses": list(item.candidate.misses),
        "metrics": figures.metrics,
        "latency": figures.latency,
        "report": str(item.folder / PAGE),
    }
    if item.trial is not None:
        trial = item.trial
        document["canary"] = {
            "of": f"{trial.of.name}@{trial.of.version}",
            "judged": list(trial.judged),
            "not_judged": list(trial.not_judged),
            "sample": dict(trial.sample),
            "rejected": [dict(each) for each in trial.rejected],
            "covered": trial.covered,
            "predicted": predicted_of(trial.of),
            "files": str(item.folder),
        }
    if built is not None:
        model = built.release.files["model.tflite"]
        document |= {
            "digest": built.release.digest,
            "new": built.new,
            "model": {"path": str(item.folder / "model.tflite"), "digest": model[0], "size": model[1]},
            "latency": built.run["latency"],
        }
    return document
