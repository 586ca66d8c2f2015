"""The manifest language as a page of tables, written from the schema: docs/manifest.md."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from builder.manifest.schema import schema

_HEAD = """\
# The manifest language

Every key of a manifest, written from the types by `tinsmith schema --markdown`. Editors that know YAML schemas complete
and explain them too: the first line of a manifest, `# yaml-language-server: $schema=manifest.schema.json`, says where
the schema is.

A manifest is strict YAML 1.2: UTF-8, at most 1 MB, one document, no anchors, aliases, merges or tags; `no`, `1:30` and
other words that YAML versions read differently must be quoted or written plainly. Unknown keys, and keys that would
change nothing, are errors. `tinsmith check` tells all of them at once, with their places.
"""
_SECTIONS = {
    "Chosen": "toolchain",
    "VocDataset": "dataset, format: voc",
    "CocoDataset": "dataset, format: coco",
    "YoloDataset": "dataset, format: yolo",
    "CsvDataset": "dataset, format: csv",
    "TfRecordDataset": "dataset, format: tfrecord",
    "SyntheticDataset": "dataset, format: synthetic",
    "Drawing": "dataset.synthetic",
    "Source": "dataset.source, and train.init.checkpoint",
    "Drawn": "dataset.split, by share",
    "ByList": "dataset.split, by lists",
    "ByFolder": "dataset.split, by the data's own folders",
    "Model": "model",
    "Suppression": "model.nms",
    "Anchors": "model.anchors",
    "Train": "train",
    "WarmStart": "train.init",
    "Adam": "train.optimizer, type: adam",
    "RmsProp": "train.optimizer, type: rmsprop",
    "Momentum": "train.optimizer, type: momentum",
    "LearningRate": "train.learning_rate",
    "Drop": "train.learning_rate.drops",
    "Focal": "train.loss, type: focal",
    "Mined": "train.loss, type: mined",
    "Validation": "train.validation",
    "Progressive": "train.progressive",
    "Float32": "quantization, type: float32",
    "Float16": "quantization, type: float16",
    "Dynamic": "quantization, type: dynamic",
    "Int8": "quantization, type: int8",
    "Uint8Qat": "quantization, type: uint8-qat",
    "Select": "select",
    "Verify": "verify",
    "Release": "release",
}
"""Type -> heading, in the order of the page."""
_LIMITS = (("minimum", "≥ {}"), ("exclusiveMinimum", "> {}"), ("maximum", "≤ {}"), ("exclusiveMaximum", "< {}"),
           ("minItems", "at least {} entries"), ("maxItems", "at most {} entries"))  # fmt: skip


def markdown() -> str:
    """The page."""
    whole = schema()
    parts = [_HEAD, "## The whole\n", *_table(whole)]
    for name, title in _SECTIONS.items():
        section = whole["$defs"][name]
        parts += [f"## {title}\n", f"{_said(section)}\n", *_table(section)]
    return "\n".join(parts) + "\n"


def _table(section: Mapping[str, Any]) -> Iterator[str]:
    yield "| key | values | default | |"
    yield "| --- | --- | --- | --- |"
    required = section.get("required", ())
    for key, field in section["properties"].items():
        default = _value(field["default"]) if "default" in field else "required" if key in required else ""
        yield "| " + " | ".join((f"`{key}`", _values(field).replace("|", "\\|"), default, _said(field))) + " |"
    yield ""


def _said(field: Mapping[str, Any]) -> str:
    """The description on one line; what would be taken for HTML is set as code."""
    return " ".join(str(field.get("description", "")).split()).replace("<split>", "`<split>`").replace("``", "`")


def _values(field: Mapping[str, Any]) -> str:
    if "const" in field:
        return f"`{field['const']}`"
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    if "$ref" in field:
        return "section"
    if "anyOf" in field or "oneOf" in field:
        choices = [_values(item) for item in field.get("anyOf", field.get("oneOf")) if item != {"type": "null"}]
        return "; ".join(dict.fromkeys(choices))
    kind = {"array": "list", "object": "section", "string": "text", "integer": "whole number", "boolean": "true, false"}
    words = [kind.get(str(field.get("type")), str(field.get("type", "")))]
    words += [text.format(_number(field[name])) for name, text in _LIMITS if name in field]
    if field.get("type") == "array" and "enum" in field.get("items", {}):
        words.append("of " + _values(field["items"]))
    return ", ".join(words)


def _value(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, dict):
        return "its defaults"
    return f"`{value}`" if value not in ([], ()) else "none"


def _number(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:g}"
