"""The JSON Schema of a manifest, for editors: generated from the types, so the two cannot disagree."""

from __future__ import annotations

import json
from typing import Any

from builder.manifest.model import Manifest
from builder.manifest.quantization import TYPES
from builder.manifest.selection import Select

FILE = "manifest.schema.json"
"""What the published copy is called, beside the manifests."""
MODELINE = f"# yaml-language-server: $schema={FILE}"
"""The first line of a manifest: it tells editors where the schema is."""

# What a matrix may give instead of the manifest itself, so that an editor must not ask for it here.
_MATRIX_KEYS = {
    "Model": ("architecture", "depth_multiplier", "input_shape"),
    "Train": ("steps", "batch_size", "optimizer", "learning_rate"),
    "LearningRate": ("base",),
    "Progressive": ("input_shape", "steps"),
}


def schema() -> dict[str, Any]:
    """The schema, draft 2020-12. What it cannot say (two keys that exclude each other), ``tinsmith check`` does."""
    found = Manifest.model_json_schema(by_alias=True)
    sections, keys = found["$defs"], found["properties"]
    for name, free in _MATRIX_KEYS.items():
        sections[name]["required"] = [key for key in sections[name].get("required", []) if key not in free]
    names = sections["Chosen"]["properties"]["name"]["enum"]
    keys["toolchain"] = _or_word(keys["toolchain"], names)
    quantization = _or_word(keys["quantization"], list(TYPES))
    several = {"type": "array", "items": {key: quantization[key] for key in ("anyOf",)}, "minItems": 1}
    keys["quantization"] = {**quantization, "anyOf": [*quantization["anyOf"], several]}
    train = sections["Train"]["properties"]
    train["init"] = _or_word(train["init"], ["none"])
    sections["Select"] = Select.model_json_schema()
    keys["select"] = _or_word({"$ref": "#/$defs/Select", "description": str(Select.__doc__)}, ["budgets"])
    keys["matrix"] = {
        "description": "Axes of variants: dotted path of a key, such as model.depth_multiplier -> its values. "
        "A key given here is left out of its section.",
        "type": "object",
        "minProperties": 1,
        "additionalProperties": {"type": "array", "minItems": 1},
    }
    found["required"] = [key for key in found["required"] if key != "toolchain"]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **found,
        "title": "tinsmith manifest",
        "description": "What to build: data, network, training, quantization and budgets of a small object detector.",
    }


def schema_text() -> str:
    """The schema as it is published."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


def _or_word(section: dict[str, Any], words: list[str]) -> dict[str, Any]:
    """``section``, or one of ``words`` instead of it."""
    outer: dict[str, Any] = {key: section[key] for key in ("description", "default", "title") if key in section}
    if isinstance(outer.get("default"), dict):
        outer["default"] = next(iter(outer["default"].values()))
    inner = {key: value for key, value in section.items() if key not in outer}
    inner.pop("default", None)
    choices = inner["anyOf"] if set(inner) == {"anyOf"} else [inner]
    choices = [choice for choice in choices if choice != {"type": "null"}]
    return {**outer, "anyOf": [{"type": "string", "enum": words}, *choices]}
