from __future__ import annotations

import json

from builder.cli.options import DEFAULT_STORE, Json, Manifests, StoreFolder


def plan(manifests: Manifests, as_json: Json = False, store: StoreFolder = DEFAULT_STORE) -> None:
    """Show the steps of a build, their keys, which are cached or why not, and what the model will cost.

    Needs no engine and no data.

    Example: tinsmith plan manifests/shapes.yaml
    """
    from builder.cli.load import load_planned
    from builder.digest import hex_of
    from builder.plan.make import plan_document
    from builder.plan.merge import merged
    from builder.plan.status import statuses
    from builder.predict.manifest import in_words, predicted

    documents = []
    for planned in load_planned(manifests):
        if as_json:
            for variant, plan in zip(planned.family.variants, planned.plans, strict=True):
                document = {**plan_document(plan), "predicted": predicted(variant.manifest)}
                for step, status in zip(document["steps"], statuses(plan, store), strict=True):
                    step["status"] = status
                documents.append(document)
            continue
        family = planned.family
        for variant, plan in zip(family.variants, planned.plans, strict=True):
            print(f"{variant.manifest.name} {family.version}  plan {plan.digest}")
            print(f"  {in_words(predicted(variant.manifest))}")
        steps = merged(planned.plans)
        # Of each plan by itself: a step waits for those of its own variant.
        found = {
            step.key: status
            for plan in planned.plans
            for step, status in zip(plan.steps, statuses(plan, store), strict=True)
        }
        for step, users in steps:
            shared = "" if len(planned.plans) == 1 else f"{users:>3} of {len(planned.plans)}  "
            print(f"  {step.name:12} {step.toolchain.name:10} {hex_of(step.key)[:16]}  {shared}{found[step.key]}")
        if len(planned.plans) > 1:
            apart = sum(len(plan.steps) for plan in planned.plans)
            print(f"  {len(steps)} steps for {len(planned.plans)} variants; built apart they would be {apart}")
    if as_json:
        print(json.dumps(documents[0] if len(documents) == 1 else documents, indent=2, sort_keys=True))
