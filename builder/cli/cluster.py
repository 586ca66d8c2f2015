"""What ``build --engine dask`` has of its own: a cluster runs the steps, then the rest goes on as anywhere."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from builder import errors
from builder.cli.load import Planned
from builder.configuration import configurations, scheduler_address
from builder.digest import Digest
from builder.engine.base import Emit
from builder.errors import InvalidManifest, TinsmithError, UsageError
from builder.plan.step import Plan
from builder.store.base import BuildStore

if TYPE_CHECKING:
    from builder.cluster.job import Outcome
    from builder.cost.model import CostModel
    from builder.store.cached import CachedStore


class Cluster:
    """The cluster of one command, that ``started`` then. ``ran``: the keys of the steps that it ran for it."""

    def __init__(self, scheduler: str, store: CachedStore) -> None:
        self._scheduler, self._store = scheduler, store
        self.started = datetime.datetime.now(datetime.UTC)
        self.ran: frozenset[Digest] = frozenset()
        self._failed: dict[Digest, Outcome] = {}
        self._hopeless: set[Digest] = set()

    @classmethod
    def named(cls, scheduler: str | None, store: BuildStore, *, check: bool) -> Cluster:
        """The one at ``scheduler``, as the command line has it, or else tinsmith.toml. UsageError if that is no
        address, or workers could not use ``store``."""
        from builder.store.cached import CachedStore

        address = scheduler_address(scheduler)
        if check:
            raise UsageError(
                "--check runs steps on this machine", help="build with --engine local or docker, and the same --store"
            )
        if not isinstance(store, CachedStore):
            raise UsageError(
                "--engine dask needs a store that workers can reach",
                help="--store s3://bucket/folder, or file:///folder if every machine has that folder",
            )
        return cls(address, store)

    def run(
        self,
        planned: Sequence[Planned],
        plans: Sequence[Plan],
        sources: Sequence[Callable[[str], Path]],
        costs: CostModel,
        emit: Emit,
    ) -> None:
        """Has the steps of ``plans`` run that the store lacks; ``sources`` are those of ``planned``, one by one. Errors
        as for ``fill``."""
        from builder.cluster.fill import fill
        from builder.cluster.graph import graph_of

        openers: dict[str, Callable[[str], Path]] = {
            locked.digest: opener
            for item, opener in zip(planned, sources, strict=True)
            for locked in (item.lock.dataset, item.lock.init)
            if locked is not None
        }
        demands = (one.settings.cluster.demand for one in configurations())
        filled = fill(
            plans,
            code=planned[0].code,
            sources=lambda digest: openers[digest](digest),
            store=self._store,
            scheduler=self._scheduler,
            demand=next((found for found in demands if found), {}),
            costs=costs,
            emit=emit,
        )
        self.ran, self._failed = frozenset(filled.ran), filled.failed
        self._hopeless = {*filled.failed, *graph_of(plans).after(filled.failed)}

    def lacks(self, plans: Sequence[Plan]) -> bool:
        """Whether steps of ``plans`` have no result, as they failed or need one that did."""
        return any(step.key in self._hopeless for plan in plans for step in plan.steps)

    def judge(self) -> None:
        """Raises what made steps fail, if anything did: an error of the first one's kind that tells of all."""
        if not self._failed:
            return
        first, *others = self._failed.values()
        raise _kind(first.kind)("\n".join(map(_told, (first, *others))), help=first.help, code=first.code or None)


def _kind(name: str) -> type[TinsmithError]:
    """The class called ``name``, if it is one of errors that are a text."""
    found: Any = getattr(errors, name, None)
    plain = isinstance(found, type) and issubclass(found, TinsmithError) and not issubclass(found, InvalidManifest)
    return found if plain else TinsmithError


def _told(outcome: Outcome) -> str:
    return f"{outcome.message}\n  on worker {outcome.worker}" if outcome.worker else outcome.message
