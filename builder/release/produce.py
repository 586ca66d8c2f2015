"""Builds every variant of a manifest, judges them together and releases those that are kept."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builder.build import build
from builder.digest import Digest
from builder.engine.base import Emit, Engine
from builder.errors import IntegrityError
from builder.lock.model import Lock
from builder.manifest.family import Family, Variant
from builder.plan.code import StepCode
from builder.plan.step import Plan
from builder.release import budgets, select
from builder.release.document import PLAN
from builder.release.figures import figures_of
from builder.release.layout import Layout
from builder.release.make import Built, Signer, lay_out_training, make_release, pull
from builder.release.trial import Trial
from builder.resources import docker_folder
from builder.store.base import BuildStore, StepResult


@dataclass(frozen=True)
class Made:
    """What became of a variant; ``built`` is None if it was not released, else its files lie in ``folder``.

    ``results``: those of the steps of ``plan``, by name; ``cached``: the steps whose results were there before.
    ``trial``: of a canary, which is never released, what it is of and what was judged; its files lie there, too.
    """

    variant: Variant
    candidate: select.Candidate
    built: Built | None
    folder: Path
    plan: Plan
    results: Mapping[str, StepResult]
    cached: frozenset[str]
    trial: Trial | None = None


def produce(
    family: Family,
    lock: Lock,
    plans: tuple[Plan, ...],
    code: StepCode,
    *,
    sources: Callable[[str], Path],
    store: BuildStore,
    engine: Callable[[], Engine],
    layout: Layout,
    out: Path,
    signer: Signer,
    emit: Emit,
    ran: Collection[Digest] = (),
    started: datetime.datetime | None = None,
) -> list[Made]:
    """One entry a variant, in order. Files of each release are laid out in ``out``/NAME-VERSION.

    ``ran``: the keys of steps that a cluster has just run for this very build, which it ``started`` then (now if None).

    Every variant is built and measured before any is judged: see ``select``. Errors as for ``build`` and
    ``make_release``; IntegrityError (``immutable``) before the first step if a version was released by another plan.
    """
    check_new(layout, family, plans)
    finished, started = [], started or datetime.datetime.now(datetime.UTC)
    for variant, plan, results, cached in built_variants(
        family.variants, plans, code, sources=sources, store=store, engine=engine, emit=emit, ran=ran
    ):
        figures = figures_of(results, store)
        misses = budgets.misses(variant.manifest.verify, figures.metrics, figures.latency)
        finished.append((variant, plan, results, cached, select.Candidate(variant.manifest.name, figures, misses)))
    candidates = [candidate for *_, candidate in finished]
    made = []
    for (variant, plan, results, cached, candidate), keep in zip(
        finished, select.released(family.select, candidates), strict=True
    ):
        folder = out / f"{variant.manifest.name}-{variant.manifest.version}"
        built = None
        if keep:
            built = make_release(
                variant.manifest, lock, plan, code, docker_folder(), results, candidate.figures,
                sources, store, layout, started, signer,
            )  # fmt: skip
            pull(layout, built.release, folder)
            lay_out_training(results, store, folder / "training")
        made.append(Made(variant, candidate, built, folder, plan, results, frozenset(cached)))
    return made


def built_variants(
    variants: Sequence[Variant],
    plans: Sequence[Plan],
    code: StepCode,
    *,
    sources: Callable[[str], Path],
    store: BuildStore,
    engine: Callable[[], Engine],
    emit: Emit,
    ran: Collection[Digest] = (),
) -> Iterator[tuple[Variant, Plan, dict[str, StepResult], frozenset[str]]]:
    """Each variant with its plan, the results of its steps and the names of those that were there before, one after the
    other; ``ran`` and errors as for ``produce`` and ``build``."""
    for number, (variant, plan) in enumerate(zip(variants, plans, strict=True), 1):
        if len(plans) > 1:
            emit("message", {"step": "", "text": f"variant {number} of {len(plans)}: {variant.manifest.name}"})
        cached: set[str] = set()
        results = build(plan, code=code, sources=sources, store=store, engine=engine, emit=_noting(cached, ran, emit))
        yield variant, plan, results, frozenset(cached)


def _noting(cached: set[str], ran: Collection[Digest], emit: Emit) -> Emit:
    """``emit``, which also puts the names of cached steps into ``cached``, but for those that ``ran``."""

    def noting(kind: str, detail: Mapping[str, Any]) -> None:
        if kind == "cached" and detail["key"] not in ran:
            cached.add(detail["step"])
        emit(kind, detail)

    return noting


def check_new(layout: Layout, family: Family, plans: tuple[Plan, ...]) -> None:
    """IntegrityError (``immutable``) if a version was released by another plan: that can never give the same release,
    which is better known before an hour of training."""
    manifests = (variant.manifest for variant in family.variants)
    planned = {(manifest.name, manifest.version): plan.digest for manifest, plan in zip(manifests, plans, strict=True)}
    for known in layout.releases():
        digest = planned.get((known.name, known.version))
        if digest is not None and known.annotations.get(PLAN) != digest:
            raise IntegrityError(
                f"{known.ref} is released already, from another plan",
                help="a released version never changes: raise 'version' in the manifest; what differs is said by "
                f"'tinsmith why {known.ref} MANIFEST'",
                code="immutable",
            )
