"""Makes a Dask worker one of tinsmith's: ``dask worker … --preload builder.cluster.preload``.

Settings are variables, so that they reach a worker however it is started: TINSMITH_STORE, TINSMITH_ENGINE,
TINSMITH_WORKER_MEMORY (MB), TINSMITH_WORKER_GPU, TINSMITH_WORKER_TOOLCHAINS (names with spaces between them) and
TINSMITH_WORKER_RESOURCES (NAME=N with spaces between them).
"""

from __future__ import annotations

import os
import traceback
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from builder.cluster import context, machine
from builder.cluster.job import this_version
from builder.cluster.resources import AMPLE, DOCKER, GPU, MEMORY, SLOTS, kinship, offered
from builder.errors import StoreUnreachable, TinsmithError, UsageError

if TYPE_CHECKING:
    from distributed import Worker

    from builder.store.cached import CachedStore

STORE, ENGINE = "TINSMITH_STORE", "TINSMITH_ENGINE"
_OWN = "TINSMITH_WORKER_"
_DIGITS = 12
MEMORY_MB, GPUS, TOOLCHAINS, RESOURCES = (_OWN + word for word in ("MEMORY", "GPU", "TOOLCHAINS", "RESOURCES"))


def dask_setup(worker: Worker) -> None:
    """What Dask calls before ``worker`` is known to the scheduler. An error ends the process, with one line.

    Dask itself would log the error and go on, with a worker that can do nothing.
    """
    try:
        set_up(worker, os.environ)
    except TinsmithError as error:
        context.end(error)
    except OSError as error:
        context.end(StoreUnreachable(f"{error.filename or 'the store'}: {error.strerror or error}"))
    except Exception:
        traceback.print_exc()
        os._exit(1)


def dask_teardown(worker: Worker) -> None:
    """What Dask calls when ``worker`` closes, told to or because its scheduler has gone: no step runs on."""
    context.interrupt()


def set_up(worker: Worker, environ: Mapping[str, str]) -> None:
    """As ``dask_setup``, with the settings in ``environ``; errors are raised."""
    from builder.engine.select import choose, known

    kind = known(environ.get(ENGINE) or "auto")
    toolchains = machine.toolchains(environ.get(TOOLCHAINS, "").split())
    memory = _number(environ, MEMORY_MB)
    gpus = _number(environ, GPUS)
    extra = _extra(environ.get(RESOURCES, ""))
    store = _store(environ.get(STORE, ""))
    kin = dict.fromkeys(kinship(store.identity(), this_version()), AMPLE)
    engine = context.lazily(lambda: choose(kind))
    name = str(worker.name)
    offer = offered(
        slots=worker.state.nthreads,
        memory_mb=machine.memory_mb(environ) if memory is None else memory,
        gpus=machine.gpus(environ) if gpus is None else int(gpus),
        # Whether a daemon answers is to be known now; the local engine can wait.
        docker=kind != "local" and engine().name == "docker",
        toolchains=toolchains,
        extra=extra,
    )
    with suppress(OSError):
        store.sweep(())  # what steps of a killed worker left here
    context.install(context.Context(name, store, engine))
    state = worker.state
    # What the command line of a plain Dask worker declares stays.
    state.total_resources.update({**offer, **kin, **state.total_resources})
    state.available_resources.update(state.total_resources)
    context.say(f"worker {name}: {_told(offer, sorted(toolchains))}, store {environ[STORE]}")


def _store(place: str) -> CachedStore:
    from builder.store.places import is_shared, open_shared

    if not place:
        raise UsageError("no store is named", help=f"--store s3://bucket/folder or file:///folder, or {STORE}")
    if not is_shared(place):
        raise UsageError(
            f"{place} is a store of one machine, which other workers cannot use",
            help="--store s3://bucket/folder, or file:///folder if every machine has that folder",
        )
    return open_shared(place)


def _number(environ: Mapping[str, str], name: str) -> float | None:
    text = environ.get(name, "")
    if not text:
        return None
    if not text.isdecimal() or len(text) > _DIGITS:
        raise UsageError(f"{name} is {text!r}, which is no number")
    return float(text)


def _extra(text: str) -> dict[str, float]:
    found: dict[str, float] = {}
    for pair in text.split():
        name, _, amount = pair.partition("=")
        try:
            found[name] = float(amount)
        except ValueError:
            found[name] = -1.0
        if not (name and 0 <= found[name] < float("inf")):
            raise UsageError(f"{pair!r} is no resource", help="NAME=N, as in license=2")
        if name in (SLOTS, MEMORY, GPU, DOCKER):
            raise UsageError(f"{pair!r}: {name} has an option of its own", help="--slots, --memory, --gpu, --engine")
    return found


def _told(offer: Mapping[str, float], toolchains: list[str]) -> str:
    slots = int(offer[SLOTS])
    parts = [f"{slots} {'slot' if slots == 1 else 'slots'}", f"{offer[MEMORY]:,.0f} MB of memory"]
    parts += [f"gpu {offer[GPU]:g}"] if offer[GPU] else []
    parts += [f"toolchains {' '.join(toolchains)}", "engine docker" if DOCKER in offer else "engine local"]
    known = (SLOTS, MEMORY, GPU, DOCKER)
    parts += [f"{name} {amount:g}" for name, amount in offer.items() if name not in known and ":" not in name]
    return ", ".join(parts)
