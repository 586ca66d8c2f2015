"""The reduction of a manifest to its canary: pure, so tested without any step."""

from __future__ import annotations

import json
import types
from collections.abc import Iterator
from typing import Annotated, Any, get_args, get_origin

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from builder.lock.file import load_lock
from builder.manifest.load import loads
from builder.manifest.model import Manifest
from builder.plan.canary import canaries
from builder.plan.code import read_step_code
from builder.plan.make import make_plan
from builder.predict.training import training_seconds
from builder.resources import steps_folder
from tests.golden.write import ROOT

SHAPES = ROOT / "manifests" / "shapes.yaml"
CODE = read_step_code(steps_folder())

REDUCED = {
    "Manifest": {"version"},
    "Train": {"steps", "batch_size", "evaluate_every", "checkpoint_every"},
    "Progressive": {"steps"},
    "LearningRate": {"schedule", "base", "warmup_steps", "drops"},
    "Drop": {"step"},
    "Int8": {"calibration_images"},
    "Uint8Qat": {"steps", "delay"},
}
"""Fields that a canary may change, by their type."""

KEPT = {
    "Manifest": {
        "schema_version",
        "name",
        "toolchain",
        "dataset",
        "model",
        "train",
        "quantization",
        "verify",
        "release",
    },
    "Chosen": {"name", "image"},
    "Verify": {"min_map50", "max_size", "max_map_drop", "max_quant_drop", "max_latency_ms"},
    "Release": {"license", "description", "authors"},
    "Source": {"name", "path", "git", "commit", "url", "sha256", "oci", "mirrors", "include", "exclude"},
    "VocDataset": {"images", "annotations", "difficult"},
    "CocoDataset": {"images", "annotations", "difficult"},
    "YoloDataset": {"images", "annotations", "names"},
    "CsvDataset": {"images", "annotations", "names", "difficult"},
    "TfRecordDataset": {"records", "difficult"},
    "SyntheticDataset": {"format", "synthetic", "classes", "split"},
    "Drawing": {"images", "size", "objects", "seed"},
    "Drawn": {"eval", "seed"},
    "ByList": {"train_list", "eval_list"},
    "ByFolder": {"train", "eval"},
    "Model": {"architecture", "depth_multiplier", "min_depth", "input_shape", "max_detections", "nms", "anchors"},
    "Suppression": {"mode", "iou_threshold", "score_threshold"},
    "Anchors": {"min_scale", "max_scale", "aspect_ratios", "reduce_lowest"},
    "Train": {
        *("seed", "init", "optimizer", "learning_rate", "loss", "clip_norm", "ema", "validation", "augmentation"),
        *("cpu_class", "progressive"),
    },
    "Validation": {"share", "keep", "patience"},
    "Progressive": {"input_shape"},
    "WarmStart": {"release", "checkpoint", "file", "slice", "min_coverage"},
    "Adam": {"type", "beta1", "beta2", "epsilon"},
    "RmsProp": {"type", "decay", "momentum", "epsilon"},
    "Momentum": {"type", "momentum"},
    "Drop": {"factor"},
    "Focal": {"type", "alpha", "gamma", "localization_weight"},
    "Mined": {"type", "negatives_per_positive", "least_negatives", "localization_weight"},
    "Float32": {"type"},
    "Float16": {"type"},
    "Dynamic": {"type"},
    "Int8": {"type", "interface", "calibration_seed"},
    "Uint8Qat": {"type", "learning_rate"},
}
"""Fields that are as written: what they say is what a canary is to try."""

_FILES = {"format", "source", "classes", "class_map", "drop_classes", "other_classes", "split", "max_rejected"}
for kind in ("Voc", "Coco", "Yolo", "Csv", "TfRecord"):
    KEPT[f"{kind}Dataset"] |= {*_FILES, "max_pixels"}


