"""Builds the canaries of a family's variants, and judges what untrained weights can show. Nothing is released."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from builder.digest import Digest
from builder.engine.base import Emit, Engine
from builder.lock.model import Lock
from builder.manifest.family import Family
from builder.manifest.model import Manifest, Verify
from builder.plan.canary import SUFFIX, Canary, canaries
from builder.plan.code import StepCode
from builder.plan.step import Plan
from builder.predict import predict
from builder.release import budgets, parity, select
from builder.release.figures import figures_of
from builder.release.make import lay_out_training, run_facts
from builder.release.produce import Made, built_variants
from builder.release.trial import Trial
from builder.store.base import BuildStore, StepResult, Store

_BY_WEIGHTS = ("min_map50", "max_map_drop", "max_quant_drop")
"""Budgets of what a model has learnt, of which a canary knows nothing."""


def planned_canaries(family: Family, lock: Lock, code: StepCode) -> list[tuple[Canary, Plan]]:
    """A canary of each variant of ``family``, in order, with its plan."""
    return [(canary, canary.plan(lock, code)) for canary in canaries(family.manifests)]


def try_canaries(
    family: Family,
    tried: Sequence[tuple[Canary, Plan]],
    code: StepCode,
    *,
    sources: Callable[[str], Path],
    store: BuildStore,
    engine: Callable[[], Engine],
    out: Path,
    emit: Emit,
    ran: Collection[Digest] = (),
) -> list[Made]:
    """One entry a variant, in order, each with its ``trial``; ``tried`` as ``planned_canaries`` gives them.

    Files lie in ``out``/NAME-VERSION-canary, made anew. ``ran`` and errors as for ``produce``. Of a variant only what
    does not depend on learning is judged.
    """
    plans = [plan for _, plan in tried]
    variants = [
        replace(variant, manifest=canary.manifest) for variant, (canary, _) in zip(family.variants, tried, strict=True)
    ]
    finished = built_variants(variants, plans, code, sources=sources, store=store, engine=engine, emit=emit, ran=ran)
    made = []
    for (canary, _), (variant, plan, results, cached) in zip(tried, finished, strict=True):
        figures = figures_of(results, store)
        certificate = _document(results, store, "verify", "certificate.json")
        golden = _document(results, store, "verify", "golden/expected.json")
        ingested = _document(results, store, "ingest", "report.json")
        misses = [
            *budgets.of_any_weights(canary.of.verify, figures.metrics, figures.latency),
            *parity.misses(certificate, golden),
        ]
        files = {item.path: item.digest for item in results[plan.target].artifacts}
        trial = Trial(
            of=canary.of,
            files=files,
            run=run_facts(results, figures),
            judged=(*_given(canary.of.verify, but=_BY_WEIGHTS), parity.CHECK),
            not_judged=(*_given(canary.of.verify, only=_BY_WEIGHTS), "constant answer"),
            predicted_bytes=_predicted(canary.of),
            sample=ingested["sample"],
            rejected=tuple(ingested.get("rejected", ())),
            covered=_covered(results, store),
        )
        folder = out / f"{canary.of.name}-{canary.of.version}{SUFFIX}"
        _lay_out(files, results, store, folder)
        candidate = select.Candidate(variant.manifest.name, figures, misses)
        made.append(Made(variant, candidate, None, folder, plan, results, cached, trial))
    return made


def _document(results: Mapping[str, StepResult], store: Store, step: str, path: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(store.read(results[step].artifact(path).digest))
    return document


def _given(verify: Verify, *, only: Sequence[str] = (), but: Sequence[str] = ()) -> list[str]:
    """The budgets that ``verify`` sets: ``only`` those, or all ``but`` those."""
    names = only or [name for name in type(verify).model_fields if name not in but]
    return [name for name in names if getattr(verify, name) is not None]


def _predicted(manifest: Manifest) -> int:
    whole = manifest.model_dump(mode="json")
    return predict(whole["model"], len(manifest.dataset.classes), whole["quantization"]).tflite_bytes


def _covered(results: Mapping[str, StepResult], store: Store) -> float | None:
    if not any(item.path == "coverage.json" for item in results["train"].artifacts):
        return None
    return float(_document(results, store, "train", "coverage.json")["covered"])


def _lay_out(files: Mapping[str, Digest], results: Mapping[str, StepResult], store: Store, folder: Path) -> None:
    """Writes ``files``, and what training and ingest said of themselves, into ``folder``, made anew."""
    unfinished = folder.with_name(folder.name + ".part")
    _remove(unfinished)
    for title, digest in files.items():
        store.copy_to(digest, unfinished / title)
    store.copy_to(results["ingest"].artifact("report.json").digest, unfinished / "data.json")
    lay_out_training(results, store, unfinished / "training")
    _remove(folder)
    unfinished.rename(folder)


def _remove(path: Path) -> None:
    """Whatever is at ``path``; of a link only the link."""
    if path.is_symlink() or path.is_file():
        path.unlink()
    shutil.rmtree(path, ignore_errors=True)
