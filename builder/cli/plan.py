from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from builder.cli.options import DEFAULT_STORE, Json, Places, StoreFolder

if TYPE_CHECKING:
    from builder.plan.summary import Texts

MANY = 20
"""Manifests from which on a last line says what they are together."""


def plan(manifests: Places, as_json: Json = False, store: StoreFolder = DEFAULT_STORE) -> None:
    """Show the steps of a build, their keys, which are cached or why not, and what the model will cost.

    Needs no engine and no data. There may be thousands of manifests; of those that have not changed since they were
    last planned, the plan is remembered.

    Example: tinsmith plan manifests/shapes.yaml
    """
    texts = [item for place in manifests for item in _manifests(place)]
    if as_json:
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


def _print_text(texts: list[Texts], store: str) -> None:
    from builder.cli.planned import PlanText
    from builder.errors import InvalidManifest, refuse
    from builder.plan.code import read_step_code
    from builder.plan.summaries import summaries
    from builder.resources import steps_folder

    found = summaries(texts, read_step_code(steps_folder()))
    refuse([item for item in found if isinstance(item, InvalidManifest)])
    shown = PlanText(store)
    for item in found:
        assert not isinstance(item, InvalidManifest)
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
