"""What the manifest's types are made of: the strict base, shared scalars and the way they report problems."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, StringConstraints, WithJsonSchema
from pydantic_core import PydanticCustomError


class Part(BaseModel):
    """A section of a manifest: unknown keys and inexact types are errors, values never change."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", serialize_by_alias=True)

    @classmethod
    def long_form(cls, plain: Any) -> Any:
        """``plain`` data with short forms written out; most types have none."""
        return plain


@dataclass(frozen=True)
class Problem:
    """One thing wrong with a value; ``at`` is the path below the value, up to ``to`` if that is given."""

    code: str
    message: str
    help: str | None = None
    at: tuple[str | int, ...] = ()
    to: tuple[str | int, ...] | None = None


PROBLEMS = "problems"


def refuse(*problems: Problem) -> PydanticCustomError:
    """The exception a validator raises to report ``problems``."""
    context: dict[str, Any] = {"text": problems[0].message, PROBLEMS: problems}
    return PydanticCustomError(PROBLEMS, "{text}", context)


def tagged(key: str, cases: Mapping[str, str]) -> Discriminator:
    """Chooses a section's type by its ``key``; ``cases`` maps that key's values to the tags of the types.

    A misspelt key or value still chooses, so that the rest of the section is checked too: the type itself then
    refuses the word. The tags, which pydantic puts into the location of errors, are no possible keys: see ``case``.
    """

    context: dict[str, Any] = {"key": key, "known": list(cases)}

    def choose(value: Any) -> str | None:
        if isinstance(value, BaseModel):
            return cases.get(getattr(value, key))
        if not isinstance(value, dict):
            return None
        near = key if key in value else next(iter(difflib.get_close_matches(key, value, n=1)), None)
        found = str(value[near]) if near is not None else ""
        known = found if found in cases else next(iter(difflib.get_close_matches(found, cases, n=1)), None)
        return cases[known] if known is not None else None

    return Discriminator(
        choose,
        custom_error_type="case",
        custom_error_message="{key} is not one of its values",
        custom_error_context=context,
    )


def case(value: str) -> str:
    """The tag of one case of a ``tagged`` section."""
    return f"<{value}>"


def unique(noun: str) -> Callable[[Sequence[str]], Sequence[str]]:
    """A validator that refuses entries that stand twice, each at its place."""

    def check(values: Sequence[str]) -> Sequence[str]:
        twice = [index for index, value in enumerate(values) if value in values[:index]]
        if twice:
            raise refuse(
                *(
                    Problem("duplicate-value", f"{noun} {values[index]!r} stands twice", "remove one", (index,))
                    for index in twice
                )
            )
        return values

    return check


_UNITS = {"B": 1, "kB": 10**3, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
_SIZE = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,6})?) ?([A-Za-z]+)")


def parse_size(value: object) -> object:
    """Bytes from ``1.5 MB`` (10^6), ``1.5 MiB`` (2^20) or a whole number."""
    if not isinstance(value, str):
        return value
    found = _SIZE.fullmatch(value.strip())
    if found is None or found[2] not in _UNITS:
        units = ", ".join(_UNITS)
        raise refuse(Problem("wrong-type", f"{value!r} is not a size", f"a number and one of {units}: 1.5 MB"))
    whole, _, fraction = found[1].partition(".")
    # In whole numbers: a size must not depend on how a processor rounds.
    return int(whole + fraction) * _UNITS[found[2]] // 10 ** len(fraction)


Size = Annotated[
    int,
    BeforeValidator(parse_size),
    Field(gt=0, le=10**12),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "exclusiveMinimum": 0},
                {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)? ?(B|[kKMG]B|[KMG]iB)$"},
            ]
        }
    ),
]

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]*$", max_length=63)]
Share = Annotated[float, Field(ge=0, le=1)]
Seed = Annotated[int, Field(ge=0, le=2**31 - 1)]
"""TensorFlow takes seeds of 31 bits."""

_INVISIBLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def check_line(value: str) -> str:
    """``value`` if it is one line of visible text."""
    if not value or value != value.strip() or _INVISIBLE.search(value):
        raise refuse(Problem("invalid-value", "must be one line of text with no space around it"))
    return value


def check_text(value: str) -> str:
    """``value`` if it is text of one or more visible lines."""
    if not value.strip() or _INVISIBLE.search(value.replace("\n", " ")):
        raise refuse(Problem("invalid-value", "must be text, without control characters"))
    return value
