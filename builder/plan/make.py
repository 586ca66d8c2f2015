"""Manifest + Lock -> Plan. Pure: no clock, no disk, no network, no engine.

Each step's parameters hold just what its result depends on, so that a change to one field of the manifest
reruns only the steps that read it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from builder.digest import Digest, digest_bytes, digest_json
from builder.lock.model import Lock
from builder.manifest.model import Manifest
from builder.plan.code import StepCode, modules_of
from builder.plan.step import KEY_FORMAT, Plan, Step, StepInput, Toolchain

LITERT = "litert"
CPU_CLASS = "x86-64-v3"
"""The CPU class that training is declared for: its results may differ on another one."""

_NETWORK_FIELDS = ("architecture", "depth_multiplier", "input_shape")


@dataclass(frozen=True)
class _Recipe:
    """A step before it has a key: ``needs`` maps input names to the steps they come from."""

    name: str
    toolchain: str
    params: Mapping[str, Any]
    needs: Mapping[str, str]
    memory_mb: int = 4096
    resumable: bool = False


def make_plan(manifest: Manifest, lock: Lock, code: StepCode) -> Plan:
    """The steps that build ``manifest`` as locked, each with its key.

    Raises ValueError where the lock lacks a toolchain; ``builder.lock`` refuses such locks beforehand.
    """
    source = lock.dataset.digest if lock.dataset else None
    toolchains = {name: lock.toolchain(name) for name in (manifest.toolchain, LITERT)}
    steps: dict[str, Step] = {}
    for recipe in _recipes(manifest, lock):
        inputs = tuple(StepInput(name, step=step) for name, step in sorted(recipe.needs.items()))
        if recipe.name == "ingest" and source:
            inputs = (StepInput("source", source=source),)
        files = modules_of(recipe.name, code)
        steps[recipe.name] = _keyed(recipe, toolchains[recipe.toolchain], inputs, files, code, steps)
    ordered = tuple(steps.values())
    identity = {"name": manifest.name, "version": manifest.version, "keys": [step.key for step in ordered]}
    return Plan(manifest.name, manifest.version, ordered, "package", digest_json(identity))


def _recipes(manifest: Manifest, lock: Lock) -> list[_Recipe]:
    whole = manifest.model_dump(mode="json")
    model, tf1 = whole["model"], manifest.toolchain
    classes = whole["dataset"]["classes"]
    dataset = {key: value for key, value in whole["dataset"].items() if key != "source"}
    network = {key: model[key] for key in _NETWORK_FIELDS}
    common = {"model": model, "classes": classes}
    package = {
        **common,
        "name": manifest.name,
        "version": manifest.version,
        "manifest_digest": manifest.digest,
        "quantization": whole["quantization"],
        "release": whole["release"],
        "toolchains": {name: lock.toolchain(name).digest for name in (tf1, LITERT)},
        "dataset_digest": lock.dataset.digest if lock.dataset else None,
    }
    evaluated = {"inferred": "infer", "converted": "convert", "graph": "export"}
    return [
        _Recipe("ingest", tf1, {"dataset": dataset}, {}),
        _Recipe(
            "train",
            tf1,
            {"model": network, "train": whole["train"], "classes": classes, "cpu_class": CPU_CLASS},
            {"data": "ingest"},
            memory_mb=12288,
            resumable=True,
        ),
        _Recipe("export", tf1, common, {"weights": "train"}),
        _Recipe("convert", tf1, {"model": model, "quantization": whole["quantization"]}, {"graph": "export"}),
        _Recipe("infer", tf1, common, {"data": "ingest", "graph": "export", "converted": "convert"}),
        _Recipe("verify", LITERT, common, evaluated),
        _Recipe("measure", LITERT, {"model": model, "threads": 2}, {"converted": "convert", "graph": "export"}),
        _Recipe(
            "package",
            LITERT,
            package,
            {"converted": "convert", "graph": "export", "verified": "verify", "data": "ingest"},
        ),
    ]


def _keyed(
    recipe: _Recipe,
    toolchain: Toolchain,
    inputs: tuple[StepInput, ...],
    files: tuple[str, ...],
    code: StepCode,
    done: Mapping[str, Step],
) -> Step:
    step = Step(
        name=recipe.name,
        command=f"run.py {recipe.name}",
        toolchain=toolchain,
        params=recipe.params,
        inputs=inputs,
        code=files,
        key=Digest(""),
        memory_mb=recipe.memory_mb,
        resumable=recipe.resumable,
    )
    # Everything that decides the output bytes, in one place. Host, time, engine and retries stay out.
    identity = {
        "format": KEY_FORMAT,
        "step": step.name,
        "toolchain": toolchain.digest,
        "params": step.params,
        "code": {name: digest_bytes(code[name]) for name in files},
        "inputs": {
            item.name: {"source": item.source} if item.step is None else {"key": done[item.step].key} for item in inputs
        },
        "threads": step.threads,
    }
    return Step(**{**step.__dict__, "key": digest_json(identity)})


def plan_document(plan: Plan) -> dict[str, Any]:
    """The plan as plain data, for ``plan --json``, the golden files and the recipe of a release."""
    return {
        "name": plan.name,
        "version": plan.version,
        "digest": plan.digest,
        "target": plan.target,
        "steps": [
            {
                "name": step.name,
                "key": step.key,
                "toolchain": step.toolchain.name,
                "toolchain_digest": step.toolchain.digest,
                "params": step.params,
                "inputs": [
                    {"name": item.name, "source": item.source}
                    if item.step is None
                    else {"name": item.name, "step": item.step}
                    for item in step.inputs
                ],
                "code": list(step.code),
                "threads": step.threads,
            }
            for step in plan.steps
        ],
    }
