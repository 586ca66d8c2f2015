"""The training step of a project that was built, as a process of its own that can be stopped at an exact step."""

from __future__ import annotations

import json
import secrets
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

from builder.cli.load import load_planned
from builder.engine.base import Workspace
from builder.engine.events import StepOutput
from builder.engine.request import environment, request
from builder.engine.virtualenv import ensure_environment
from builder.plan.step import Step
from builder.resources import toolchain_folder
from builder.settings import cache_folder
from builder.store.disk import DiskStore
from tests.fakes import Events

STOP_AT = Path(__file__).with_name("stop_at.py")


@dataclass(frozen=True)
class Ended:
    """``status`` as Popen has it; what the step said."""

    status: int
    events: Events

    @property
    def texts(self) -> list[str]:
        return [detail["text"] for detail in self.events.of("message")]


class TrainingStep:
    """Runs the step ``train`` of the manifest that was built in ``project``, again and again, below ``root``."""

    def __init__(self, project: Path, manifest: str, root: Path) -> None:
        (planned,) = load_planned([project / manifest])
        (plan,) = planned.plans
        store = DiskStore(project / ".tinsmith" / "store")
        self.step: Step = plan.step("train")
        self._root = root
        self._data, self._steps = root / "data", root / "steps"
        ingested, trained = store.lookup(plan.step("ingest").key), store.lookup(self.step.key)
        assert ingested and trained
        for artifact in ingested.artifacts:
            store.copy_to(artifact.digest, self._data / artifact.path)
        self._steps.mkdir()
        for name in self.step.code:
            (self._steps / name).write_bytes(planned.code[name])
        name = self.step.toolchain.name
        self._bin = ensure_environment(self.step.toolchain, toolchain_folder(name), cache_folder(), Events()) / "bin"
        self.uninterrupted = {item.path: item.digest.removeprefix("sha256:") for item in trained.artifacts}

    def run(self, name: str, *, stop: int = 0, by: int = signal.SIGKILL, threads: int = 2) -> Ended:
        """Runs in the output folder ``name``; after step ``stop`` it gets the signal ``by``."""
        output, home = self._root / name, self._root / "home"
        output.mkdir(exist_ok=True)
        home.mkdir(exist_ok=True)
        workspace = Workspace({"data": self._data}, output, self._steps, secrets.token_hex(16))
        document = request(self.step, workspace, {"data": str(self._data)}, str(output))
        path = self._root / f"{name}.json"
        path.write_text(json.dumps({**document, "threads": threads}))
        command: list[str | Path] = [self._bin / "python", STOP_AT, self._steps, path, str(stop), str(int(by))]
        done = subprocess.run(
            command, cwd=home, env=environment(self.step, f"{self._bin}:/usr/bin:/bin", str(home)), capture_output=True,
            timeout=300, check=False,
        )  # fmt: skip
        events = Events()
        said = StepOutput(events)
        said.feed("stdout", done.stdout)
        said.finish()
        return Ended(done.returncode, events)

    def checkpoints(self, name: str) -> list[Path]:
        """The checkpoints in the output folder ``name``, oldest first."""
        return sorted((self._root / name / "checkpoints").glob("*.checkpoint"))

    def files(self, name: str) -> dict[str, str]:
        """Path -> sha256 of what the step left, as its result says."""
        found = json.loads((self._root / name / "result.json").read_bytes())["files"]
        return {item["path"]: item["sha256"] for item in found}
