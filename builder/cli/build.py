from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from builder.cli.options import (
    DEFAULT_RELEASES,
    DEFAULT_STORE,
    BuildEngine,
    Json,
    Manifests,
    Progress,
    ReleaseFolder,
    Scheduler,
    Sources,
    StoreFolder,
    one_of,
    source_paths,
)
from builder.cli.report import Against
from builder.cli.signing import Key
from builder.settings import BUILD_ENGINES, FILES

if TYPE_CHECKING:
    from builder.cli.load import Planned
    from builder.engine.base import Emit, Engine
    from builder.store.base import BuildStore


def build(
    manifests: Manifests,
    source: Sources = None,
    engine: BuildEngine = "auto",
    scheduler: Scheduler = None,
    store: StoreFolder = DEFAULT_STORE,
    releases: ReleaseFolder = DEFAULT_RELEASES,
    out: Annotated[Path, typer.Option(help="Where the files of each release are laid out to be used.")] = FILES,
    key: Key = None,
    against: Against = None,
    check: Annotated[
        bool, typer.Option("--check", help="Then run every step a second time, and say how far bytes are the same.")
    ] = False,
    canary: Annotated[
        bool,
        typer.Option("--canary", help="Run the whole chain on a tiny share of the data, in minutes. Releases nothing."),
    ] = False,
    progress: Progress = "auto",
    as_json: Json = False,
) -> None:
    """Run what is not cached, verify, and release.

    A manifest with variants builds them all, sharing what they have in common, and compares them. With --check the
    steps of each release run again on the same inputs, without cache; what came of it is attached to the release.
    A report of each, also of what is not released, lies in its folder under --out: report.html, report.md, card.md.
    With --canary wrong labels, shapes, converters and sizes are found before hours of training.
    With --engine dask the workers of a Dask scheduler run the steps; --store is one that they share (docs/cluster.md).

    Example: tinsmith build manifests/raccoon-025.yaml --source raccoon=../raccoon_dataset
    """
    from builder.cli.cluster import Cluster
    from builder.cli.load import load_planned, reporter
    from builder.cli.signing import signer
    from builder.cli.table import Produced, print_produced
    from builder.cost.model import RECENT, CostModel
    from builder.cost.work import work
    from builder.errors import UsageError
    from builder.plan.announced import announced
    from builder.release.canary import planned_canaries, try_canaries
    from builder.release.layout import Layout
    from builder.release.make import Signer
    from builder.release.produce import check_new, produce
    from builder.release.select import judge
    from builder.report.variants import write_comparison
    from builder.report.write import write_reports
    from builder.store.places import open_store

    one_of("--engine", engine, BUILD_ENGINES)
    if engine != "dask" and scheduler != os.environ.get("TINSMITH_SCHEDULER"):
        raise UsageError("--scheduler goes with --engine dask", help="add the one, or leave out the other")
    if canary:
        _alone("--check" if check else "--key" if key != os.environ.get("TINSMITH_KEY") else None)
    layout, opened = Layout(releases), open_store(store)
    signing = Signer() if canary else signer(key)
    planned = list(load_planned(manifests))
    local = source_paths(source, [item.family for item in planned])
    trials = [planned_canaries(item.family, item.lock, item.code) if canary else [] for item in planned]
    layout.releases()  # what is wrong with them is better known before an hour of training
    if against is not None:
        layout.find(against)
    to_do = [
        [(one.manifest, plan) for one, plan in tried or zip(item.family.variants, item.plans, strict=True)]
        for item, tried in zip(planned, trials, strict=True)
    ]
    cluster = Cluster.named(scheduler, opened, check=check) if engine == "dask" else None
    families, checks = [], []
    with reporter(progress) as emit:
        chosen = functools.cache(lambda: _engine(engine))
        costs = functools.cache(lambda: CostModel.learnt(opened.recent(RECENT)))
        for item, models in zip(planned, to_do, strict=True):
            emit("plan", announced(
                item.family.name, item.family.version, models,
                cached=lambda key: opened.lookup(key) is not None,
                seconds=lambda step: costs().seconds(step.name, work(step)),
            ))  # fmt: skip
        openers = [_sources(item, local, releases, opened, emit) for item in planned]
        if cluster is not None:
            for item, tried in zip(planned, trials, strict=True):
                if not tried:
                    check_new(layout, item.family, item.plans)
            cluster.run(planned, [plan for models in to_do for _, plan in models], openers, costs(), emit)
        for item, tried, models, sources in zip(planned, trials, to_do, openers, strict=True):
            if cluster is not None and cluster.lacks([plan for _, plan in models]):
                continue
            ran = cluster.ran if cluster is not None else ()
            if tried:
                made = try_canaries(
                    item.family, tried, item.code,
                    sources=sources, store=opened, engine=chosen, out=out, emit=emit, ran=ran,
                )  # fmt: skip
            else:
                made = produce(
                    item.family, item.lock, item.plans, item.code,
                    sources=sources, store=opened, engine=chosen, layout=layout, out=out, signer=signing,
                    emit=emit, ran=ran, started=cluster.started if cluster is not None else None,
                )  # fmt: skip
            write_reports(made, layout, opened, against)
            comparison = write_comparison(item.family, made, out) if len(made) > 1 and not canary else None
            families.append(Produced(item.family, made, comparison))
            if check:
                from builder.rebuild.check import SecondBuild
                from builder.rebuild.record import attach_record

                again = SecondBuild(item.code, sources=sources, store=opened, engine=chosen, emit=emit)
                for one, plan in zip(made, item.plans, strict=True):
                    if one.built is not None:
                        checks.append((one.built.release, again.check(plan)))
                        attach_record(layout, *checks[-1], signing.key)
        if chosen.cache_info().currsize:
            chosen().close()
    print_produced(families, as_json=as_json)
    for release, checked in checks:
        reached = f"tier {checked.tier}" if checked.tier else "no tier"
        print(f"{release.ref} built twice: {reached} reached", file=sys.stderr if as_json else sys.stdout)
    if cluster is not None:
        cluster.judge()
    for produced in families:
        outcome = "canary" if canary else "not released"
        judge(produced.family.select, [item.candidate for item in produced.made], outcome)
    for release, checked in checks:
        from builder.rebuild.check import judge as judge_check

        judge_check(checked, release.ref)


def _sources(
    item: Planned, overrides: Mapping[str, Path], releases: Path, store: BuildStore, emit: Emit
) -> Callable[[str], Path]:
    """What opens the locked data of ``item``, and the weights that it starts from."""
    from builder.digest import Digest
    from builder.lock.sources import source_opener
    from builder.release.weights import release_files
    from builder.settings import cache_folder

    def known(digest: str) -> bytes | None:
        return store.read(Digest(digest)) if store.has(Digest(digest)) else None

    return source_opener(
        item.family.manifests[0], item.lock, item.path, overrides, cache_folder(), emit,
        lambda locked: release_files(locked, releases, cache_folder()), store.write_bytes, known=known,
    )  # fmt: skip


def _engine(name: str) -> Engine:
    # Only when there is a step to run: Docker's client takes as long to import as all the rest.
    from builder.engine.select import choose
    from builder.errors import IntegrityError

    if name == "dask":
        raise IntegrityError(
            "the store lost a result of this build before it could be released", help="run the same command again"
        )
    return choose(name)


def _alone(other: str | None) -> None:
    """UsageError if ``other`` is given with --canary. A key that the environment has for real builds is passed over."""
    from builder.errors import UsageError

    if other is not None:
        raise UsageError(f"--canary and {other} do not go together", help="a canary is never released, nor signed")
