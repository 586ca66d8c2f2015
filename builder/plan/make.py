"""Manifest + Lock -> Plan. Pure: no clock, no disk, no network, no engine.

Each step's parameters hold just what its result depends on, so that a change to one field of the manifest
reruns only the steps that read it.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from builder.digest import Digest, digest_json
from builder.lock.model import Lock, LockedSource
from builder.manifest.model import Manifest
from builder.plan.code import Modules, StepCode
from builder.plan.identity import plan_digest, step_key
from builder.plan.step import Plan, Step, StepInput, Toolchain

LITERT = "litert"
_STEP_THREADS = 2

_TUNING_FIELDS = ("batch_size", "seed", "augmentation", "checkpoint_every", "loss", "clip_norm")
_NETWORK_FIELDS = ("architecture", "depth_multiplier", "min_depth", "input_shape", "anchors")


@dataclass(frozen=True)
class _Recipe:
    """A step before it has a key: ``needs`` maps input names to the steps they come from, ``sources`` to digests."""

    name: str
    toolchain: str
    params: Mapping[str, Any]
    needs: Mapping[str, str]
    sources: Mapping[str, str] = field(default_factory=dict)
    module: str | None = None
    memory_mb: int = 4096
    resumable: bool = False
    any_threads: bool = False


def make_plan(manifest: Manifest, lock: Lock, code: StepCode, sample: Mapping[str, int] | None = None) -> Plan:
    """The steps that build ``manifest`` as locked, each with its key.

    With a ``sample`` (see ``plan.canary``) ingest takes no more than that of the data. Raises ValueError where the lock
    lacks a toolchain; ``builder.lock`` refuses such locks beforehand.
    """
    modules = code if isinstance(code, Modules) else Modules(code)
    toolchains = {name: lock.toolchain(name) for name in (manifest.toolchain.name, LITERT)}
    steps: dict[str, Step] = {}
    for recipe in _recipes(manifest, lock, sample):
        inputs = [StepInput(name, step=step) for name, step in recipe.needs.items()]
        inputs += [StepInput(name, source=digest) for name, digest in recipe.sources.items()]
        inputs.sort(key=lambda item: item.name)
        steps[recipe.name] = _keyed(recipe, toolchains[recipe.toolchain], tuple(inputs), modules, steps)
    ordered = tuple(steps.values())
    digest = plan_digest(manifest.name, manifest.version, [step.key for step in ordered])
    return Plan(manifest.name, manifest.version, ordered, "package", digest)


def _recipes(manifest: Manifest, lock: Lock, sample: Mapping[str, int] | None) -> list[_Recipe]:
    whole = manifest.model_dump(mode="json")
    model, tf1, quantization = whole["model"], manifest.toolchain.name, whole["quantization"]
    aware = quantization["type"] == "uint8-qat"
    classes = whole["dataset"]["classes"]
    network = {
        "model": {key: model[key] for key in _NETWORK_FIELDS},
        "classes": classes,
        "cpu_class": whole["train"]["cpu_class"],
    }
    common = {"model": model, "classes": classes}
    quantized = {**common, "quantization": quantization}
    # The float network is trained and exported the same way whatever becomes of it, so that variants share the steps.
    recipes = [
        _ingest(tf1, {"dataset": _without(whole["dataset"], "source")}, _named("source", lock.dataset), sample),
        _Recipe(
            "train",
            tf1,
            {**network, "train": {**_without(whole["train"], "cpu_class"), "init": _init(manifest)}},
            {"data": "ingest"},
            _named("init", lock.init),
            memory_mb=12288,
            resumable=True,
            any_threads=True,
        ),
        _Recipe("float-export" if aware else "export", tf1, common, {"weights": "train"}, module="export"),
    ]
    # What is released is what is measured: from here on ``converted`` is the file with its metadata.
    evaluated = {"inferred": "infer", "converted": "embed", "graph": "export"}
    inferred = {"data": "ingest", "graph": "export", "converted": "embed"}
    trained = {"weights": "train"}
    if aware:
        trained = {"weights": "qat", "trained": "train"}
        inferred["float_graph"] = "float-export"
        tuned = {key: whole["train"][key] for key in _TUNING_FIELDS}
        recipes += [
            _Recipe(
                "qat",
                tf1,
                {**network, "train": tuned, "quantization": quantization},
                {"data": "ingest", "weights": "train"},
                memory_mb=12288,
                resumable=True,
            ),
            _Recipe("export", tf1, {**common, "quantization_aware": True}, {"weights": "qat"}),
        ]
    calibration = {"data": "ingest"} if quantization["type"] == "int8" else {}
    named = {"name": manifest.name, "version": manifest.version, "release": whole["release"]}
    # Budgets judge a model and do not change it: one that is edited must not have the model measured again.
    embed = {**named, "classes": classes, "manifest_without_verify": digest_json(_without(whole, "verify"))}
    package = {
        **quantized,
        **named,
        "manifest_digest": digest_json(whole),
        "toolchains": {name: lock.toolchain(name).digest for name in (tf1, LITERT)},
        "dataset_digest": lock.dataset.digest if lock.dataset else None,
    }
    return [
        *recipes,
        _Recipe("convert", tf1, {"model": model, "quantization": quantization}, {"graph": "export", **calibration}),
        _Recipe("embed", LITERT, embed, {"converted": "convert", "graph": "export"}),
        _Recipe("infer", tf1, common, inferred),
        _Recipe("verify", LITERT, quantized, evaluated),
        _Recipe("measure", LITERT, {"model": model, "threads": 2}, {"converted": "embed", "graph": "export"}),
        _Recipe(
            "package",
            LITERT,
            package,
            {"converted": "embed", "graph": "export", "verified": "verify", "data": "ingest", **trained},
        ),
    ]


def _ingest(
    toolchain: str, params: Mapping[str, Any], sources: Mapping[str, str], sample: Mapping[str, int] | None
) -> _Recipe:
    """A sample has a module of its own, so that it is in no way part of an ordinary build's keys."""
    if sample is None:
        return _Recipe("ingest", toolchain, params, {}, sources)
    return _Recipe("ingest", toolchain, {**params, "sample": dict(sample)}, {}, sources, module="ingest_sample")


