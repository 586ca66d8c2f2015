"""What a plain text of YAML says, without places, from ruamel.yaml's parser in C.

Many times as fast as ``nodes``, which counts when there are thousands of files. It answers only where both parsers are
known to agree: for texts in which no rare part of YAML stands, and with which nothing is wrong. All others are for
``nodes`` to read, and to say what is wrong with them. tests/fuzz/parsers.py holds the two against each other.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any

from ruamel.yaml.error import YAMLError
from ruamel.yaml.events import (
    DocumentEndEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
    StreamStartEvent,
)

from builder.errors import Span
from builder.manifest.nodes import DEEPEST, MOST_NODES, Node
from builder.manifest.scalars import Refused, Scalar, resolve

try:
    from _ruamel_yaml import CParser  # type: ignore[import-not-found, import-untyped, unused-ignore]
except ImportError:  # its wheels are not for every Python and system
    CParser = None

_SIGNS = re.compile(r"[\t\r\\&*!|>?%@`]")
_ALWAYS = "\t\r\\"
"""Tabs, line breaks of other systems, escapes. The other signs are rare where a value or key may begin: anchors,
aliases, tags, block texts, complex keys, directives, what is reserved."""
_BEFORE = "\n []{},:"
_COMMENT = re.compile(r"(?:^|(?<= ))#", re.MULTILINE)
NOWHERE = Span("", 1, 1)

_LONGEST_KEPT = 80
_resolved = functools.lru_cache(maxsize=4096)(resolve)


class _Unfit(Exception):
    """``nodes`` has to read this one."""


def unplaced(text: str) -> Any:
    """Dicts, lists and scalars; None if ``nodes`` must be asked."""
    if CParser is None or _has_rare(text):
        return None
    try:
        events = _Events(CParser(text).get_event)
        events.expect(StreamStartEvent)
        events.expect(DocumentStartEvent)
        root = events.value(events.next(), 0)
        events.expect(DocumentEndEvent)
        events.expect(StreamEndEvent)
        return root
    except (_Unfit, YAMLError):
        return None


def _has_rare(text: str) -> bool:
    if text.startswith(("---", "...")) or "\n---" in text or "\n..." in text:
        return True  # marks of documents
    for found in _SIGNS.finditer(text):
        at = found.start()
        if text[at] in _ALWAYS:
            return True
        # At the start of the text there is nothing before, which is in every text.
        if text[at - 1 : at] in _BEFORE and not _COMMENT.search(text, text.rfind("\n", 0, at) + 1, at):
            return True
    return False


class _Events:
    """Made into values one after another; _Unfit at the first that is not as simple as can be."""

    def __init__(self, following: Callable[[], Any]) -> None:
        self.next = following
        self.nodes = 0

    def expect(self, kind: type) -> None:
        if type(self.next()) is not kind:
            raise _Unfit

    def value(self, event: Any, depth: int) -> Any:
        self.nodes += 1
        if self.nodes > MOST_NODES or depth > DEEPEST or event.anchor is not None or event.ctag is not None:
            raise _Unfit
        kind, following = type(event), self.next
        if kind is ScalarEvent:
            if event.style:
                return event.value
            return _meant(event.value)
        if kind is MappingStartEvent:
            found: dict[str, Any] = {}
            while type(event := following()) is not MappingEndEvent:
                key = self.key(event)
                if key in found:
                    raise _Unfit
                found[key] = self.value(following(), depth + 1)
            return found
        if kind is SequenceStartEvent:
            entries = []
            while type(event := following()) is not SequenceEndEvent:
                entries.append(self.value(event, depth + 1))
            return entries
        raise _Unfit

    def key(self, event: Any) -> str:
        if type(event) is not ScalarEvent or event.anchor is not None or event.ctag is not None:
            raise _Unfit
        key: str = event.value
        if not event.style and (key == "<<" or not isinstance(_meant(key), str)):
            raise _Unfit
        return key


def _meant(word: str) -> Scalar:
    """The value of the unquoted ``word``; _Unfit if it has none."""
    value = _resolved(word) if len(word) <= _LONGEST_KEPT else resolve(word)
    if value is None or isinstance(value, Refused):
        raise _Unfit
    return value


def node_of(value: Any) -> Node:
    """``value`` as a tree of nodes that stand NOWHERE."""
    if isinstance(value, dict):
        return Node(NOWHERE, children={key: node_of(item) for key, item in value.items()})
    if isinstance(value, list):
        return Node(NOWHERE, children={at: node_of(item) for at, item in enumerate(value)}, is_sequence=True)
    return Node(NOWHERE, value=value)
