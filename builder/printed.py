"""Text from outside (releases, registries, names of files), made fit for a terminal."""

from __future__ import annotations


def printable(text: str) -> str:
    """``text`` in its lines, with a ``?`` for whatever could steer a terminal, or could not be written to one."""
    return "".join(sign if sign == "\n" or sign.isprintable() else "?" for sign in text)


def line(text: str) -> str:
    """``text`` as one printable line."""
    return printable(" ".join(text.splitlines()))
