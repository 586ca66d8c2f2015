"""What goes over the wire for a step, and what comes back: small, plain, and the same whoever asks for the step.

Bytes of inputs, code and outputs go through the shared store.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Literal

from builder.digest import Digest, canonical_json
from builder.errors import IntegrityError
from builder.plan.code import StepCode
from builder.plan.step import Step
from builder.store.base import StepResult, Store


@dataclass(frozen=True)
class Job:
    """A step to run: ``code`` is the digest of the list of its modules, a blob of the store called ``store``; ``needs``
    has the keys of the steps that it reads from, by their names.

    Two who ask for one step send equal jobs, of which the scheduler keeps one.
    """

    tinsmith: str
    store: str
    step: Step
    code: Digest
    needs: Mapping[str, Digest]

    def __dask_tokenize__(self) -> tuple[str, ...]:
        """What tells this job from others; Dask would walk through all of it, for each graph."""
        return (self.tinsmith, self.store, self.step.key, self.code)


@dataclass(frozen=True)
class Outcome:
    """How a job ended on the worker called ``worker``.

    ``done``: the store has the result, after ``seconds`` of work, or 0 if it was there before. ``failed``: with an
    error of class ``kind`` in ``builder.errors``. ``lost``: the results of the steps ``keys`` are gone, or have other
    bytes than they should, made by the workers ``blamed``; without ``keys`` it is files of its sources. ``skipped``:
    something that it needs did not end well.
    """

    key: Digest
    status: Literal["done", "failed", "lost", "skipped"]
    worker: str = ""
    seconds: float = 0.0
    kind: str = ""
    code: str = ""
    message: str = ""
    help: str | None = None
    keys: tuple[Digest, ...] = ()
    blamed: tuple[str, ...] = field(default=())


def looked_up(store: Store, key: Digest) -> StepResult | None:
    """As ``store.lookup``, but a damaged result, which the store has set aside, is none."""
    try:
        return store.lookup(key)
    except IntegrityError:
        return None


@functools.cache
def this_version() -> str:
    return version("tinsmith")


def publish_code(step: Step, code: StepCode, store: Store) -> Digest:
    """Puts the modules that ``step`` may use into ``store``; the digest of their list."""
    listing = {name: store.write_bytes(code[name]) for name in step.code}
    return store.write_bytes(canonical_json(listing))


def read_code(digest: Digest, store: Store) -> dict[str, bytes]:
    """The modules of the list ``digest``, by name. IntegrityError if one is missing or the list is none."""
    try:
        listing = json.loads(store.read(digest))
        return {str(name): store.read(Digest(item)) for name, item in listing.items()}
    except (ValueError, AttributeError, TypeError) as error:
        raise IntegrityError(f"{digest} is no list of step code: {error}") from error
