"""The text of a manifest or lock: read once, size and characters checked before any YAML is parsed."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

from builder.errors import Diagnostic, InvalidManifest, Span, UsageError

LARGEST_BYTES = 1_000_000

_LINE_BREAK = re.compile(r"\r\n|\n|\r")
_REFUSED = re.compile(
    # Control characters; the line breaks that only old YAML knows, which editors do not count as lines;
    # the marks that make a line look different from what it says; halves of characters.
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufeff\ufffe\uffff]"
)


def read_text(path: Path) -> str:
    """The text of the file at ``path``, without a byte order mark.

    UsageError if it cannot be read; InvalidManifest if it is too large, not UTF-8 or has hidden characters.
    """
    return decode(read_data(path), str(path))


def read_data(path: Path) -> bytes:
    """The bytes of the file at ``path``, at most one more than are read as text. UsageError if it cannot be read."""
    try:
        # A pipe is not waited for.
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            found = os.fstat(handle)
            if not stat.S_ISREG(found.st_mode):
                raise UsageError(f"{path} is not a file", help="name the .yaml file itself")
            data = b""
            while len(data) <= LARGEST_BYTES and (
                block := os.read(handle, min(found.st_size, LARGEST_BYTES) + 1 - len(data))
            ):
                data += block
            return data
        finally:
            os.close(handle)
    except OSError as error:
        raise UsageError(
            f"cannot read {path}: {error.strerror}", help="see 'tinsmith init' to write a new manifest"
        ) from error
    except ValueError as error:
        raise UsageError(f"cannot read {str(path)!r}: {error}") from error


def decode(data: bytes, file: str) -> str:
    """``data`` as text; InvalidManifest as for ``read_text``."""
    if len(data) > LARGEST_BYTES:
        message = f"larger than {LARGEST_BYTES:,} bytes, the most that is read"
        raise InvalidManifest([Diagnostic("too-large", message, Span(file, 1, 1))])
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8")
        problem = Diagnostic(
            "encoding",
            f"not UTF-8 text: byte 0x{data[error.start]:02x}",
            place(before, len(before), file),
            "save the file as UTF-8",
        )
        raise InvalidManifest([problem], data.decode("utf-8", "replace")) from error
    return check(text.removeprefix("\ufeff"), file)


def check(text: str, file: str) -> str:
    """``text`` itself; InvalidManifest if it is too large or holds a character that does not show."""
    if len(text) > LARGEST_BYTES:
        message = f"larger than {LARGEST_BYTES:,} characters, the most that is read"
        raise InvalidManifest([Diagnostic("too-large", message, Span(file, 1, 1))])
    problems = [
        Diagnostic(
            "syntax",
            f"character U+{ord(found[0]):04X} is not allowed",
            place(text, found.start(), file),
            "remove it; it is invisible in most editors",
        )
        for found in list(_REFUSED.finditer(text))[:20]
    ]
    if problems:
        raise InvalidManifest(problems, text)
    return text


def lines_of(text: str) -> list[str]:
    """The lines of ``text`` without their ends, as editors number them."""
    return _LINE_BREAK.split(text)


def place(text: str, offset: int, file: str) -> Span:
    """The span of the one character at ``offset``."""
    before = lines_of(text[:offset])
    return Span(file, len(before), len(before[-1]) + 1)
