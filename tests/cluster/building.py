"""``tinsmith build`` on the rack's head, by a cluster: its events as they come, and what it makes."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.cluster.hosts import Host
from tests.cluster.matrix import MANIFEST, releases
from tests.integration.conftest import TINSMITH

Event = dict[str, Any]


class Building:
    """A build of the project in ``folder``; the words say which cluster and which store.

    ``heard`` is called with each event, on another thread.
    """

    def __init__(
        self,
        host: Host,
        folder: Path,
        words: Sequence[str],
        env: Mapping[str, str],
        heard: Callable[[Event], None] = lambda event: None,
    ) -> None:
        self.folder, self.events, self.texts = folder, list[Event](), list[str]()
        self._heard, self._changed = heard, threading.Condition()
        command = [*TINSMITH, "build", MANIFEST, "--engine", "dask", *words, "--json", "--progress", "json"]
        self._out = folder / f"build-{time.monotonic_ns()}.json"
        self._kept = self._out.with_suffix(".events")
        with self._out.open("wb") as out:
            self.process = host.start(command, env, cwd=folder, out=out, err=subprocess.PIPE)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def running(self) -> bool:
        return self.process.poll() is None

    def wait(self, seconds: float) -> int:
        """Its exit status. TimeoutError, with what it said last, if it takes longer."""
        try:
            status = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise TimeoutError(f"the build has not ended in {seconds:.0f} s\n{self.last()}") from None
        self._reader.join()
        return status

    def wait_for(self, wanted: Callable[[Event], bool], seconds: float) -> Event:
        """The first event like that, from its start on. TimeoutError if none comes, or the build ends without."""
        deadline, looked = time.monotonic() + seconds, 0
        while True:
            with self._changed:
                while looked < len(self.events):
                    looked += 1
                    if wanted(self.events[looked - 1]):
                        return self.events[looked - 1]
                self._changed.wait(0.2)
                if time.monotonic() > deadline or (not self._reader.is_alive() and looked == len(self.events)):
                    raise TimeoutError(f"no such event came\n{self.last()}")

    def releases(self) -> dict[str, str]:
        """Release -> digest, as it printed them."""
        text = self._out.read_text()
        return releases(json.loads(text)) if text else {}

    def training(self) -> set[str]:
        """The workers that are training at the moment, as far as events say."""
        at: dict[str, str] = {}
        for event in list(self.events):
            detail = event["detail"]
            if event["kind"] == "started" and detail["step"] == "train":
                at[detail["key"]] = detail["worker"]
            elif event["kind"] in ("finished", "failed", "cached"):
                at.pop(detail.get("key", ""), None)
        return set(at.values())

    def tracebacks(self) -> list[str]:
        """Where it printed one, which is never meant for a user."""
        return [text for text in self.texts if "Traceback" in text]

    def last(self) -> str:
        """The end of what it said, for a person."""
        events = [event for event in self.events if event["kind"] not in ("progress", "log")][-12:]
        said = [f"{event['kind']} {json.dumps(event['detail'])[:300]}" for event in events]
        return "\n".join([*said, *self.texts[-30:]])

    def _read(self) -> None:
        assert self.process.stderr is not None
        with self.process.stderr as stream, self._kept.open("wb") as kept:
            for line in stream:
                kept.write(line)
                event = None
                if line.startswith(b"{"):
                    with suppress(ValueError):
                        event = json.loads(line)
                with self._changed:
                    if event is None:
                        self.texts.append(line.decode(errors="replace").rstrip())
                    else:
                        self.events.append(event)
                    self._changed.notify_all()
                if event is not None:
                    self._heard(event)
