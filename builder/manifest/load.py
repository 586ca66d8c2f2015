"""Text -> checked types, with every error at once and at its place."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from builder.errors import Diagnostic, InvalidManifest, Span
from builder.manifest.diagnose import diagnose, node_at
from builder.manifest.model import Manifest
from builder.manifest.nodes import Node, parse
from builder.manifest.source import check, read_text

Model = TypeVar("Model", bound=BaseModel)


def load(path: Path) -> Manifest:
    """The manifest at ``path``.

    InvalidManifest with all that is wrong, in file order; UsageError if the file cannot be read.
    """
    return loads(read_text(path), str(path))


def loads(text: str, file: str) -> Manifest:
    """The manifest in ``text``; ``file`` is what errors call it."""
    return validate(text, file, Manifest, "the manifest")


def validate(text: str, file: str, model: type[Model], noun: str) -> Model:
    """``text`` as a ``model``; InvalidManifest as for ``load``."""
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
    found = problems + [item for item in empty if not _is_told(item, problems)]
    result: Model | None = None
    try:
        result = model.model_validate_json(json.dumps(root.plain()))
    except ValidationError as error:
        # What the YAML itself got wrong is told once, not again as the type error that follows from it.
        follow = diagnose(error, root, model, noun)
        found += [item for item in follow if item.code == "missing-key" or not _is_told(item, found)]
    if found or result is None:
        raise InvalidManifest(sorted(found, key=_place), text)
    return result


def position(text: str, file: str, path: Sequence[str | int]) -> Span:
    """The place of the value at ``path``, or the start of the file if it has none."""
    root = parse(text, file).root
    node = node_at(root, path) if root else None
    return node.span if node else Span(file, 1, 1)


def schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of a manifest, for editors."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Manifest.model_json_schema(by_alias=True),
        "title": "tinsmith manifest",
    }


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
