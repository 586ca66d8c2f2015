from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from builder.cli.options import DEFAULT_STORE, Json, Places, StoreFolder

if TYPE_CHECKING:
    from builder.plan.summary import Summary, Texts

MANY = 20
"""Manifests from which on a last line says what they are together."""


def plan(
    manifests: Places,
    simulate: Annotated[
        str | None,
        typer.Option(
            metavar="CLUSTER",
            help="How long the steps without a result would take on workers: workers=N[,slots=N][,memory=MB].",
        ),
    ] = None,
    as_json: Json = False,
    store: StoreFolder = DEFAULT_STORE,
) -> None:
    """Show the steps of a build, their keys, which are cached or why not, and what the model will cost.

    Needs no engine and no data. There may be thousands of manifests; of those that have not changed since they were
    last planned, the plan is remembered. With --simulate the costs come from the runs that the store remembers
    (docs/scale.md).

    Example: tinsmith plan manifests/ --simulate workers=32
    """
    texts = [item for place in manifests for item in _manifests(place)]
    if simulate is not None:
        _print_forecast(simulate, texts, store, as_json)
    elif as_json:
        _print_json([Path(item.path) for item in texts], store)
    else:
        _print_text(texts, store)


def _manifests(place: Path) -> list[Texts]:
    from builder.changes.manifests import on_disk
    from builder.errors import UsageError

    found = on_disk(place)
    if not found:
        raise UsageError(f"no manifest is below {place}", help="see 'tinsmith init' to write one")
    return found


def _summaries(texts: list[Texts]) -> list[Summary]:
    from builder.errors import InvalidManifest, refuse
    from builder.plan.code import read_step_code
    from builder.plan.summaries import summaries
    from builder.resources import steps_folder

    found = summaries(texts, read_step_code(steps_folder()))
    refuse([item for item in found if isinstance(item, InvalidManifest)])
    return [item for item in found if not isinstance(item, InvalidManifest)]


def _print_forecast(simulate: str, texts: list[Texts], store: str, as_json: bool) -> None:
    from builder.cli.simulated import cluster_of, document, told
    from builder.cost.forecast import forecast
    from builder.cost.model import RECENT, CostModel
    from builder.plan.status import Statuses
    from builder.store.places import open_known

    cluster = cluster_of(simulate)
    plans = [plan for item in _summaries(texts) for plan in item.plans]
    known = open_known(store)
    past = known.recent(RECENT) if known is not None else []
    found = forecast(plans, Statuses(store).cached, CostModel.learnt(past), cluster)
    print(json.dumps(document(found), indent=2, sort_keys=True) if as_json else told(found))


def _print_text(texts: list[Texts], store: str) -> None:
    from builder.cli.planned import PlanText

    found, shown = _summaries(texts), PlanText(store)
    for item in found:
        print(shown.of(item))
    if len(found) >= MANY:
        print(shown.total())


def _print_json(manifests: list[Path], store: str) -> None:
    from builder.cli.load import load_planned
    from builder.plan.make import plan_document
    from builder.plan.status import Statuses
    from builder.plan.summary import step_lines
    from builder.predict.manifest import predicted

    documents, found = [], Statuses(store)
    for planned in load_planned(manifests):
        for variant, plan in zip(planned.family.variants, planned.plans, strict=True):
            document = {**plan_document(plan), "predicted": predicted(variant.manifest)}
            for step, status in zip(document["steps"], found.of(step_lines(plan)), strict=True):
                step["status"] = status
            documents.append(document)
    print(json.dumps(documents[0] if len(documents) == 1 else documents, indent=2, sort_keys=True))
