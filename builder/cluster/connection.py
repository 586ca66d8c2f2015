"""The connection to a Dask scheduler: made when it is there, made anew when it was lost."""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from builder.cluster.events import TOPIC
from builder.engine.base import Emit
from builder.errors import NoEngine, UsageError
from builder.settings import cluster_patience

if TYPE_CHECKING:
    from distributed import Client

_ATTEMPT_SECONDS = 10.0
_MOST_EVENTS = 10_000
_LOGS = "DASK_LOGGING__DISTRIBUTED"

ANSWER_SECONDS = 10.0
"""How long a scheduler may take to answer: one of a thousand workers takes a second."""


def _quiet() -> None:
    """What is to be told, the build tells; Dask would add pages to every lost connection."""
    if _LOGS not in os.environ:
        for name in [*logging.root.manager.loggerDict]:
            if name.partition(".")[0] == "distributed":
                logging.getLogger(name).setLevel(logging.CRITICAL)


class Connection:
    """To the scheduler at ``address``, such as ``tcp://10.0.0.1:8786``. ``events`` are those that workers send."""

    def __init__(self, address: str, emit: Emit) -> None:
        self.address = address
        self.events: queue.SimpleQueue[tuple[str, Mapping[str, Any]]] = queue.SimpleQueue()
        self._emit = emit
        self._client: Client | None = None

    def client(self) -> Client:
        """A client that is connected. NoEngine if the scheduler does not answer within ``cluster_patience``;
        UsageError if its address is none, or Dask is not installed."""
        if self._client is not None and self._client.status == "running":
            # Dask connects anew by itself, but forgets this.
            self._client.subscribe_topic(TOPIC, self._receive)
            return self._client
        self.close()
        patience, told = cluster_patience(), False
        deadline = time.monotonic() + patience
        while True:
            try:
                self._client = self._connected()
                return self._client
            except ValueError as error:
                raise UsageError(f"{self.address!r} is no address of a scheduler: {error}") from error
            except OSError as error:  # also what distributed raises when a time is over
                if time.monotonic() > deadline:
                    raise NoEngine(
                        f"no Dask scheduler answers at {self.address} for {patience:g} s: {_reason(error)}",
                        help="start one ('dask scheduler') or see --scheduler; --engine local needs none",
                    ) from error
                if not told:
                    self._emit("message", {"text": f"waiting for the scheduler at {self.address}"})
                    told = True
                time.sleep(0.5)
            except (TypeError, RuntimeError, ImportError, AssertionError) as error:
                # No certificate, an address that Dask's configuration forbids, another version, no scheduler at all.
                raise NoEngine(
                    f"the scheduler at {self.address} cannot be used: {str(error) or type(error).__name__}",
                    help="tls:// takes certificates in Dask's configuration, which may also ask for tls:// "
                    "(docs/cluster.md); versions of Dask have to fit",
                ) from error

    def close(self) -> None:
        """Gives up whatever this connection asked for; what is finished is in the store."""
        if self._client is not None:
            with contextlib.suppress(Exception):  # of a scheduler that is gone
                self._client.close(timeout=2)
            self._client = None

    def _connected(self) -> Client:
        try:
            import dask
            from distributed import Client
        except ImportError as error:
            raise UsageError(
                f"--engine dask needs what is not installed: {error.name}",
                help="pip install 'tinsmith[cluster]'",
            ) from error
        # Where a graph was made in the user's code is nothing that a scheduler needs to show of tinsmith's.
        dask.config.set({"distributed.diagnostics.computations.nframes": 0})
        _quiet()
        client: Client = Client.__new__(Client)
        try:
            client.__init__(  # type: ignore[misc]
                self.address, timeout=min(_ATTEMPT_SECONDS, cluster_patience()), set_as_default=False
            )
        except BaseException:
            # There is nothing to close; Dask would try for long, whenever this is collected, and print a traceback.
            client.status = "closed"
            with contextlib.suppress(Exception):
                client._loop_runner.stop()
            raise
        client.subscribe_topic(TOPIC, self._receive)
        return client

    def _receive(self, event: tuple[float, Any]) -> None:
        """Called on the client's own thread."""
        for message in event[1] if isinstance(event[1], list | tuple) else ():
            if self.events.qsize() >= _MOST_EVENTS:  # nobody takes them: data is on its way to the store
                return
            if isinstance(message, Mapping) and isinstance(message.get("detail"), Mapping):
                self.events.put((str(message.get("kind")), message["detail"]))


def workers_of(client: Client) -> Mapping[str, Mapping[str, Any]]:
    """What the scheduler says of each worker, by address. TimeoutError if it says nothing for ``ANSWER_SECONDS``; where
    the connection is just being lost, whatever Dask raises."""
    scheduler: Any = client.scheduler
    workers: Mapping[str, Mapping[str, Any]]
    workers = client.sync(scheduler.identity, n_workers=-1, callback_timeout=ANSWER_SECONDS)["workers"]
    return workers


def _reason(error: BaseException) -> str:
    """What was at the bottom of it, if that says anything; above that, Dask tells of its own objects."""
    said = str(error)
    while error.__cause__ is not None:
        error = error.__cause__
        said = str(error) or said
    return said
