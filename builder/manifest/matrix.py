"""Expands ``matrix`` and a list under ``quantization`` into variants, each a tree of nodes of its own.

Works on the nodes, before anything else is checked: a value that is put in from the matrix keeps its place in the
file, so whatever is wrong with it is told there.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from builder.errors import Diagnostic, Span
from builder.manifest.nodes import Node

MOST_VARIANTS = 256
MOST_VALUES = 64

_FIXED = ("schema", "name", "version", "matrix", "select", "release", "verify")
_FIXED_PATHS = ("dataset.source", "dataset.format", "dataset.classes", "train.init")
"""What a lock holds one digest of, and what would make the variants incomparable."""


@dataclass(frozen=True)
class Expanded:
    """One variant: ``label`` is empty for the only one; ``choices`` maps the axes' dotted paths to plain values."""

    label: str
    choices: Mapping[str, Any]
    root: Node


@dataclass(frozen=True)
class _Axis:
    path: str
    key: Span
    values: Sequence[Node]


def expand(root: Node) -> tuple[list[Expanded], list[Diagnostic]]:
    """The variants of the manifest in ``root``, and what is wrong with its axes (then there are no variants)."""
    if root.children is None or root.is_sequence:
        return [Expanded("", {}, root)], []
    children = dict(root.children)
    found, problems = _axes(children)
    for axis in found:
        problems += _misuse(axis, children)
    count = 1
    for axis in found:
        count *= max(1, len(axis.values))
    if count > MOST_VARIANTS and found:
        message = f"{count} variants are more than the {MOST_VARIANTS} that one manifest may have"
        problems.append(Diagnostic("out-of-range", message, found[0].key, "take values out, or write two manifests"))
    if problems:
        return [], problems
    base = replace(root, children={key: node for key, node in children.items() if key not in ("matrix", "select")})
    if not found:
        return [Expanded("", {}, base)], []
    names = {axis.path: _words(axis) for axis in found}
    expanded = []
    for picks in itertools.product(*(range(len(axis.values)) for axis in found)):
        tree = base
        for axis, pick in zip(found, picks, strict=True):
            value = axis.values[pick]
            tree = _put(tree, axis.path.split("."), replace(value, key=axis.key), axis.key)
        label = "-".join(names[axis.path][pick] for axis, pick in zip(found, picks, strict=True))
        choices = {axis.path: axis.values[pick].plain() for axis, pick in zip(found, picks, strict=True)}
        expanded.append(Expanded(label, choices, tree))
    return expanded, []


def _axes(children: dict[str | int, Node]) -> tuple[list[_Axis], list[Diagnostic]]:
    """The axes in file order, the list under ``quantization`` last; it is taken out of ``children``."""
    axes, problems = [], []
    matrix = children.get("matrix")
    if matrix is not None:
        if matrix.children is None or matrix.is_sequence or not matrix.children:
            help = "such as model.depth_multiplier: [0.25, 0.5]"
            problems.append(Diagnostic("wrong-type", "matrix must be a section of lists", matrix.span, help))
        else:
            for path, node in matrix.children.items():
                axes.append(_Axis(str(path), node.key or node.span, _values(node, problems)))
    several = children.get("quantization")
    if several is not None and several.is_sequence:
        del children["quantization"]
        axis = _Axis("quantization", several.key or several.span, _values(several, problems))
        if any(other.path == "quantization" for other in axes):
            problems.append(Diagnostic("conflict", "quantization is in the matrix too", axis.key, "keep one"))
        axes.append(axis)
    return axes, problems


def _values(node: Node, problems: list[Diagnostic]) -> list[Node]:
    """The entries of the list ``node``; what is wrong with it is added to ``problems``."""
    if not node.is_sequence or not node.children:
        problems.append(Diagnostic("wrong-type", "an axis must be a list of values", node.span, "such as [0.25, 0.5]"))
        return []
    values = list(node.children.values())
    if len(values) > MOST_VALUES:
        message = f"an axis of {len(values)} values, {MOST_VALUES} are the most"
        problems.append(Diagnostic("out-of-range", message, node.span))
    seen: list[Any] = []
    for value in values:
        plain = value.plain()
        if any(plain == other and type(plain) is type(other) for other in seen):
            problems.append(Diagnostic("duplicate-value", "the same value stands twice", value.span, "remove one"))
        seen.append(plain)
    return values


def _misuse(axis: _Axis, children: Mapping[str | int, Node]) -> Iterator[Diagnostic]:
    parts = axis.path.split(".")
    fixed = parts[0] in _FIXED or ".".join(parts[:2]) in _FIXED_PATHS
    if not all(parts) or fixed or parts in (["dataset"], ["train"], ["model"]):
        message = f"{axis.path} cannot vary within a manifest"
        yield Diagnostic("unsupported", message, axis.key, "write another manifest for it")
        return
    node: Node | None = Node(axis.key, children=dict(children))
    for part in parts:
        node = node.children.get(part) if node is not None and node.children is not None else None
    if node is not None:
        message = f"{axis.path} is given here and in the matrix"
        yield Diagnostic("conflict", message, node.key or node.span, "remove one of the two")


def _put(tree: Node, path: Sequence[str], value: Node, key: Span) -> Node:
    """``tree`` with ``value`` at ``path``; sections that are not there yet are made."""
    children = dict(tree.children or {})
    if len(path) == 1:
        children[path[0]] = value
    else:
        below = children.get(path[0]) or Node(key, key, None, {})
        if below.children is None:
            return tree  # a scalar stands where a section should: its own check tells
        children[path[0]] = _put(below, path[1:], value, key)
    return replace(tree, children=children)


def _words(axis: _Axis) -> list[str]:
    """A short word for each value, fit for a name; values whose words would be the same are numbered."""
    last = axis.path.split(".")[-1]
    words = [_word(last, value.plain()) for value in axis.values]
    return [
        word if words.count(word) == 1 else f"{word}-{words[:index].count(word) + 1}"
        for index, word in enumerate(words)
    ]


def _word(key: str, value: Any) -> str:
    if key == "depth_multiplier" and isinstance(value, (int, float)) and 0 <= value < 10:
        return f"d{round(value * 100):03d}"
    if key == "input_shape" and isinstance(value, list):
        return "x".join(str(side) for side in value[:2])
    if isinstance(value, dict):
        value = value.get("type", value.get("name", "section"))
    text = re.sub(r"[^a-z0-9]+", "-", str(value).lower()).strip("-") or "x"
    return text if key in ("quantization", "architecture", "toolchain") else f"{key.replace('_', '-')}-{text}"
