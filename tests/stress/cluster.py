"""``python -m tests.stress.cluster``: a matrix built by four hosts, while they, the scheduler and the store are killed.

The hosts are network namespaces with half a processor each (tests/cluster). What they build is compared by digest with
what one machine builds, and every result in the store is watched: it must appear once and never change. With --replay
steps are played back instead of worked (tests/cluster/replay.py), so that hundreds of kills take minutes. Needs root.
Exit status 1 if anything differs. Figures for docs/cluster.md.
"""

from __future__ import annotations

import argparse
import json
import random
import secrets
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Collection
from pathlib import Path

from builder.errors import IntegrityError, StoreUnreachable
from tests.cluster import matrix
from tests.cluster.building import Building
from tests.cluster.cluster import Cluster
from tests.cluster.harm import KILLS, Harm
from tests.cluster.replay import poisoned, replaying
from tests.cluster.watch import ResultsWatch

HOSTS, CORES = 4, 0.5
_LONGEST_SECONDS = 2400.0
_PATIENCE = 45
"""Seconds of TINSMITH_STORE_PATIENCE, more than any harm lasts; ``_SHORT`` for the outage that is too long."""
_SHORT = 6


class Stress:
    def __init__(self, root: Path, cluster: Cluster, chance: random.Random, variants: int, replay: bool) -> None:
        self.root, self.cluster, self.chance, self.variants, self.replay = root, cluster, chance, variants, replay
        self.wrong: list[str] = []
        self._begun = time.monotonic()

    def say(self, text: str) -> None:
        print(f"{time.monotonic() - self._begun:6.0f}s  {text}", flush=True)

    def check(self, what: str, right: bool) -> None:
        self.say(f"{what}: {'right' if right else 'WRONG'}")
        if not right:
            self.wrong.append(what)

    def on_one_machine(self, kept: Path | None) -> None:
        """The reference, taken from ``kept`` if it is there already."""
        self.reference = kept or self.root / "reference"
        made = self.reference / "digests.json"
        if not made.exists():
            matrix.project(self.reference, self.variants)
            begun = time.monotonic()
            made.write_text(json.dumps(matrix.built_on_one_machine(self.reference)))
            self.say(f"one machine builds {self.variants} variants in {time.monotonic() - begun:.0f} s")
        self.digests = json.loads(made.read_text())
        self.keys = matrix.step_keys(self.reference)
        assert len(self.digests) == self.variants, self.digests
        self.say(f"{len(self.keys)} steps, releases {' '.join(digest[7:15] for digest in self.digests.values())}")

    def work_for(self, name: str, env: dict[str, str] | None = None, bad: int | None = None) -> None:
        """Workers for a fresh store; the one with the number ``bad`` is poisoned."""
        store = self.reference / ".tinsmith" / "store"
        special = {}
        for number in range(HOSTS):
            kind = poisoned() if number == bad else {}
            special[number] = {**(replaying(store, poisoned=number == bad) if self.replay else kind), **(env or {})}
        self.cluster.work_for(name, special)

    def start(self, name: str, env: dict[str, str] | None = None) -> Building:
        return self.cluster.build(matrix.copied(self.reference, self.root / name), env=env)

    def judge(self, name: str, building: Building, results: ResultsWatch, sound: Collection[str] | None = None) -> None:
        """Waits for the end of a build and holds it against the reference; the results of the steps ``sound`` (all of
        them) must be whole."""
        begun = time.monotonic()
        status = building.wait(_LONGEST_SECONDS)
        self.check(f"{name}: exit status {status}", status == 0)
        if status != 0:
            self.say(building.last())
        self.check(f"{name}: digests of {self.variants} releases", building.releases() == self.digests)
        if building.tracebacks():
            self.check(f"{name}: tracebacks", False)
            self.say("\n".join(building.texts[-40:]))
        results.look()
        for text in results.broken + results.lacking(self.keys if sound is None else sound):
            self.check(f"{name}: {text}", False)
        kinds = Counter(event["kind"] for event in building.events)
        ran = Counter(event["detail"]["key"] for event in building.events if event["kind"] == "started")
        resumed = sum("going on from step" in str(event["detail"].get("text")) for event in building.events)
        self.say(
            f"{name}: {kinds['finished']} of {len(self.keys)} steps ended here, {sum(ran.values())} were begun, "
            f"{resumed} trainings went on from a checkpoint; waited {time.monotonic() - begun:.0f} s"
        )

    def same(self) -> None:
        self.work_for("plain")
        begun = time.monotonic()
        with ResultsWatch(self.cluster.objects) as results:
            building = self.start("plain")
            self.judge("four hosts", building, results)
        where = Counter(event["detail"].get("worker") for event in building.events if event["kind"] == "finished")
        self.say(f"four hosts: {time.monotonic() - begun:.0f} s; steps by host: {dict(where)}")

    def kills(self, count: int) -> None:
        """So many kills over as many builds as it takes, each into a fresh store."""
        done: Counter[str] = Counter()
        number = 0
        while sum(done[kind] for kind in KILLS) < count:
            number += 1
            name = f"killed-{number}"
            self.work_for(name)
            with ResultsWatch(self.cluster.objects) as results:
                building = self.start(name)
                harm = Harm(self.cluster, self.chance, building.training, lambda text: self.say(f"  {text}"))
                while building.running and (killed := sum(done[kind] for kind in KILLS)) < count:
                    time.sleep(self.chance.uniform(1, 12))
                    if building.running and (kind := harm.once()):
                        done[kind] += 1
                self.say(f"{name}: {killed if building.running else sum(done[kind] for kind in KILLS)} kills so far")
                self.judge(name, building, results)
        self.say("done: " + ", ".join(f"{times} x {kind}" for kind, times in sorted(done.items())))

    def outage(self) -> None:
        """The store is away for longer than anybody's patience; then the same command again."""
        short = {"TINSMITH_STORE_PATIENCE": str(_SHORT)}
        self.work_for("outage", short)
        with ResultsWatch(self.cluster.objects) as results:
            building = self.start("outage", short)
            building.wait_for(lambda event: event["kind"] == "finished", 300)
            self.cluster.store.kill()
            away = time.monotonic()
            try:
                status = building.wait(300)
            finally:
                self.cluster.store.start()
            self.check(
                f"outage: exit status {status} after {time.monotonic() - away:.0f} s without a store",
                status == StoreUnreachable.exit_status,
            )
            self.say("\n".join(building.texts[-4:]))
            ran = {event["detail"]["key"] for event in building.events if event["kind"] == "finished"}
            again = self.cluster.build(building.folder, env=short)
            self.judge("outage, again", again, results)
            repeated = {event["detail"]["key"] for event in again.events if event["kind"] == "finished"} & ran
            self.check("outage: what was done is not done again", not repeated)

    def poison(self) -> None:
        """One of the workers uploads other bytes than it names."""
        bad = self.chance.randrange(HOSTS)
        self.work_for("poisoned", bad=bad)
        worker = self.cluster.workers[bad]
        self.say(f"poisoned: {worker.host.name}")
        with ResultsWatch(self.cluster.objects, aside=True) as results:
            # Blobs of other steps may lie there unread, as who made them and who read them was the same host.
            released = [key for key, step in self.keys.items() if step == "package"]
            self.judge("poisoned", self.start("poisoned"), results, released)
        assert worker.process is not None
        self.check(
            f"poisoned: its supervisor ended with {worker.process.poll()}",
            worker.process.poll() == IntegrityError.exit_status,
        )
        others = [other.host.name for other in self.cluster.workers if other is not worker and not other.running]
        self.check(f"poisoned: honest workers that were dropped: {' '.join(others) or 'none'}", not others)
        aside = len(list((self.cluster.objects / "damaged").glob("*")))
        self.check(f"poisoned: {aside} objects were set aside", aside > 0)