def sections(annotation: Any) -> Iterator[type[BaseModel]]:
    """Every section type in ``annotation``, and in theirs."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
        for field in annotation.model_fields.values():
            yield from sections(field.annotation)
    elif get_origin(annotation) is not None or isinstance(annotation, types.UnionType):
        inner = get_args(annotation)[:1] if get_origin(annotation) is Annotated else get_args(annotation)
        for item in inner:
            yield from sections(item)


def test_it_is_decided_for_each_field_of_the_language() -> None:
    found = {section.__name__: set(section.model_fields) for section in sections(Manifest)}
    assert {"Train", "Uint8Qat", "Source", "Drop", "ByFolder"} <= set(found)
    decided = {name: KEPT.get(name, set()) | REDUCED.get(name, set()) for name in {*KEPT, *REDUCED}}
    assert found == decided, "a field is new: say here, and in plan.canary if it takes time, what a canary makes of it"
    assert all(not KEPT.get(name, set()) & fields for name, fields in REDUCED.items())


def compare(one: BaseModel, other: BaseModel) -> None:
    assert type(one) is type(other)
    for name in type(one).model_fields:
        pairs = [(getattr(one, name), getattr(other, name))]
        if name == "drops":
            pairs = list(zip(*pairs[0], strict=False))
        for before, after in pairs:
            if isinstance(before, BaseModel):
                compare(before, after)
            elif name not in REDUCED.get(type(one).__name__, set()):
                assert before == after, f"{type(one).__name__}.{name}"


# Manifests

steps = st.one_of(st.integers(1, 30), st.integers(1, 10**6))
positive = st.floats(0, 10, exclude_min=True)


@st.composite
def trainings(draw: st.DrawFn, image: list[int]) -> dict[str, Any]:
    whole = draw(steps)
    rate: dict[str, Any] = {"base": draw(positive), "warmup_steps": draw(st.integers(0, whole - 1))}
    places = draw(st.lists(st.integers(1, max(1, whole - 1)), max_size=20, unique=True).map(sorted))
    if places and whole > 1 and draw(st.booleans()):
        rate |= {"schedule": "steps", "drops": [{"step": place, "factor": 0.5} for place in places]}
    else:
        rate["schedule"] = draw(st.sampled_from(["cosine", "constant"]))
    train: dict[str, Any] = {
        "steps": whole,
        "batch_size": draw(st.integers(1, 512)),
        "learning_rate": rate,
        "optimizer": draw(st.sampled_from([{"type": "adam"}, {"type": "rmsprop"}, {"type": "momentum"}])),
        "loss": draw(st.sampled_from([{"type": "focal"}, {"type": "mined"}])),
        "checkpoint_every": draw(steps),
    }
    if whole > 1 and draw(st.booleans()):
        shape = [draw(st.integers(96, image[0])), draw(st.integers(96, image[1])), 3]
        train["progressive"] = {"input_shape": shape, "steps": draw(st.integers(1, whole - 1))}
    if draw(st.booleans()):
        train["validation"] = {"share": draw(st.floats(0.01, 0.5)), "patience": draw(st.one_of(st.none(), steps.filter(
            lambda number: number <= 1000)))}  # fmt: skip
        train["evaluate_every"] = draw(steps)
    if draw(st.booleans()):
        train["init"] = {"release": "owls@1.0.0", "slice": draw(st.booleans())}
    return train


@st.composite
def manifests(draw: st.DrawFn) -> Manifest:
    image = [draw(st.integers(96, 1024)), draw(st.integers(96, 1024)), 3]
    tuned = draw(steps)
    quantization = draw(
        st.sampled_from(
            [
                {"type": "float32"},
                {"type": "float16"},
                {"type": "dynamic"},
                {"type": "int8", "calibration_images": min(5000, tuned)},
                {"type": "uint8-qat", "steps": tuned, "delay": draw(st.integers(0, tuned - 1))},
            ]
        )
    )
    dataset = draw(
        st.sampled_from(
            [
                {
                    "format": "synthetic",
                    "synthetic": {"images": 100_000, "size": [112, 112]},
                    "classes": ["circle"],
                },
                {
                    "format": "coco",
                    "source": {"name": "owls", "path": "owls"},
                    "annotations": "<split>.json",
                    "classes": ["owl", "crow"],
                    "split": {"train": "train", "eval": "val"},
                },
            ]
        )
    )
    version = draw(st.sampled_from(["1.0.0", "0.1.0-rc.1", "1.0.0-" + "x" * 58]))
    whole = {
        "schema": 1,
        "name": "owls",
        "version": version,
        "toolchain": {"name": "tf1.15"},
        "dataset": dataset,
        "model": {
            "architecture": draw(st.sampled_from(["ssd_mobilenet_v2", "ssdlite_mobilenet_v2"])),
            "depth_multiplier": draw(st.floats(0.1, 1.4)),
            "input_shape": image,
        },
        "train": draw(trainings(image)),
        "quantization": quantization,
        "release": {"license": "MIT", "description": "Owls."},
    }
    return Manifest.model_validate_json(json.dumps(whole))


def rate_at(train: Any, step: int) -> float:
    """The learning rate of ``step``, as docker/steps/schedule.py has it but for the cosine's fall."""
    rate = train.learning_rate
    if step < rate.warmup_steps:
        return rate.base * (step + 1) / (rate.warmup_steps + 1)
    base = rate.base
    for drop in rate.drops:
        base *= drop.factor if step >= drop.step else 1.0
    return base


