"""``python -m tests.stress.faults --schedules 200 --seed 1``: pushes and pulls through a proxy that does harm.

Each ends with the right bytes or a clean error (exit 7 or 8), and after an error nothing is left where they were to
go; a registry is never left with a version of other bytes, or in a state from which a later push cannot recover.
Exit status 1 if one does not.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builder.digest import digest_bytes
from builder.errors import IntegrityError, StoreUnreachable
from builder.registry.client import Registry
from builder.registry.credentials import anonymous
from builder.registry.offer import offer_in
from builder.registry.pull import fetching, find, into_folder, into_layout
from builder.registry.push import push
from builder.registry.reference import Remote
from builder.registry.wire import Limits
from builder.release.layout import Layout
from tests.registries import Running, contents, release_in, running
from tests.stress.proxy import FaultProxy, Schedule

IMPATIENT = Limits(
    connect=1.0, read=0.3, answer=0.6, stall=0.3, least_bytes=2000, first_wait=0.005, longest_wait=0.02,
    enough=20_000, whole=5000, chunk=20_000,
)  # fmt: skip
PATIENT = Limits(first_wait=0.01)
LONGEST_SECONDS = 120.0


def ignore(kind: str, detail: Any) -> None:
    pass


@dataclass(frozen=True)
class Outcome:
    """``result`` is ``done`` or the exit status; ``wrong`` says what must not be."""

    what: str
    result: str
    faults: Counter[str]
    wrong: str | None


class Faults:
    """The schedules share a registry at ``registry`` and the release in ``layout``."""

    def __init__(self, folder: Path, registry: Running) -> None:
        self.folder, self.registry = folder, registry
        self.layout = Layout(folder / "releases")
        self.release = release_in(self.layout, attachments=2)
        self.other = Layout(folder / "other")
        release_in(self.other, seed=2, attachments=1)
        self.expected = contents(self.layout)
        self._push(self.layout, "good/raccoon")

    def run(self, number: int, seed: int) -> Iterator[Outcome]:
        """One schedule for a pull and one for a push."""
        yield self._pull(f"pull-{number}", Schedule(2 * seed))
        yield self._push_harmed(f"push-{number}", Schedule(2 * seed + 1), taken=number % 4 == 3)

    def _pull(self, name: str, schedule: Schedule) -> Outcome:
        place = self.folder / name
        into = "folder" if schedule.chance.random() < 0.5 else "layout"
        told = _Told(f"pull into a {into}", schedule)
        with told, FaultProxy(self.registry.host, schedule) as proxy, _asking(proxy.host) as registry:
            offer = find(registry, Remote(proxy.host, "good/raccoon", "1.0.0"))
            with fetching(registry, "good/raccoon", self.folder / "cache" / name, ignore) as fetch:
                if into == "folder":
                    into_folder(offer, place / "app", fetch)
                else:
                    into_layout(offer, Layout(place / "app"), fetch)
        if told.result == "done":
            try:
                told.wrong = told.wrong or self._differs(into, place / "app")
            except IntegrityError as error:
                told.wrong = error.message
        elif place.exists():
            told.wrong = told.wrong or f"left {[str(path) for path in place.rglob('*')][:3]}"
        return told.outcome()

    def _differs(self, into: str, place: Path) -> str | None:
        (expected,) = self.expected.values()
        if into == "layout":
            found = contents(Layout(place))
            left = [path.name for path in place.iterdir() if path.name.startswith(".pull")]
            if left:
                return f"left {left}"
            return None if found == self.expected else "the layout has other bytes"
        files = {str(path.relative_to(place)): path.read_bytes() for path in place.rglob("*") if path.is_file()}
        return None if files == expected["files"] else "the folder has other bytes"

    def _push_harmed(self, name: str, schedule: Schedule, taken: bool) -> Outcome:
        repository = f"{name}/raccoon"
        if taken:  # the version is there already, with another digest
            self._push(self.other, repository)
        told = _Told("push to a taken version" if taken else "push", schedule)
        with told, FaultProxy(self.registry.host, schedule) as proxy, _asking(proxy.host) as registry:
            target = Remote(proxy.host, repository, "1.0.0")
            push(self.layout, offer_in(self.layout, self.release), target, registry, ignore)
        source = self.other if taken else self.layout
        (release,) = source.releases()
        with Registry(self.registry.host, lookup=anonymous, limits=PATIENT) as registry:
            data = registry.manifest(repository, "1.0.0")
        if data is not None and digest_bytes(data) != release.digest:
            told.wrong = told.wrong or "the version has another digest"
        if taken:
            told.wrong = told.wrong or ("it was taken and is written" if told.result == "done" else None)
            return told.outcome()
        if told.result != "done":
            self._push(self.layout, repository)  # whatever was left, a push that is let through succeeds
        if self._pulled(repository, name) != self.expected:
            told.wrong = told.wrong or "the registry has other bytes, or lacks attachments"
        return told.outcome()

    def _push(self, layout: Layout, repository: str) -> None:
        (release,) = layout.releases()
        with Registry(self.registry.host, lookup=anonymous, limits=PATIENT) as registry:
            target = Remote(self.registry.host, repository, release.version)
            push(layout, offer_in(layout, release), target, registry, ignore)

    def _pulled(self, repository: str, name: str) -> dict[str, Any]:
        back = Layout(self.folder / f"back-{name}")
        with Registry(self.registry.host, lookup=anonymous, limits=PATIENT) as registry:
            offer = find(registry, Remote(self.registry.host, repository, "1.0.0"))
            with fetching(registry, repository, self.folder / "cache" / "back", ignore) as fetch:
                into_layout(offer, back, fetch)
        return contents(back)


class _Told:
    """A context manager that takes errors as results."""

    def __init__(self, what: str, schedule: Schedule) -> None:
        self.what, self.schedule, self.result = what, schedule, "done"
        self.wrong: str | None = None

    def __enter__(self) -> _Told:
        self._begun = time.monotonic()
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        if isinstance(error, (IntegrityError, StoreUnreachable)):
            self.result = f"exit {error.exit_status}"
        elif isinstance(error, Exception):
            self.result, self.wrong = "traceback", "".join(traceback.format_exception(error))
        if time.monotonic() - self._begun > LONGEST_SECONDS:
            self.wrong = self.wrong or f"it took more than {LONGEST_SECONDS:g} s"
        return error is None or isinstance(error, Exception)

    def outcome(self) -> Outcome:
        return Outcome(self.what, self.result, self.schedule.done, self.wrong)


def _asking(host: str) -> Registry:
    return Registry(host, lookup=anonymous, limits=IMPATIENT)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--schedules", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    results: Counter[str] = Counter()
    faults: Counter[str] = Counter()
    wrong = 0
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="tinsmith-faults-") as root:
        folder = Path(root)
        (folder / "registry").mkdir()
        with running(folder / "registry") as registry:
            runs = Faults(folder, registry)
            for number in range(asked.schedules):
                for outcome in runs.run(number, asked.seed * 100_000 + number):
                    results[f"{outcome.what}: {outcome.result}"] += 1
                    faults += outcome.faults
                    if outcome.wrong:
                        wrong += 1
                        print(f"schedule {number}, {outcome.what}, {dict(outcome.faults)}: WRONG: {outcome.wrong}")
    for what, count in sorted(results.items()):
        print(f"{count:6}  {what}")
    print("faults: " + ", ".join(f"{kind} {count}" for kind, count in faults.most_common()))
    print(f"{asked.schedules} schedules, {time.monotonic() - begun:.0f} s, {wrong} wrong")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
