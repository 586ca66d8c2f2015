"""All that a report tells, read from its subject and checked, before anything of it is written."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

from builder.errors import IntegrityError
from builder.manifest.model import Verify
from builder.release.budgets import misses
from builder.release.documents import CERTIFICATE, METADATA, METRICS, MODEL
from builder.report.formats import (
    LARGEST,
    RELEASED,
    Certificate,
    Document,
    Evaluation,
    Ingested,
    Metadata,
    Metrics,
    Rejected,
    Run,
    Training,
    checked,
    parse,
    unreadable,
)
from builder.report.subject import Subject

EVALUATION, TRAINING, RUN = "evaluation.json", "training.json", "run.json"


@dataclass(frozen=True)
class Facts:
    """``subject`` and its documents; None is what it does not have. ``misses`` are the budgets it misses, a line
    each; ``rejected`` the pictures that ingest could not use, none where that is not known."""

    subject: Subject
    metrics: Metrics | None
    metadata: Metadata
    evaluation: Evaluation | None
    training: Training | None
    certificate: Certificate
    run: Run | None
    misses: tuple[str, ...]
    rejected: tuple[Rejected, ...] = ()

    @property
    def manifest(self) -> Mapping[str, Any]:
        return self.subject.manifest or {}

    @property
    def labels(self) -> list[str]:
        return self.metadata.labels.names

    @property
    def released(self) -> bool:
        return self.subject.digest is not None

    def label(self, number: int) -> str:
        """The name of the class with index ``number``."""
        return self.labels[number] if 0 <= number < len(self.labels) else f"class {number}"


def facts_of(subject: Subject) -> Facts:
    """Everything that reports tell of ``subject``.

    IntegrityError, naming the document, if one cannot be read, is too large, or is of another model.
    """
    metrics = _document(subject, METRICS, Metrics)
    if metrics is not None and RELEASED not in metrics.stages:
        raise IntegrityError(f"{METRICS} of {subject.ref} has no figures of {RELEASED}")
    evaluation = _document(subject, EVALUATION, Evaluation)
    if evaluation is not None:
        _check_evaluation(evaluation, subject)
    run = checked(Run, subject.run, f"{RUN} of {subject.ref}") if subject.run is not None else None
    return Facts(
        subject=subject,
        metrics=metrics,
        metadata=_document(subject, METADATA, Metadata) or Metadata(),
        evaluation=evaluation,
        training=_document(subject, TRAINING, Training),
        certificate=_document(subject, CERTIFICATE, Certificate) or Certificate(),
        run=run,
        misses=subject.misses if subject.misses is not None else _judged(subject, metrics, run),
        rejected=_rejected(subject),
    )


def _document(subject: Subject, title: str, kind: type[Document]) -> Document | None:
    if title not in subject.files:
        return None
    what = f"{title} of {subject.ref}"
    if subject.files[title][1] > LARGEST:
        raise IntegrityError(f"{what} is larger than {LARGEST:,} bytes")
    return parse(kind, subject.read(title), what)


def _rejected(subject: Subject) -> tuple[Rejected, ...]:
    data = subject.ingested() if subject.ingested is not None else b"{}"
    if len(data) > LARGEST:
        return ()  # it names every clipped box: no reason to fail a build
    what = f"what ingest reported of {subject.ref}"
    try:
        # File names that are not UTF-8 become halves of signs in JSON, which are no text.
        data = json.dumps(json.loads(data), ensure_ascii=False).encode("utf-8", "replace")
    except (ValueError, RecursionError) as error:
        raise unreadable(what, error) from error
    return tuple(parse(Ingested, data, what).rejected)


def _check_evaluation(evaluation: Evaluation, subject: Subject) -> None:
    what = f"{EVALUATION} of {subject.ref}"
    if MODEL in subject.files and evaluation.model_digest != subject.files[MODEL][0]:
        raise IntegrityError(f"{what} is of another model than {MODEL}")
    side = len(evaluation.confusion.classes) + 1
    if len(evaluation.confusion.counts) != side or any(len(row) != side for row in evaluation.confusion.counts):
        raise IntegrityError(f"{what} cannot be read: its confusion matrix is not {side} by {side}")
    named = [*evaluation.shown, *(one.id for one in evaluation.worst)]
    if any(str(number) not in evaluation.pictures for number in named):
        raise IntegrityError(f"{what} cannot be read: it shows a picture that it does not describe")


def _judged(subject: Subject, metrics: Metrics | None, run: Run | None) -> tuple[str, ...]:
    """The budgets of the manifest held against the figures; none where either is not known."""
    budgets = (subject.manifest or {}).get("verify")
    if metrics is None or run is None or budgets is None:
        return ()
    try:
        return tuple(misses(Verify.model_validate(budgets), _plain(metrics), _plain(run.latency)))
    except ValidationError:
        return ()  # budgets of another version of the language


def _plain(document: BaseModel) -> dict[str, Any]:
    return document.model_dump()
