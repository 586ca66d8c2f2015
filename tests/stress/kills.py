"""``python -m tests.stress.kills``: trainings that are stopped and killed, compared by sha256 with one that is not.

Exit status 1 if a single file differs. Figures for docs/resume.md.
"""

from __future__ import annotations

import argparse
import os
import random
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from builder.cli.load import load_planned
from builder.digest import digest_file, hex_of
from builder.engine.docker import DockerEngine
from builder.errors import NoEngine
from tests.integration.conftest import ROOT, TINY, outputs, runner
from tests.integration.training_step import TrainingStep
from tests.stress.running import Building, size

MANIFEST = "manifests/tiny.yaml"
STEPS, EVERY = 90, 3
MODEL = Path("build/tiny-1.0.0/model.tflite")


class Stress:
    """The parts below share one uninterrupted build; ``differences`` names what did not agree with it."""

    def __init__(self, root: Path, chance: random.Random, crash_docker: bool) -> None:
        self.root, self.chance, self.crash_docker = root, chance, crash_docker
        self.differences: list[str] = []
        self._begun = time.monotonic()
        self.reference = self.project("reference")
        self.fresh(self.reference, "1")
        trained = outputs(self.reference, "train")
        weights = next(digest for path, digest in trained.items() if path.startswith("model.ckpt.data"))
        self.say(f"weights {weights}, .tflite {digest_file(self.reference / MODEL)}")

    def say(self, text: str) -> None:
        print(f"{time.monotonic() - self._begun:6.0f}s  {text}", flush=True)

    def project(self, name: str, *lock: str) -> Path:
        folder = self.root / name
        (folder / "manifests").mkdir(parents=True)
        text = TINY.replace("steps: 12", f"steps: {STEPS}").replace("checkpoint_every: 3", f"checkpoint_every: {EVERY}")
        (folder / MANIFEST).write_text(text)
        runner(folder)("lock", MANIFEST, *lock)
        return folder

    def compare(self, what: str, same: bool) -> None:
        self.say(f"{what}: {'the same' if same else 'DIFFERENT'}")
        if not same:
            self.differences.append(what)

    def compare_builds(self, what: str, folder: Path) -> None:
        trained = outputs(folder, "train") == outputs(self.reference, "train")
        self.compare(f"{what}: weights, metrics and curves", trained)
        self.compare(f"{what}: .tflite", digest_file(folder / MODEL) == digest_file(self.reference / MODEL))

    def threads(self) -> None:
        folder = self.project("two-threads")
        self.fresh(folder, "2")
        self.compare_builds("1 and 2 threads", folder)

    def fresh(self, folder: Path, threads: str) -> None:
        self.say(f"a fresh build on {threads} thread(s)")
        os.environ["TINSMITH_THREADS"] = threads
        runner(folder)("build", MANIFEST, "--engine", "local")

    def stopped(self, count: int) -> None:
        """Each training is stopped once, at a random step, and goes on; every other one with a damaged newest file."""
        (self.root / "steps").mkdir()
        training = TrainingStep(self.reference, MANIFEST, self.root / "steps")
        for number in range(count):
            name = f"stopped-{number}"
            stop, by = self.chance.randint(1, STEPS), self.chance.choice([signal.SIGKILL, signal.SIGTERM])
            ended = training.run(name, stop=stop, by=by, threads=self.chance.choice([1, 2]))
            assert ended.status == (130 if by == signal.SIGTERM else -signal.SIGKILL), ended.events
            what = f"{number + 1:2} of {count}: stopped at step {stop} by {by.name}"
            saved = training.checkpoints(name)
            if number % 2 and saved:
                damage(saved[-1], self.chance)
                what += ", newest checkpoint damaged"
            ended = training.run(name, threads=self.chance.choice([1, 2]))
            noticed = sum("damaged" in text for text in ended.texts) == (1 if "damaged" in what else 0)
            same = ended.status == 0 and noticed and training.files(name) == training.uninterrupted
            self.compare(what, same)
            shutil.rmtree(self.root / "steps" / name)

    def killed(self, count: int) -> None:
        """One build that is killed ``count`` times while it trains, at whatever moment."""
        folder = self.project("killed")
        scratch = scratch_of(folder)
        done: Counter[str] = Counter()
        unfinished, largest, start_seconds, number = 0, 0, 3.0, 0
        while number < count:
            os.environ["TINSMITH_THREADS"] = self.chance.choice("12")
            building = Building(folder, MANIFEST, scratch)
            # Towards the end only kills that let it do no step: it has to live through all of them.
            late = max(steps_of(scratch), default=0) > STEPS * (0.5 + number / count / 2) - 10
            how = building.kill_at_random(
                self.chance, ["starting"] if late else ["starting", "training", "writing"], start_seconds
            )
            building.wait()
            start_seconds = min(start_seconds, building.trains_after or start_seconds)
            if how is None:
                self.compare(f"it ended after {number} kills only", False)
                return
            number += 1
            done[how] += 1
            unfinished += (scratch / "unfinished.tmp").exists()
            largest = max(largest, size(folder / ".tinsmith" / "store"))
            self.say(f"kill {number:2} of {count}: {how}; checkpoints {steps_of(scratch)}")
        building = Building(folder, MANIFEST, scratch)
        assert building.wait() == 0, building.events[-5:]
        self.say(", ".join(f"{times} x {how}" for how, times in sorted(done.items())))
        self.say(
            f"{unfinished} kills left a half-written checkpoint; the store never held more than {largest / 1e6:.1f} MB"
        )
        self.compare_builds(f"{count} kills", folder)

    def docker(self) -> None:
        try:
            engine = DockerEngine.connect()
        except NoEngine as error:
            self.say(f"without docker: {error.message}")
            return
        words = []
        for toolchain, tag in (("tf1.15", "tinsmith-base:py3.7"), ("litert", "tinsmith-base:py3.11")):
            if image := engine.local_image(tag):
                words += ["--base-image", f"{toolchain}={image}"]
        engine.close()
        folder = self.project("docker", *words)
        self.say("a fresh build in docker")
        runner(folder)("build", MANIFEST, "--engine", "docker")
        self.compare_builds("docker and local", folder)
        if not self.crash_docker:
            self.say("without --crash-docker the engine is left alone")
            return
        folder = self.project("crashed", *words)
        building = Building(folder, MANIFEST, scratch_of(folder), "docker")
        while len(steps_of(building.scratch)) < 2 and building.process.poll() is None:
            time.sleep(0.01)
        assert building.writes(), building.events[-5:]
        self.say(f"dockerd killed at checkpoints {steps_of(building.scratch)}")
        restart = crash()
        code = building.wait()
        said = [str(event["detail"].get("text")) for event in building.events if event["kind"] == "text"]
        self.compare(f"the build ends with status {code}: {said[:1]}", code == 4 and "engine-lost" in " ".join(said))
        restart()
        done = runner(folder)("build", MANIFEST, "--engine", "docker")
        self.compare("it goes on from a checkpoint", "going on from step" in done.stderr)
        self.compare_builds("a crash of the engine", folder)


