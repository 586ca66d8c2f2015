"""From what pydantic refused to diagnostics with places in the file.

A location of pydantic's is not a place: it may name a choice of type that is not in the file, a key that is
missing from it, or a key whose value is fine but which should not be there.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from builder.errors import Diagnostic, Span
from builder.manifest.fields import PROBLEMS, Problem
from builder.manifest.fieldtree import is_tag, keys_at
from builder.manifest.nodes import Node

Path = tuple[str | int, ...]

_EXPECTED = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "string_type": "text",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "a section with keys",
    "model_type": "a section with keys",
    "model_attributes_type": "a section with keys",
}
_LIMITS = {
    "greater_than": ("gt", "must be more than {}"),
    "greater_than_equal": ("ge", "must be at least {}"),
    "less_than": ("lt", "must be less than {}"),
    "less_than_equal": ("le", "must be at most {}"),
    "too_short": ("min_length", "needs at least {} entries"),
    "too_long": ("max_length", "must have at most {} entries"),
    "string_too_short": ("min_length", "needs at least {} characters"),
    "string_too_long": ("max_length", "must have at most {} characters"),
}
_PATTERNS = {
    "name": "lower-case letters, digits and hyphens, not a hyphen first",
    "version": "a semantic version: 1.0.0 or 1.0.0-beta.1",
    "commit": "40 lower-case hex digits: the output of 'git rev-parse'",
}


def diagnose(error: ValidationError, root: Node, model: type[BaseModel], noun: str) -> list[Diagnostic]:
    """Every problem in ``error``, in no order. ``noun`` is what the whole file is called."""
    return _Diagnosis(error, root, model, noun).all()


def node_at(root: Node, path: Sequence[str | int]) -> Node | None:
    """The node at ``path``, or None."""
    node: Node | None = root
    for part in path:
        node = node.children.get(part) if node and node.children is not None else None
    return node


def joined(first: Span, last: Span) -> Span:
    """From the start of ``first`` to the end of ``last``; ``first`` alone if they are on different lines."""
    if first.line != last.line or last.column < first.column:
        return first
    return Span(first.file, first.line, first.column, last.column + last.length - first.column)


class _Diagnosis:
    def __init__(self, error: ValidationError, root: Node, model: type[BaseModel], noun: str) -> None:
        self.errors = error.errors(include_url=False)
        self.root, self.model, self.noun = root, model, noun
        self.missing = {_path_of_key(item["loc"]) for item in self.errors if item["type"] == "missing"}

    def all(self) -> list[Diagnostic]:
        unknown = [self.unknown_key(item["loc"]) for item in self.errors if item["type"] == "extra_forbidden"]
        # unknown_key has taken from self.missing the keys that are there, but misspelt.
        missing = [self.missing_key(path) for path in self.missing]
        rest = [
            found
            for item in self.errors
            if item["type"] not in ("missing", "extra_forbidden")
            for found in self.other(item)
        ]
        return unknown + missing + rest

    def unknown_key(self, location: Path) -> Diagnostic:
        path = _path_of_key(location)
        section, key = path[:-1], str(path[-1])
        known = keys_at(self.model, location[:-1])
        parent = node_at(self.root, section)
        present = parent.children or {} if parent else {}
        free = [name for name in known if name not in present]
        near = nearest(key, free)
        if near is not None:
            self.missing.discard((*section, near))
            help = f"did you mean '{near}'?"
        elif free:
            help = "known and not yet given: " + ", ".join(free)
        else:
            help = "remove it"
        node = node_at(self.root, path)
        span = (node.key or node.span) if node else self.span(section)
        return Diagnostic("unknown-key", f"{self.name(section)} has no key '{key}'", span, help)

    def missing_key(self, path: Path) -> Diagnostic:
        section = path[:-1]
        node = node_at(self.root, section)
        span = (node.key or node.span) if node else self.span(section)
        return Diagnostic("missing-key", f"{self.name(section)} needs the key '{path[-1]}'", span, "add it")

    def other(self, item: Any) -> list[Diagnostic]:
        path, kind, context = _plain(item["loc"]), item["type"], item.get("ctx", {})
        name = self.name(path)
        span = self.span(path)
        if kind == PROBLEMS:
            return [self.reported(path, problem) for problem in context[PROBLEMS]]
        if kind == "case":
            return [self.case(path, context["key"], context["known"], item["input"])]
        if kind == "literal_error":
            known = re.findall(r"'([^']*)'", context["expected"])
            return [self.unknown_value(path, item["input"], known)]
        if kind in _EXPECTED:
            message = f"{name} must be {_EXPECTED[kind]}, not {_described(item['input'])}"
            quote = kind == "string_type" and isinstance(item["input"], (int, float))
            return [Diagnostic("wrong-type", message, span, f"quote it: '{item['input']}'" if quote else None)]
        if kind == "too_short" and len(item["input"]) >= context["min_length"]:
            return []  # It counts the entries that were right, and the wrong ones are told already.
        if kind in _LIMITS:
            limit, text = _LIMITS[kind]
            shown = f" is {_described(item['input'])}, it" if isinstance(item["input"], (int, float)) else ""
            return [Diagnostic("out-of-range", f"{name}{shown} {text.format(context[limit])}", span)]
        if kind == "string_pattern_mismatch":
            help = _PATTERNS.get(str(path[-1]) if path else "")
            return [Diagnostic("invalid-value", f"{name} cannot be {_described(item['input'])}", span, help)]
        return [Diagnostic("invalid-value", f"{name}: {item['msg']}", span)]

    def reported(self, path: Path, problem: Problem) -> Diagnostic:
        span = self.span(path + problem.at)
        if problem.to is not None:
            span = joined(span, self.span(path + problem.to))
        return Diagnostic(problem.code, problem.message, span, problem.help)

    def case(self, path: Path, key: str, known: Sequence[str], value: Any) -> Diagnostic:
        """A section whose kind is chosen by one of its keys, which is missing or has an unknown value."""
        if not isinstance(value, dict):
            message = f"{self.name(path)} must be a section with keys, not {_described(value)}"
            return Diagnostic("wrong-type", message, self.span(path))
        if key in value:
            return self.unknown_value((*path, key), value[key], known)
        return self.missing_key((*path, key))

    def unknown_value(self, path: Path, value: Any, known: Sequence[str]) -> Diagnostic:
        near = nearest(value, known) if isinstance(value, str) else None
        listed = ", ".join(known)
        help = f"did you mean '{near}'?" if near else f"supported here: {listed}"
        return Diagnostic("unknown-value", f"{self.name(path)} cannot be {_described(value)}", self.span(path), help)

    def name(self, path: Path) -> str:
        """What the value at ``path`` is called: its key, with the index if it is an entry of a list."""
        outer = node_at(self.root, path[:-1])
        if outer is not None and outer.children is None and node_at(self.root, path) is None and path[:-1]:
            path = path[:-1]  # A word stands where a section could: the word is what is wrong.
        words = [str(part) for part in path if isinstance(part, str)]
        indices = "".join(f"[{part}]" for part in path[-1:] if isinstance(part, int))
        return words[-1] + indices if words else self.noun

    def span(self, path: Path) -> Span:
        """The place of the value at ``path``, or of the nearest section around it that is there."""
        for length in range(len(path), -1, -1):
            node = node_at(self.root, path[:length])
            if node is not None:
                return node.span
        return self.root.span


def nearest(word: str, known: Sequence[str]) -> str | None:
    """The one of ``known`` that ``word`` was most likely meant to be."""
    found = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    if not found and len(word) >= 3:
        found = [name for name in known if name.startswith(word) or word.startswith(name)]
    return found[0] if len(found) == 1 else None


def _plain(location: Sequence[str | int]) -> Path:
    return tuple(part for part in location if not is_tag(part))


def _path_of_key(location: Sequence[str | int]) -> Path:
    """As ``_plain`` for a location that ends with a key, which may look like a choice of type but is none."""
    return (*_plain(location[:-1]), location[-1])


def _described(value: Any) -> str:
    if value is None:
        return "empty"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float)):
        return f"{value}"
    if isinstance(value, str):
        return repr(value if len(value) <= 60 else value[:57] + "...")
    return "a list" if isinstance(value, list) else "a section with keys"
