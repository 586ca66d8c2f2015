"""Manifests: what is valid, which diagnostics follow from what is not, and where they point."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builder.errors import InvalidManifest, TinsmithError, UsageError
from builder.manifest.dataset import VocDataset
from builder.manifest.load import load, loads, position
from builder.manifest.model import Manifest
from builder.manifest.reference import markdown
from builder.manifest.render import render
from builder.manifest.schema import MODELINE, schema, schema_text
from builder.starter import starter_text

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = sorted((ROOT / "manifests").glob("*.yaml"))
BASE = starter_text("raccoon")


def edited(*changes: tuple[str, str]) -> str:
    """The starter manifest with each first text replaced by the second; each must be there once."""
    text = BASE
    for old, new in changes:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


def refused(text: str) -> InvalidManifest:
    with pytest.raises(InvalidManifest) as caught:
        loads(text, "m.yaml")
    assert caught.value.source == text
    return caught.value


def found(text: str) -> list[tuple[str, str]]:
    """(code, the text that the diagnostic points at), in the order told."""
    lines = text.splitlines()
    return [
        (item.code, lines[item.span.line - 1][item.span.column - 1 :][: item.span.length])
        for item in refused(text).diagnostics
    ]


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_manifests_are_valid(path: Path) -> None:
    assert load(path).name == path.stem


def test_raccoon_is_what_the_readme_promises() -> None:
    manifest = load(ROOT / "manifests" / "raccoon-025.yaml").only
    assert isinstance(manifest.dataset, VocDataset)
    assert manifest.model.depth_multiplier == 0.25
    assert manifest.model.input_shape == (300, 300, 3)
    assert manifest.verify.max_size == 1_500_000
    assert manifest.verify.min_map50 == 0.8
    assert manifest.verify.max_map_drop == 0.005


def test_the_starter_manifest_is_valid() -> None:
    assert loads(BASE, "m.yaml").only.name == "raccoon"


def test_plain_data_has_every_default() -> None:
    whole = loads(BASE, "m.yaml").only.model_dump(mode="json")
    assert whole["schema"] == 1
    assert whole["model"]["nms"] == {"mode": "fast", "iou_threshold": 0.6, "score_threshold": 1e-8}
    assert whole["train"]["optimizer"] == {"type": "adam", "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8}
    assert whole["verify"]["max_latency_ms"] is None
    assert Manifest.model_validate_json(json.dumps(without_none(whole))).digest == loads(BASE, "m.yaml").only.digest


def without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_none(item) for key, item in value.items() if item is not None}
    return value


def test_the_digest_is_over_what_is_said_not_how() -> None:
    manifest = loads(BASE, "m.yaml").only
    reordered = "\n".join(line for line in BASE.splitlines() if not line.startswith("name:")) + "\nname: raccoon\n"
    said_twice = edited(("optimizer: {type: adam}", "optimizer: {beta1: 0.9, type: 'adam'}"), ("1.5 MB", "1500000"))
    for text in ("# words\n" + BASE, reordered, said_twice):
        assert loads(text, "m.yaml").only.digest == manifest.digest
    assert loads(edited(("steps: 3000", "steps: 3001")), "m.yaml").digest != manifest.digest


def test_a_manifest_never_changes() -> None:
    manifest = loads(BASE, "m.yaml").only
    with pytest.raises(ValueError, match="frozen"):
        manifest.name = "other"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("depth_multiplier:", "depth_multiplyer:", [("unknown-key", "depth_multiplyer")]),
        ("batch_size: 16", "batchsize: 24", [("unknown-key", "batchsize")]),
        ("batch_size: 16", "colour: red", [("missing-key", "train"), ("unknown-key", "colour")]),
        ("name: raccoon\nv", "v", [("missing-key", "schema: 1")]),
        ("name: raccoon\nv", "name: raccoon\n<voc>: 1\nv", [("unknown-key", "<voc>")]),
        ("max_rejected: 0.02", "<voc>: 1", [("unknown-key", "<voc>")]),
        ("format: voc ", "fromat: voc ", [("unknown-key", "fromat")]),
        ("format: voc ", "format: vocc ", [("unknown-value", "vocc")]),
        ("  format: voc ", "  # ", [("missing-key", "dataset")]),
        ("schema: 1", "schema: 2", [("unknown-value", "2")]),
        ("schema: 1", "schema: true", [("wrong-type", "true")]),
        ("toolchain: tf1.15", "toolchain: tf2", [("unknown-value", "tf2")]),
        ("quantization: float32", "quantization: int9", [("unknown-value", "int9")]),
        ("300, 300", "30, 30", [("out-of-range", "30, 30")]),
        ("300, 300", "300, 30", [("out-of-range", "30")]),
        ("300, 300", "300, 4096", [("out-of-range", "4096")]),
        ("300, 300, 3", "300, 300, 1", [("out-of-range", "1")]),
        ("300, 300, 3", "300, 300", [("out-of-range", "[300, 300]")]),
        ("300, 300, 3", "300, x, 3", [("wrong-type", "x")]),
        ("0.1.0 ", "1.0 ", [("wrong-type", "1.0")]),
        ("0.1.0 ", "1.0.0+x ", [("invalid-value", "1.0.0+x")]),
        ("0.1.0 ", "01.0.0 ", [("invalid-value", "01.0.0")]),
        ("name: raccoon\nv", "name: Raccoon\nv", [("invalid-value", "Raccoon")]),
        ("name: raccoon\nv", "name: -r\nv", [("invalid-value", "-r")]),
        ("[object]", "[]", [("out-of-range", "[]")]),
        ("[object]", "[a, b, a, a]", [("duplicate-value", "a"), ("duplicate-value", "a")]),
        ("[object]", "object", [("wrong-type", "object")]),
        ("[object]", "['']", [("invalid-value", "''")]),
        ("[object]", '["a\\nb"]', [("invalid-value", '"a\\nb"')]),
        ("eval: 0.2", "eval: 0.95", [("out-of-range", "0.95")]),
        ("eval: 0.2", "eval: 0", [("out-of-range", "0")]),
        ("eval: 0.2", "eval: 20%", [("wrong-type", "20%")]),
        ("seed: 1\n", "seed: yes\n", [("ambiguous-value", "yes")]),
        ("seed: 1\n", "seed: true\n", [("wrong-type", "true")]),
        ("seed: 1\n", "seed: -1\n", [("out-of-range", "-1")]),
        ("steps: 3000", "steps: 3000.5", [("wrong-type", "3000.5")]),
        ("steps: 3000", "steps: '3000'", [("wrong-type", "'3000'")]),
        ("warmup_steps: 50", "warmup_steps: 3000", [("out-of-range", "3000")]),
        ("warmup_steps: 50", "warmup_step: 50", [("unknown-key", "warmup_step")]),
        ("type: adam", "type: sgd", [("unknown-value", "sgd")]),
        ("type: adam", "type: adam, beta1: 1", [("out-of-range", "1")]),
        ("type: adam", "type: adam, momentum: 0.9", [("unknown-key", "momentum")]),
        ("{type: adam}", "adam", [("wrong-type", "adam")]),
        ("random_crop", "random_corp", [("unknown-value", "random_corp")]),
        ("1.5 MB", "1.5 Mb", [("wrong-type", "1.5 Mb")]),
        ("1.5 MB", "0 MB", [("out-of-range", "0 MB")]),
        ("min_map50: 0.5 ", "min_map50: 50 ", [("out-of-range", "50")]),
        ("min_map50: 0.5 ", "min_map50: .nan ", [("out-of-range", ".nan")]),
        ("license: unknown", "license:", [("wrong-type", "license")]),
        ("images: images", "images: ../images", [("invalid-value", "../images")]),
        ("images: images", "images: /images", [("invalid-value", "/images")]),
        ("path: ../data/raccoon", "path: /data/raccoon", [("invalid-value", "/data/raccoon")]),
        ("path: ../data/raccoon", "path: ~/raccoon", [("invalid-value", "~/raccoon")]),
        ("path: ../data/raccoon", "git: https://host/x", [("missing-key", "https://host/x")]),
        ("path: ../data/raccoon", f"commit: '{'a' * 40}'", [("missing-key", "source")]),
        ("path: ../data/raccoon", "git: http://host/x", [("invalid-value", "http://host/x")]),
        ("path: ../data/raccoon", "git: https://me:pw@host/x", [("invalid-value", "https://me:pw@host/x")]),
        ("path: ../data/raccoon", "git: ext::sh -c x", [("invalid-value", "ext::sh -c x")]),
        ("path: ../data/raccoon", "git: --upload-pack=x", [("invalid-value", "--upload-pack=x")]),
    ],
)
def test_each_mistake_is_told_once_at_its_place(old: str, new: str, expected: list[tuple[str, str]]) -> None:
    assert found(edited((old, new))) == expected


def test_two_origins_of_one_source() -> None:
    text = edited(("path: ../data/raccoon", "path: x\n    git: https://host/x\n    commit: " + "a" * 40))
    assert found(text) == [("conflict", "https://host/x")]


def test_progressive_training_is_shorter_and_smaller() -> None:
    def with_part(part: str) -> str:
        return edited(("{input_shape: [160, 160, 3], steps: 2000}", part))

    assert loads(with_part("{input_shape: [160, 160, 3], steps: 900}"), "m.yaml").only.train.progressive is not None
    assert found(with_part("{input_shape: [160, 160, 3], steps: 3000}")) == [("out-of-range", "3000")]
    assert found(with_part("{input_shape: [160, 320, 3], steps: 900}")) == [("out-of-range", "320")]


def test_a_synthetic_dataset_draws_only_what_it_can() -> None:
    text = re.sub(r"objects: \[.*?\]", "objects: [3, 1]", (ROOT / "manifests" / "shapes.yaml").read_text())
    text = text.replace("[circle,", "[circel,")
    assert found(text) == [("out-of-range", "3, 1"), ("unknown-value", "circel")]


def test_everything_is_told_at_once_in_file_order() -> None:
    text = edited(
        ("toolchain: tf1.15", "toolchain: tf1.51"),
        ("format: voc ", "fromat: voc "),
        ("[object]", "[a, a]"),
        ("depth_multiplier", "depth_multiplyer"),
        ("300, 300", "30, 30"),
        ("seed: 1\n", "seed: no\n"),
        ("type: adam", "type: adam, type: adam"),
        ("license: unknown", "licence: MIT"),
    )
    assert [code for code, _ in found(text)] == [
        "unknown-value",
        "unknown-key",
        "duplicate-value",
        "unknown-key",
        "out-of-range",
        "ambiguous-value",
        "duplicate-key",
        "unknown-key",
    ]
    help = [item.help for item in refused(text).diagnostics]
    assert help[0] == "did you mean 'tf1.15'?" and help[3] == "did you mean 'depth_multiplier'?"


@pytest.mark.parametrize(
    ("text", "code"),
    [("", "missing-key"), ("# only\n", "missing-key"), ("- a\n", "wrong-type"), ("word", "wrong-type")],
)
def test_what_is_no_mapping(text: str, code: str) -> None:
    (item,) = refused(text).diagnostics
    assert (item.code, item.span.line, item.span.column) == (code, 1, 1)


def test_sizes() -> None:
    for written, size in (("1.5 MiB", 1_572_864), ("700kB", 700_000), ("123456", 123_456), ("0.1 MB", 100_000)):
        assert loads(edited(("1.5 MB", written)), "m.yaml").only.verify.max_size == size


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none.yaml"):
        with pytest.raises(UsageError):
            load(path)


def test_position_finds_values_and_forgives() -> None:
    span = position(BASE, "m.yaml", ("dataset", "source", "name"))
    assert BASE.splitlines()[span.line - 1][span.column - 1 :].startswith("raccoon")
    assert position(BASE, "m.yaml", ("no", "such")).line == 1
    assert position("[", "m.yaml", ("no",)).line == 1


def test_rendering_is_exactly_as_designed() -> None:
    text = "schema: 1\nmodel:\n  depth_multiplyer: 0.25\n  input_shape: [30, 30, 3]\n"
    shown = render(refused(text).diagnostics, text)
    assert (
        "m.yaml:3:3: error[unknown-key]: model has no key 'depth_multiplyer'\n"
        "  3 |   depth_multiplyer: 0.25\n"
        "    |   ^^^^^^^^^^^^^^^^ did you mean 'depth_multiplier'?\n"
        "m.yaml:4:17: error[out-of-range]: "
        "input_shape 30x30 is smaller than 96x96, the least that keeps six feature maps\n"
        "  4 |   input_shape: [30, 30, 3]\n"
        "    |                 ^^^^^^\n"
    ) in shown + "\n"


def test_rendering_lets_no_control_character_through() -> None:
    text = "name: \x1b[31mred\u202e\n"
    shown = render(refused(text).diagnostics, text)
    assert all(character.isprintable() or character == "\n" for character in shown)


def test_carets_stand_under_wide_characters() -> None:
    text = "日本: 1\nname: {日本: yes}\n"
    block = [line for line in render(refused(text).diagnostics, text).splitlines() if "^^^" in line][-1]
    assert block.index("^") == len("    | name: {") + 4 + len(": ")


def test_the_schema_accepts_what_is_accepted_and_uses_no_tuples() -> None:
    text = json.dumps(schema())
    assert "prefixItems" not in text
    assert schema()["additionalProperties"] is False
    assert {"schema", "name", "dataset", "train"} <= set(schema()["required"])


_CUTS = st.integers(0, len(BASE))
_PIECES = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        [
            ":",
            "- ",
            "\n",
            "\n  ",
            "{",
            "}",
            "[",
            "]",
            "&a ",
            "*a",
            "!!x ",
            "yes",
            "? ",
            "|\n",
            "'",
            '"\\x',
            "%",
            "\t",
            "1e999",
            "\x00",
            "---\n",
            "<<: ",
            "~",
        ]
    ),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(_CUTS, st.integers(0, 30), _PIECES), min_size=1, max_size=4))
def test_no_edit_of_the_text_is_a_bug(edits: list[tuple[int, int, str]]) -> None:
    text = BASE
    for at, length, piece in edits:
        text = text[:at] + piece + text[at + length :]
    check_told(text)


_VALUES = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=8)
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3)),
    max_leaves=6,
)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_no_value_anywhere_is_a_bug(data: st.DataObject) -> None:
    whole = loads(BASE, "m.yaml").only.model_dump(mode="json")
    section, path = whole, 0
    while True:
        key = data.draw(st.sampled_from(sorted(section)))
        if not isinstance(section[key], dict) or not section[key] or path > 3 or data.draw(st.booleans()):
            break
        section, path = section[key], path + 1
    section[key] = data.draw(_VALUES)
    check_told(json.dumps(whole, indent=1))


def check_told(text: str) -> None:
    """Loading ``text`` works, or is refused with places that lie in it and that can be shown."""
    try:
        loads(text, "m.yaml")
    except TinsmithError as error:
        assert isinstance(error, InvalidManifest) and error.diagnostics
        places = [(item.span.line, item.span.column) for item in error.diagnostics]
        assert places == sorted(places)
        assert render(error.diagnostics, error.source)


def test_the_published_schema_is_that_of_the_types() -> None:
    published = (ROOT / "manifests" / "manifest.schema.json").read_text(encoding="utf-8")
    assert published == schema_text(), "run: tinsmith schema > manifests/manifest.schema.json"


def test_manifests_name_their_schema() -> None:
    for path in SHIPPED:
        assert path.read_text(encoding="utf-8").splitlines()[0] == MODELINE
    assert BASE.splitlines()[0] == MODELINE


def test_every_field_of_the_schema_is_described() -> None:
    whole = schema()
    sections = {"manifest": whole, **whole["$defs"]}
    silent = [
        f"{name}.{key}"
        for name, section in sections.items()
        for key, field in section.get("properties", {}).items()
        if "description" not in field and "const" not in field
    ]
    assert silent == []


def test_the_reference_is_that_of_the_types() -> None:
    page = (ROOT / "docs" / "manifest.md").read_text(encoding="utf-8")
    assert page.endswith(markdown()), "run: make reference"


def with_train(part: str) -> str:
    return edited(("batch_size: 16", "batch_size: 16\n  " + part))


def test_how_a_training_learns_can_be_said() -> None:
    train = loads(
        with_train(
            "loss: {type: mined, negatives_per_positive: 4}\n  ema: 0.99\n  clip_norm: 0.0\n  evaluate_every: 50\n"
            "  validation: {share: 0.2, patience: 3}"
        ).replace("schedule: cosine", "schedule: steps, drops: [{step: 700}, {step: 900, factor: 0.5}]"),
        "m.yaml",
    ).only.train
    assert train.loss.type == "mined" and train.loss.localization_weight == 1.0
    assert train.clip_norm == 0 and train.ema == 0.99 and train.evaluate_every == 50
    assert train.validation is not None and train.validation.keep == "best" and train.validation.patience == 3
    assert [(drop.step, drop.factor) for drop in train.learning_rate.drops] == [(700, 0.1), (900, 0.5)]


def test_defaults_of_a_training() -> None:
    train = loads(BASE, "m.yaml").only.train
    assert train.loss.type == "focal" and train.loss.localization_weight == 0.3
    assert train.clip_norm == 10.0 and train.ema is None and train.validation is None


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ("loss: {type: fokal}", [("unknown-value", "fokal")]),
        ("loss: {type: focal, negatives_per_positive: 3}", [("unknown-key", "negatives_per_positive")]),
        ("loss: {type: mined, negatives_per_positive: 0}", [("out-of-range", "0")]),
        ("ema: 1.0", [("out-of-range", "1.0")]),
        ("clip_norm: -1", [("out-of-range", "-1")]),
        ("validation: {share: 0.9}", [("out-of-range", "0.9")]),
        ("validation: {keep: first}", [("unknown-value", "first")]),
        ("validation: {patience: 0}", [("out-of-range", "0")]),
    ],
)
def test_mistakes_in_how_a_training_learns(part: str, expected: list[tuple[str, str]]) -> None:
    assert found(with_train(part)) == expected


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("schedule: steps", [("missing-key", "{schedule: steps, base: 0.004, warmup_steps: 50}")]),
        ("schedule: constant, drops: [{step: 5}]", [("no-effect", "[{step: 5}]")]),
        ("schedule: steps, drops: [{step: 500}, {step: 400}]", [("out-of-range", "{step: 400}")]),
        ("schedule: steps, drops: [{step: 5000}]", [("out-of-range", "5000")]),
        ("schedule: steps, drops: [{step: 50, factor: 2.0}]", [("out-of-range", "2.0")]),
    ],
)
def test_a_rate_that_falls_must_fall_in_order(schedule: str, expected: list[tuple[str, str]]) -> None:
    assert found(edited(("schedule: cosine", schedule))) == expected


def test_one_crop_is_enough_and_tf1_12_cannot_validate() -> None:
    augmentation = re.search(r"augmentation: \[(.*?)\]", BASE)
    assert augmentation is not None
    text = BASE.replace(augmentation[1], "horizontal_flip, random_crop, ssd_random_crop")
    assert found(text) == [("conflict", "random_crop")]
    text = with_train("validation: {share: 0.2}").replace("toolchain: tf1.15", "toolchain: tf1.12")
    assert [code for code, _ in found(text)] == ["unsupported"]


def test_keys_that_a_toolchain_has_no_use_for() -> None:
    looks = with_train("evaluate_every: 50").replace("toolchain: tf1.15", "toolchain: tf1.12")
    assert found(looks) == [("no-effect", "50")]
    wide = with_train("cpu_class: x86-64-v4")
    assert loads(wide, "m.yaml").only.train.cpu_class == "x86-64-v4"
    assert found(wide.replace("toolchain: tf1.15", "toolchain: tf1.15-mkl")) == [("no-effect", "x86-64-v4")]
