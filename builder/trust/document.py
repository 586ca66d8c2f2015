"""JSON from outside as checked types: bounded, strict, and an IntegrityError for anything else."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any, NoReturn, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from builder.errors import IntegrityError

LARGEST = 4 << 20
"""Bytes of any document that is read here; a provenance of two toolchains has some 100 kB."""

Model = TypeVar("Model", bound=BaseModel)


class Closed(BaseModel):
    """A document of ours: an unknown key is an error, since a reader who passes it over may miss what it limits."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")


class Open(BaseModel):
    """A document of others, whose specification has readers pass over keys that they do not know."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")


def read_document(data: bytes, model: type[Model], what: str, *, largest: int = LARGEST) -> Model:
    """``data`` as a ``model``; ``what`` is what errors call it.

    IntegrityError (``malformed``) if it is too large, not JSON, not UTF-8, has a key twice, a number that is not
    finite or a string that is not Unicode, or is not such a document.
    """
    read_json(data, what, largest=largest)
    try:
        return model.model_validate_json(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise malformed(what, f"{place[:100]!a}: {first['msg'][:200]}") from error


def read_json(data: bytes, what: str, *, largest: int = LARGEST) -> Any:
    """``data`` as plain values. IntegrityError as for ``read_document``."""
    if len(data) > largest:
        raise malformed(what, f"it is larger than {largest:,} bytes")
    try:
        value = json.loads(
            data.decode("utf-8"), object_pairs_hook=_once, parse_constant=_not_finite, parse_float=_finite
        )
        json.dumps(value, ensure_ascii=False).encode()  # refuses halves of surrogate pairs
    except (ValueError, RecursionError) as error:
        raise malformed(what, f"{str(error)[:200]!a}") from error
    return value


def malformed(what: str, why: str) -> IntegrityError:
    return IntegrityError(
        f"{what} cannot be read: {why}",
        help="it was damaged or made by something else: get it again, or tell the publisher",
        code="malformed",
    )


def _once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        # Readers differ in which of the two they take, so a signature would cover two meanings.
        raise ValueError("a key stands twice")
    return found


def _not_finite(word: str) -> NoReturn:
    raise ValueError(f"{word} is not JSON")


def _finite(word: str) -> float:
    number = float(word)
    if not math.isfinite(number):
        raise ValueError("a number is too large")
    return number
