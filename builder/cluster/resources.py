"""What a worker offers and what a step demands, as Dask's resources: names with amounts. Pure.

Dask gives a step to a worker only while what the worker offers, less what its running steps demand, is enough.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from builder.cost.model import MARGIN
from builder.digest import Digest, hex_of
from builder.plan.step import Step

Resources = Mapping[str, float]

SLOTS = "slots"
"""Steps that run at once: one takes 1."""
MEMORY = "memory"
"""In MB (2**20 bytes)."""
GPU = "gpu"
DOCKER = "docker"
"""Of workers whose engine can run any image."""
AMPLE = 1e9
"""How much is offered of what any number of steps can use at once; each demands 1. Both are exact as floats."""

_TOOLCHAIN, _BUILD = "toolchain", "build"
_VERSION = 12


def toolchain(name: str, requirements: Digest) -> str:
    """The resource that stands for the toolchain ``name`` with these requirements."""
    return f"{_TOOLCHAIN}:{name}:{hex_of(requirements)[:_VERSION]}"


def kinship(store: str, tinsmith: str) -> dict[str, float]:
    """What a worker offers and a step demands so that both are of builds with this store and version of tinsmith: on
    one scheduler there may be others, which would fail every step at once, and so get the next. One name, as the
    scheduler holds each against all workers."""
    return {f"{_BUILD}:{store[:_VERSION]}:{tinsmith}": 1.0}


def offered(
    *,
    slots: int,
    memory_mb: float,
    gpus: int = 0,
    docker: bool = False,
    toolchains: Mapping[str, Digest],
    extra: Resources,
) -> dict[str, float]:
    """All that a worker offers. ``toolchains``: the digest of the requirements of each, by name.

    ``memory_mb`` is for all slots together: Dask subtracts what the running steps demand. ``extra`` is what the owner
    of the worker declares, and comes before what was found.
    """
    found = {SLOTS: float(slots), MEMORY: float(int(memory_mb)), GPU: float(gpus)}
    found |= {toolchain(name, digest): AMPLE for name, digest in toolchains.items()}
    if docker:
        found[DOCKER] = AMPLE
    return {**found, **extra}


def demanded(
    step: Step, memory_mb: float | None, extra: Resources, offers: Iterable[Resources] = ()
) -> dict[str, float]:
    """All that ``step`` demands of a worker.

    ``memory_mb`` is what it is safe to reserve for the step, of which its limit is enough: an engine lets it use no
    more. A step of which nothing is known (None) takes its limit. Of either, the whole of the largest of the ``offers``
    that fit otherwise will do, unless the step is known to have used more. ``extra`` is what ``tinsmith.toml``
    demands for steps of this name, and comes before what was found.

    A step in an image of its own demands docker in place of its toolchain, of which it uses nothing.
    """
    own = step.toolchain.image is not None
    where = DOCKER if own else toolchain(step.toolchain.name, step.toolchain.requirements_digest)
    found = {SLOTS: 1.0, where: 1.0, **extra}
    if MEMORY not in extra:
        limit = float(step.memory_mb)
        wanted = limit if memory_mb is None else min(memory_mb, limit)
        used = 0.0 if memory_mb is None else memory_mb / MARGIN
        largest = max((offer.get(MEMORY, 0.0) for offer in offers if fits(found, offer)), default=0.0)
        found[MEMORY] = min(wanted, largest) if largest and largest >= used else wanted
    return found


def fits(demand: Resources, offer: Resources) -> bool:
    """Whether a worker that offers this, and is idle, can take what demands that."""
    return all(offer.get(name, 0.0) >= amount for name, amount in demand.items())


def unplaceable(demand: Resources, offers: Mapping[str, Resources]) -> str:
    """Why no worker can ever take a step with this ``demand``, in words; empty if one can.

    ``offers`` is what each worker offers, by the worker's name.
    """
    if any(fits(demand, offer) for offer in offers.values()):
        return ""
    if not offers:
        return "there is no worker"
    never = [name for name in demand if not any(fits({name: demand[name]}, offer) for offer in offers.values())]
    workers = "the only worker" if len(offers) == 1 else f"none of the {len(offers)} workers"
    if never:
        return "; ".join(_lacking(name, demand[name], offers, workers) for name in sorted(never))
    parts = [_worded(name, amount) for name, amount in sorted(demand.items()) if name != SLOTS]
    return f"no worker offers all of this at once: {', '.join(parts)}"


def _lacking(name: str, amount: float, offers: Mapping[str, Resources], workers: str) -> str:
    only = len(offers) == 1
    kind, _, rest = name.partition(":")
    if kind == _TOOLCHAIN and rest:
        called, _, version = rest.rpartition(":")
        others = {item for offer in offers.values() for item in offer if item.startswith(f"{_TOOLCHAIN}:{called}:")}
        if others:
            there = ", ".join(sorted(item.rpartition(":")[2] for item in others))
            return f"toolchain {called} is wanted in version {version}, and the workers have {there}"
        return f"{workers} {'does not have' if only else 'has'} toolchain {called} (version {version})"
    if kind == _BUILD and rest:
        store, _, version = rest.partition(":")
        alike = {item for offer in offers.values() for item in offer if item.startswith(f"{_BUILD}:{store}:")}
        if alike:
            there = ", ".join(sorted(item.split(":", 2)[2] for item in alike))
            return f"the build has tinsmith {version}, and the workers have {there}"
        return f"{workers} {'does not use' if only else 'uses'} the store of the build"
    if name == DOCKER:
        return f"an image of one's own needs the docker engine, which {workers} {'does not have' if only else 'has'}"
    owner, largest = max(((one, offer.get(name, 0.0)) for one, offer in offers.items()), key=lambda item: item[1])
    if not largest:
        return f"{workers} {'does not offer' if only else 'offers'} {name}, of which {_number(amount)} is demanded"
    return f"{_worded(name, amount)} is demanded, and the most that a worker offers is {_number(largest)} ({owner})"


def _worded(name: str, amount: float) -> str:
    kind, _, rest = name.partition(":")
    if kind == _TOOLCHAIN and rest:
        called, _, version = rest.rpartition(":")
        return f"toolchain {called} (version {version})"
    if name == MEMORY:
        return f"{_number(amount)} MB of memory"
    if kind == _BUILD and rest:
        return "the store and tinsmith of the build"
    return name if name == DOCKER else f"{name} {_number(amount)}"


def _number(amount: float) -> str:
    return f"{amount:,.0f}" if amount == int(amount) else f"{amount:,.3g}"
