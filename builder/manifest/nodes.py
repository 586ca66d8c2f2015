"""Strict YAML: text -> a tree of nodes that know where they stand.

Only what a manifest needs is accepted: mappings with text keys, sequences and scalars, in one document.
Anchors, aliases, tags, merges, directives and duplicate keys are errors. The tree is built from the parser's events,
so that an alias is never expanded and nothing is ever constructed from a tag.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from builder.errors import Diagnostic, Span
from builder.manifest.scalars import Refused, Scalar, resolve
from builder.manifest.source import lines_of

DEEPEST = 32
MOST_NODES = 15_000
"""Far more than any manifest has; a file of a megabyte of brackets must not take ten seconds to refuse."""
MOST_PROBLEMS = 100


@dataclass(frozen=True)
class Node:
    """A value and its place; ``key`` is the place of its key, if it has one.

    ``children`` is None for a scalar, else the entries by key or by index, in file order.
    """

    span: Span
    key: Span | None = None
    value: Scalar = None
    children: dict[str | int, Node] | None = None
    is_sequence: bool = False

    def plain(self) -> Any:
        """The value as dicts, lists and scalars."""
        if self.children is None:
            return self.value
        if self.is_sequence:
            return [child.plain() for child in self.children.values()]
        return {key: child.plain() for key, child in self.children.items()}


@dataclass
class Document:
    """``root`` is None if the text is not YAML at all; ``problems`` are in the order they were met."""

    root: Node | None = None
    problems: list[Diagnostic] = field(default_factory=list)


class _Stop(Exception):
    """The rest of the text cannot be read."""


def parse(text: str, file: str) -> Document:
    """The one document in ``text``. Problems are collected, never raised."""
    reading = _Reading(text, file)
    try:
        reading.document.root = reading.read()
    except _Stop:
        pass
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        span = reading.at(mark.line, mark.column) if mark else Span(file, 1, 1)
        problem = error.problem or error.context or "not valid YAML"
        reading.document.problems.append(Diagnostic("syntax", problem, span, _hint(error)))
    except (YAMLError, ValueError, OverflowError, AttributeError, LookupError, AssertionError) as error:
        # The parser lets some of its own slips on odd escapes and directives through as these.
        span = reading.last_span or Span(file, 1, 1)
        problem = f"not valid YAML: {str(error).splitlines()[0] if str(error) else error!r}"
        reading.document.problems.append(Diagnostic("syntax", problem, span))
    return reading.document


def _hint(error: MarkedYAMLError) -> str | None:
    if error.problem and "'\\t'" in error.problem:
        return "indent and separate with spaces, not with tabs"
    if error.problem and "mapping values are not allowed" in error.problem:
        return "quote a text that holds ': ', and check the indentation"
    return None


def _is_broken(text: str) -> bool:
    """Is half of a character in it? JSON and UTF-8 cannot carry that."""
    return any("\ud800" <= character <= "\udfff" for character in text)


class _Reading:
    """One pass over the parser's events."""

    def __init__(self, text: str, file: str) -> None:
        self.file = file
        self.lines = lines_of(text)
        self.document = Document()
        self.last_span: Span | None = None
        self.nodes = 0
        self.events: Iterator[Event] = YAML(typ="safe", pure=True).parse(text)

    def read(self) -> Node | None:
        root: Node | None = None
        for event in self.events:
            if isinstance(event, DocumentStartEvent):
                if event.version is not None or event.tags:
                    self.problem("unsupported-syntax", "YAML directives are not allowed", self.at(0, 0))
                if root is not None:
                    self.problem("unsupported-syntax", "a second document in the file", self.span(event))
                    raise _Stop
            elif isinstance(event, NodeEvent):
                root = self.node(event, None, Span(self.file, 1, 1), 0)
        return root

    def node(self, event: Event, key: Span | None, parent: Span, depth: int) -> Node:
        if depth > DEEPEST:
            self.problem("unsupported-syntax", f"nested more than {DEEPEST} levels deep", self.span(event))
            raise _Stop
        self.last_span = span = self.span(event)
        self.nodes += 1
        if self.nodes > MOST_NODES:
            self.problem("too-large", f"more than {MOST_NODES:,} values, the most that are read", span)
            raise _Stop
        if isinstance(event, AliasEvent):
            self.problem("unsupported-syntax", f"alias *{event.anchor} is not allowed", span, "write it out")
            return Node(span, key)
        anchor, tag = getattr(event, "anchor", None), getattr(event, "tag", None)
        if anchor is not None:
            self.problem("unsupported-syntax", f"anchor &{anchor} is not allowed", span, "remove it")
        if tag is not None:
            self.problem("unsupported-syntax", f"tag {tag} is not allowed", span, "remove it")
        if isinstance(event, MappingStartEvent):
            return self.mapping(event, key, depth)
        if isinstance(event, SequenceStartEvent):
            return self.sequence(event, key, depth)
        assert isinstance(event, ScalarEvent)
        return self.scalar(event, key, key or parent)

    def mapping(self, start: MappingStartEvent, key: Span | None, depth: int) -> Node:
        children: dict[str | int, Node] = {}
        span = key or self.span(start)
        for event in self.events:
            if isinstance(event, MappingEndEvent):
                return Node(self.collection_span(start, event, key), key, None, children)
            name, at = self.name(event, depth)
            child = self.node(next(self.events), at, span, depth + 1)
            if name in children:
                first = children[name].key
                message = f"key {name!r} stands twice, first on line {first.line if first else '?'}"
                self.problem("duplicate-key", message, at, "remove one of them")
            else:
                children[name] = child
        raise AssertionError("the parser ends every mapping")

    def name(self, event: Event, depth: int) -> tuple[str, Span]:
        """The key that ``event`` begins, and its place."""
        at = self.span(event)
        if not isinstance(event, ScalarEvent):
            self.problem("non-string-key", "a key must be one word of text", at)
            self.node(event, None, at, depth + 1)
            raise _Stop
        if event.anchor is not None or event.tag is not None:
            self.problem("unsupported-syntax", "anchors and tags are not allowed", at, "remove it")
        if _is_broken(event.value):
            self.problem("syntax", "half of a character: a lone surrogate", at)
            raise _Stop
        if event.style is None:
            if event.value == "<<":
                self.problem("unsupported-syntax", "merge keys are not allowed", at, "write the keys out")
            elif not isinstance(resolve(event.value), str):
                self.problem("non-string-key", f"key {event.value} is not text", at, f"quote it: '{event.value}'")
        return event.value, at

    def sequence(self, start: SequenceStartEvent, key: Span | None, depth: int) -> Node:
        children: dict[str | int, Node] = {}
        span = key or self.span(start)
        for event in self.events:
            if isinstance(event, SequenceEndEvent):
                return Node(self.collection_span(start, event, key), key, None, children, is_sequence=True)
            children[len(children)] = self.node(event, None, span, depth + 1)
        raise AssertionError("the parser ends every sequence")

    def scalar(self, event: ScalarEvent, key: Span | None, owner: Span) -> Node:
        """``owner`` is the place to show for an empty value, which has none of its own."""
        if event.style is not None or event.tag is not None:
            if _is_broken(event.value):
                self.problem("syntax", "half of a character: a lone surrogate", self.span(event))
                return Node(self.span(event), key, "")
            return Node(self.span(event), key, event.value)
        value = resolve(event.value)
        if isinstance(value, Refused):
            self.problem(value.code, value.message, self.span(event), value.help)
            return Node(self.span(event), key, event.value)
        return Node(owner if event.value == "" else self.span(event), key, value)

    def collection_span(self, start: Event, end: Event, key: Span | None) -> Span:
        """A collection in braces or brackets shows itself; an indented one shows its key."""
        if getattr(start, "flow_style", False) or key is None:
            first, last = start.start_mark, end.end_mark
            if first.line == last.line and last.column > first.column:
                return Span(self.file, first.line + 1, first.column + 1, last.column - first.column)
            return self.at(first.line, first.column, whole_line=True)
        return key

    def span(self, event: Event) -> Span:
        first, last = event.start_mark, event.end_mark
        if first.line == last.line and last.column > first.column:
            return Span(self.file, first.line + 1, first.column + 1, last.column - first.column)
        return self.at(first.line, first.column, whole_line=first.line != last.line)

    def at(self, line: int, column: int, whole_line: bool = False) -> Span:
        """The place (counted from 0), moved back into the text where it lies after its end."""
        line = min(line, len(self.lines) - 1)
        text = self.lines[line].rstrip()
        column = min(column, len(text))
        return Span(self.file, line + 1, column + 1, max(1, len(text) - column) if whole_line else 1)

    def problem(self, code: str, message: str, span: Span, help: str | None = None) -> None:
        problems = self.document.problems
        if len(problems) == MOST_PROBLEMS:
            problems.append(Diagnostic("too-many", "more is wrong; the rest is not read", span, "begin with the first"))
            raise _Stop
        problems.append(Diagnostic(code, message, span, help))
