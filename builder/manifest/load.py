"""Text -> checked types, with every error at once and at its place."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from builder.errors import Diagnostic, InvalidManifest, Span
from builder.manifest.diagnose import diagnose, node_at
from builder.manifest.family import Family, Variant, idle, named
from builder.manifest.fields import Part
from builder.manifest.matrix import expand
from builder.manifest.model import Manifest
from builder.manifest.nodes import Node, parse
from builder.manifest.selection import Select
from builder.manifest.source import check, read_text
from builder.manifest.unplaced import node_of, unplaced

Model = TypeVar("Model", bound=Part)

_NOUN = "the manifest"


def load(path: Path) -> Family:
    """What the manifest at ``path`` builds.

    InvalidManifest with all that is wrong, in file order; UsageError if the file cannot be read.
    """
    return loads(read_text(path), str(path))


def loads(text: str, file: str) -> Family:
    """What the manifest in ``text`` builds; ``file`` is what errors call it."""
    plain = unplaced(check(text, file))
    if plain is not None:
        # Sound as it is, as nearly all are. If not, it is read once more for the places of what is wrong.
        with contextlib.suppress(InvalidManifest, ValidationError):
            return _single(plain) if _is_single(plain) else _family(node_of(plain), [], text)
    return _family(*_parsed(text, file, _NOUN), text)


def _is_single(plain: Any) -> bool:
    """Does it say one model, with nothing to expand or select?"""
    several = isinstance(plain, dict) and isinstance(plain.get("quantization"), list)
    return isinstance(plain, dict) and not several and "matrix" not in plain and "select" not in plain


def _single(plain: Mapping[str, Any]) -> Family:
    """As ``_family``, if it ``_is_single``; ValidationError or InvalidManifest if it is not sound."""
    manifest = _valid(plain, Manifest)
    if problems := list(idle(node_of({}), [manifest], None)):
        raise InvalidManifest(problems)
    return Family(manifest.name, manifest.version, (Variant("", {}, manifest),), None)


def _family(root: Node, problems: list[Diagnostic], text: str) -> Family:
    expanded, wrong = expand(root)
    problems += wrong
    select, wrong = _select(root)
    problems += wrong
    variants = []
    for item in expanded:
        manifest, wrong = _checked(item.root, Manifest, _NOUN, problems)
        problems += wrong
        if manifest is not None:
            model = manifest.model_copy(update={"name": named(manifest.name, item.label)})
            variants.append(Variant(item.label, item.choices, model))
    if variants and not problems:
        problems += idle(root, [variant.manifest for variant in variants], select)
    if problems:
        raise InvalidManifest(sorted(problems, key=_place), text)
    assert root.children is not None, "a manifest without keys is refused above"
    return Family(str(root.children["name"].value), variants[0].manifest.version, tuple(variants), select)


def validate(text: str, file: str, model: type[Model], noun: str) -> Model:
    """``text`` as a ``model``; InvalidManifest as for ``load``."""
    plain = unplaced(check(text, file))
    if plain is not None:
        with contextlib.suppress(ValidationError):
            return _valid(plain, model)
    root, problems = _parsed(text, file, noun)
    result, wrong = _checked(root, model, noun, problems)
    problems += wrong
    if problems or result is None:
        raise InvalidManifest(sorted(problems, key=_place), text)
    return result


def _parsed(text: str, file: str, noun: str) -> tuple[Node, list[Diagnostic]]:
    """The tree of ``text`` and what is wrong with it as YAML; InvalidManifest if there is no tree."""
    document = parse(check(text, file), file)
    root, problems = document.root, document.problems
    if root is None:
        if not problems:
            problems = [Diagnostic("missing-key", f"{noun} is empty", Span(file, 1, 1), "see 'tinsmith init'")]
        raise InvalidManifest(problems, text)
    empty = [
        Diagnostic("wrong-type", "no value is given", node.span, "give one or remove the key")
        for node in _scalars(root)
        if node.value is None
    ]
    return root, problems + [item for item in empty if not _is_told(item, problems)]


def _checked(
    root: Node, model: type[Model], noun: str, told: Sequence[Diagnostic]
) -> tuple[Model | None, list[Diagnostic]]:
    """``root`` as a ``model``, or what is wrong with it beyond what is ``told`` already."""
    try:
        return _valid(root.plain(), model), []
    except ValidationError as error:
        # What the YAML itself got wrong is told once, not again as the type error that follows from it.
        follow = diagnose(error, root, model, noun)
        return None, [
            item for item in follow if item not in told and (item.code == "missing-key" or not _is_told(item, told))
        ]


def _valid(plain: Any, model: type[Model]) -> Model:
    return model.model_validate_json(json.dumps(model.long_form(plain)))


def _select(root: Node) -> tuple[Select | None, list[Diagnostic]]:
    node = (root.children or {}).get("select")
    if node is None or node.value == "budgets":
        return (Select() if node is not None else None), []
    if node.children is None:
        message = f"select cannot be {node.value!r}"
        return None, [Diagnostic("unknown-value", message, node.span, "'budgets', or {best: map50}")]
    return _checked(node, Select, "select", ())


def position(text: str, file: str, path: Sequence[str | int]) -> Span:
    """The place of the value at ``path``, or the start of the file if it has none."""
    root = parse(text, file).root
    node = node_at(root, path) if root else None
    return node.span if node else Span(file, 1, 1)


def _scalars(node: Node) -> Iterator[Node]:
    if node.children is None:
        yield node
    else:
        for child in node.children.values():
            yield from _scalars(child)


def _is_told(item: Diagnostic, others: Sequence[Diagnostic]) -> bool:
    """Is there another problem at the same place?"""
    return any((item.span.line, item.span.column) == (other.span.line, other.span.column) for other in others)


def _place(item: Diagnostic) -> tuple[int, int, str]:
    return item.span.line, item.span.column, item.message