def scratch_of(folder: Path) -> Path:
    (planned,) = load_planned([folder / MANIFEST])
    key = planned.plans[0].step("train").key
    return folder.resolve() / ".tinsmith" / "store" / "work" / hex_of(key) / "out" / "checkpoints"


def steps_of(scratch: Path) -> list[int]:
    return sorted(int(path.stem[5:]) for path in scratch.glob("*.checkpoint"))


def damage(path: Path, chance: random.Random) -> None:
    data = bytearray(path.read_bytes())
    place = chance.randrange(len(data))
    if chance.random() < 0.5:
        data[place] ^= 1 << chance.randrange(8)
        path.write_bytes(data)
    else:
        path.write_bytes(data[:place])


def crash() -> Callable[[], None]:
    """Kills the daemon that .ci/docker-engine started; what it gives starts it again."""
    home = Path(os.environ.get("TINSMITH_DOCKER_HOME", "/var/lib/tinsmith-docker"))
    os.kill(int((home / "docker.pid").read_text()), signal.SIGKILL)

    def restart() -> None:
        subprocess.run([ROOT / ".ci" / "docker-engine"], check=True, capture_output=True)

    return restart


def main() -> int:
    words = argparse.ArgumentParser(prog="python -m tests.stress.kills")
    words.add_argument(
        "parts", nargs="*", default=[], help="threads, docker, killed, stopped; all unless some are named"
    )
    words.add_argument("--stopped", type=int, default=20, help="trainings that are stopped once at a random step")
    words.add_argument("--kills", type=int, default=30, help="SIGKILLs during one training")
    words.add_argument("--seed", type=int, default=secrets.randbelow(10**6))
    words.add_argument("--crash-docker", action="store_true", help="kill and restart what .ci/docker-engine started")
    chosen = words.parse_args()
    with tempfile.TemporaryDirectory(prefix="tinsmith-stress-") as folder:
        stress = Stress(Path(folder), random.Random(chosen.seed), chosen.crash_docker)
        stress.say(f"seed {chosen.seed}, {STEPS} steps, a checkpoint every {EVERY}")
        parts: dict[str, Callable[[], None]] = {
            "threads": stress.threads,
            "docker": stress.docker,
            "killed": lambda: stress.killed(chosen.kills),
            "stopped": lambda: stress.stopped(chosen.stopped),
        }
        for name in chosen.parts or parts:
            parts[name]()
    print("\n".join(["DIFFERENT:", *stress.differences] if stress.differences else ["all the same"]))
    return 1 if stress.differences else 0


if __name__ == "__main__":
    sys.exit(main())
