"""Which keys a section may have, found by following a path through the types."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel, Tag


def keys_at(model: type[BaseModel], location: Sequence[str | int]) -> list[str]:
    """The keys of the section at ``location`` (as pydantic gives it, tags included); empty if it is none."""
    current: Any = model
    for part in location:
        current = _below(current, part)
    found = _section(current)
    return [field.alias or name for name, field in found.model_fields.items()] if found else []


def is_tag(part: str | int) -> bool:
    """Is ``part`` of a location the choice of a type, which is not in the file?"""
    return isinstance(part, str) and part.startswith("<") and part.endswith(">")


def _below(annotation: Any, part: str | int) -> Any:
    if is_tag(part):
        tagged = (item for item in get_args(annotation) if Tag(str(part)) in getattr(item, "__metadata__", ()))
        return next(tagged, None)
    if isinstance(part, int):
        return next(iter(get_args(annotation)), None)
    section = _section(annotation)
    if section is None:
        # The values of a mapping with free keys.
        return get_args(annotation)[1] if get_origin(annotation) is dict else None
    fields = {field.alias or name: field.annotation for name, field in section.model_fields.items()}
    return fields.get(part)


def _section(annotation: Any) -> type[BaseModel] | None:
    """The section type in ``annotation``, which may be annotated or optional."""
    if get_origin(annotation) is Annotated:
        return _section(get_args(annotation)[0])
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    candidates = [found for item in get_args(annotation) if (found := _section(item))]
    return candidates[0] if len(candidates) == 1 else None
