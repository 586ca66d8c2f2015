"""Reads a JSON document piece by piece: the entries of its top-level lists, one after the other.

Memory holds one entry and one piece of the file, however large the file is. The entries themselves are parsed by
Python's own decoder (RFC 8259; NaN and infinities, which it would take, are refused).
"""

import codecs
import json
import re

PIECE = 1 << 20
LARGEST_ENTRY = 32 << 20
"""In characters."""

_SPACE = re.compile(r"[ \t\r\n]*")


class Broken(Exception):
    """The text is not JSON of the form expected; the message says where."""


def _refuse(word):
    raise ValueError("%s is not JSON" % word)


_DECODER = json.JSONDecoder(parse_constant=_refuse)


def members(stream):
    """(key, entry) for each entry of each list that is a member of the document's one object, in the file's order.

    ``stream`` is a binary file. A member that is no list is yielded as (key, None) and read over. Broken if it is no
    such document.
    """
    reader = _Reader(stream)
    reader.expect("{")
    if reader.peek() == "}":
        reader.expect("}")
    else:
        while True:
            key = reader.value()
            if not isinstance(key, str):
                raise reader.broken("a key is not text")
            reader.expect(":")
            if reader.peek() == "[":
                for entry in reader.entries():
                    yield key, entry
            else:
                reader.value()
                yield key, None
            if reader.next_of(",}") == "}":
                break
    if reader.peek():
        raise reader.broken("there is more after the document's end")


class _Reader(object):
    def __init__(self, stream):
        self._stream, self._decode = stream, codecs.getincrementaldecoder("utf-8-sig")()
        self._text, self._place, self._before, self._ended = "", 0, 0, False

    def broken(self, what):
        return Broken("%s, near character %d" % (what, self._before + self._place + 1))

    def _more(self):
        """Reads on; False at the end of the file."""
        if self._ended:
            return False
        piece = self._stream.read(max(PIECE, len(self._text) - self._place))
        self._ended = not piece
        try:
            text = self._decode.decode(piece, self._ended)
        except UnicodeDecodeError as error:
            raise self.broken("it is not UTF-8 (%s)" % error.reason)
        self._before += self._place
        self._text, self._place = self._text[self._place :] + text, 0
        return bool(text) or not self._ended

    def peek(self):
        """The next character that is no space; empty at the end."""
        while True:
            self._place = _SPACE.match(self._text, self._place).end()
            if self._place < len(self._text):
                return self._text[self._place]
            if not self._more():
                return ""

    def expect(self, character):
        if self.peek() != character:
            raise self.broken("expected %r" % character)
        self._place += 1

    def next_of(self, characters):
        found = self.peek()
        if not found or found not in characters:
            raise self.broken("expected one of %r" % characters)
        self._place += 1
        return found

    def value(self):
        """The value that begins here."""
        self.peek()
        while True:
            try:
                found, end = _DECODER.raw_decode(self._text, self._place)
                # A number at the end of a piece may go on in the next.
                if end < len(self._text) or not self._more():
                    self._place = end
                    return found
            except RecursionError:
                raise self.broken("nested too deep")
            except ValueError as error:
                if len(self._text) - self._place > LARGEST_ENTRY:
                    raise self.broken("an entry of more than %d characters" % LARGEST_ENTRY)
                if not self._more():
                    raise self.broken("not JSON (%s)" % str(error).split(":")[0])

    def entries(self):
        """The entries of the list that begins here."""
        self.expect("[")
        if self.peek() == "]":
            self._place += 1
            return
        while True:
            yield self.value()
            if self.next_of(",]") == "]":
                return