def main() -> int:
    words = argparse.ArgumentParser(prog="python -m tests.stress.cluster")
    words.add_argument("parts", nargs="*", default=[], help="same, kills, outage, poison; all unless some are named")
    words.add_argument("--kills", type=int, default=30, help="of workers, hosts, scheduler and store, in all")
    words.add_argument("--seed", type=int, default=secrets.randbelow(10**6))
    words.add_argument("--variants", type=int, default=8, choices=sorted(matrix.AXES))
    words.add_argument("--reference", type=Path, help="a folder that keeps what one machine built, for the next time")
    words.add_argument("--replay", action="store_true", help="play steps back, in seconds, instead of working them")
    words.add_argument("--keep", type=Path, help="a new folder for all that hosts, scheduler and store leave")
    chosen = words.parse_args()
    folder = chosen.keep or Path(tempfile.mkdtemp(prefix="tinsmith-cluster-"))
    env = {"TINSMITH_STORE_PATIENCE": str(_PATIENCE)}
    try:
        with Cluster(HOSTS, CORES, folder=folder / "rack", env=env) as cluster:
            stress = Stress(folder, cluster, random.Random(chosen.seed), chosen.variants, chosen.replay)
            stress.say(f"seed {chosen.seed}, {HOSTS} hosts with {CORES} of a processor each")
            stress.on_one_machine(chosen.reference)
            parts: dict[str, Callable[[], None]] = {
                "same": stress.same,
                "kills": lambda: stress.kills(chosen.kills),
                "outage": stress.outage,
                "poison": stress.poison,
            }
            for name in chosen.parts or parts:
                parts[name]()
    finally:
        if chosen.keep is None:
            shutil.rmtree(folder, ignore_errors=True)
    print("\n".join(["WRONG:", *stress.wrong] if stress.wrong else ["all right"]))
    return 1 if stress.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
