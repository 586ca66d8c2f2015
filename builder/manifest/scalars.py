"""What an unquoted YAML word means: YAML 1.2's core rules, minus what other YAML versions read differently."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

Scalar = str | int | float | bool | None

_NULL = {"", "~", "null", "Null", "NULL"}
_BOOLEAN = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_OLD_BOOLEAN = re.compile(r"yes|no|on|off|y|n", re.IGNORECASE)
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.inf|\.nan", re.IGNORECASE)
_OTHER_NUMBER = re.compile(
    r"[-+]?(?:0[0-9]+|0b[01_]+|0o[0-7_]+|0x[0-9a-fA-F_]+|[0-9][0-9_]*_[0-9_.]*|[0-9]+(?::[0-5]?[0-9])+(?:\.[0-9]*)?)"
)
_DATE = re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt ].*)?")
_MOST_DIGITS = 18


@dataclass(frozen=True)
class Refused:
    """Why a word is not taken as it stands."""

    code: str
    message: str
    help: str


def resolve(word: str) -> Scalar | Refused:
    """The value of the unquoted ``word``."""
    if word in _NULL:
        return None
    if word in _BOOLEAN:
        return _BOOLEAN[word]
    if _OLD_BOOLEAN.fullmatch(word):
        meant = "true" if word.lower() in ("yes", "on", "y") else "false"
        message = f"{word} is a word to some YAML readers and {meant} to others"
        return Refused("ambiguous-value", message, f"write {meant}, or quote it: '{word}'")
    if _OTHER_NUMBER.fullmatch(word):
        message = f"{word} is a different number to different YAML readers"
        return Refused("ambiguous-value", message, f"write a plain decimal number, or quote it: '{word}'")
    if _DATE.fullmatch(word):
        message = f"{word} is a date to some YAML readers and text to others"
        return Refused("ambiguous-value", message, f"quote it: '{word}'")
    if _NOT_FINITE.fullmatch(word):
        return Refused("out-of-range", f"{word} is not a finite number", "give a number")
    if _INTEGER.fullmatch(word) and len(word) <= _MOST_DIGITS:
        return int(word)
    if _FLOAT.fullmatch(word):
        number = float(word)
        if not math.isfinite(number) or _INTEGER.fullmatch(word):
            return Refused("out-of-range", "the number is too large", "give a smaller one; text must be quoted")
        return number
    return word