def _init(manifest: Manifest) -> dict[str, Any]:
    """``train.init`` as the step reads it: what it starts from comes as an input, by content."""
    init = manifest.train.init
    if init is None:
        return {"type": "none"}
    kind = "release" if init.release is not None else "checkpoint"
    return {"type": kind, "file": init.file, "slice": init.slice, "min_coverage": init.min_coverage}


def _named(name: str, locked: LockedSource | None) -> dict[str, str]:
    return {name: locked.digest} if locked is not None else {}


def _without(section: Mapping[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in section.items() if name != key}


def _keyed(
    recipe: _Recipe, toolchain: Toolchain, inputs: tuple[StepInput, ...], modules: Modules, done: Mapping[str, Step]
) -> Step:
    module = recipe.module or recipe.name
    step = functools.partial(
        Step,
        name=recipe.name,
        module=module,
        toolchain=toolchain,
        params=recipe.params,
        inputs=inputs,
        code=modules.reached(module),
        memory_mb=recipe.memory_mb,
        resumable=recipe.resumable,
        # The kernels give the same bits on any number of threads; TensorFlow's own operations do not.
        threads=None if recipe.any_threads and toolchain.kernels_digest and not toolchain.image else _STEP_THREADS,
    )
    return step(key=step_key(step(key=Digest("")), modules, {name: other.key for name, other in done.items()}))


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
                "module": step.module,
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
                "memory_mb": step.memory_mb,
                "resumable": step.resumable,
            }
            for step in plan.steps
        ],
    }
