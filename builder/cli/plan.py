from __future__ import annotations

import json

from builder.cli.options import DEFAULT_STORE, Json, Manifests, StoreFolder


def plan(manifests: Manifests, as_json: Json = False, store: StoreFolder = DEFAULT_STORE) -> None:
    """Show the steps of a build, their keys, and which are cached or why not. Needs no engine.

    Example: tinsmith plan manifests/shapes.yaml
    """
    from builder.cli.load import load_planned
    from builder.digest import hex_of
    from builder.plan.make import plan_document
    from builder.plan.status import statuses

    documents = []
    for planned in load_planned(manifests):
        found = statuses(planned.plan, store)
        if as_json:
            document = plan_document(planned.plan)
            for step, status in zip(document["steps"], found, strict=True):
                step["status"] = status
            documents.append(document)
            continue
        print(f"{planned.manifest.name} {planned.manifest.version}  plan {planned.plan.digest}")
        for step, status in zip(planned.plan.steps, found, strict=True):
            print(f"  {step.name:8} {step.toolchain.name:8} {hex_of(step.key)[:16]}  {status}")
    if as_json:
        print(json.dumps(documents[0] if len(documents) == 1 else documents, indent=2, sort_keys=True))