@settings(deadline=None, max_examples=100)
@given(manifests())
def test_the_canary_of_any_manifest_is_a_manifest_that_asks_the_same_of_the_steps(manifest: Manifest) -> None:
    (canary,) = canaries([manifest])
    found = canary.manifest
    assert Manifest.model_validate_json(json.dumps(found.model_dump(mode="json"))) == found
    compare(manifest, found)
    assert found.version != manifest.version and found.version.endswith("-canary")
    assert canaries([manifest]) == (canary,)
    train = found.train
    assert train.steps <= 12 and train.steps <= manifest.train.steps and train.batch_size <= 8
    assert train.checkpoint_every == train.steps
    assert train.evaluate_every in (None, train.steps)
    assert (train.progressive is None) == (manifest.train.progressive is None)
    for step in range(train.steps):
        before = manifest.train.model_copy(update={"learning_rate": manifest.train.learning_rate})
        # What falls by a cosine in the whole training has hardly fallen in its first steps.
        assert rate_at(train, step) <= rate_at(before, step) * (1 + 1e-9) + 1e-300 or step >= min(
            (drop.step for drop in before.learning_rate.drops), default=10**6
        )
    whole = found.model_dump(mode="json")
    kernels = {"name": "tf1.15", "image": None}
    assert training_seconds(whole["model"], 1, whole["train"], kernels) < 10


@pytest.mark.parametrize("quantization", ["float32", "int8", "uint8-qat"])
def test_variants_share_sample_and_training(quantization: str) -> None:
    text = SHAPES.read_text().replace("quantization: float32", f"quantization: [dynamic, {quantization}]")
    first, second = canaries(loads(text.replace("  max_map_drop", "  #"), "shapes.yaml").manifests)
    assert (first.sample, first.manifest.train) == (second.sample, second.manifest.train)


def test_the_widest_variant_decides_how_much_data_all_of_them_see() -> None:
    text = SHAPES.read_text().replace("depth_multiplier: 0.25", "#").replace("input_shape: [96, 96, 3]", "#")
    text += "matrix: {model.depth_multiplier: [0.25, 1.4], model.input_shape: [[96, 96, 3], [1024, 1024, 3]]}\n"
    found = canaries(loads(text, "shapes.yaml").manifests)
    assert len({canary.sample for canary in found}) == 1
    assert found[0].sample.eval < canaries([found[0].of])[0].sample.eval


def test_only_a_canary_has_a_sample_in_its_plan() -> None:
    manifest, lock = loads(SHAPES.read_text(), "shapes.yaml").only, load_lock(SHAPES.with_suffix(".lock"))
    plain = make_plan(manifest, lock, CODE)
    (canary,) = canaries([manifest])
    tried = canary.plan(lock, CODE)
    assert [step.name for step in tried.steps] == [step.name for step in plain.steps]
    assert not {step.key for step in tried.steps} & {step.key for step in plain.steps}
    assert (tried.step("ingest").module, plain.step("ingest").module) == ("ingest_sample", "ingest")
    assert tried.step("ingest").params["sample"] == {"train": 48, "eval": 24, "seed": 1}
    assert not [step.name for step in plain.steps if "sample" in step.params]
    # Else every stored ingest, and each training on it, would run again.
    own = {"sampling.py", "ingest_sample.py"}
    assert own <= set(tried.step("ingest").code)
    assert not [step.name for step in plain.steps if own & set(step.code)]
