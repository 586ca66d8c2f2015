"""In-memory stand-ins that keep the contracts of the real things."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

from builder.engine.base import Emit, Workspace
from builder.errors import StepFailed
from builder.plan.step import Step, Toolchain

Work = Callable[[Step, Workspace], Mapping[str, bytes]]


def default_work(step: Step, workspace: Workspace) -> Mapping[str, bytes]:
    """Output that depends on the step and on every input file."""
    seen = hashlib.sha256(step.name.encode())
    for name, folder in sorted(workspace.inputs.items()):
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                seen.update(name.encode() + path.name.encode() + path.read_bytes())
    return {"out.txt": seen.hexdigest().encode()}


class FakeEngine:
    """Runs ``work`` in place of a step's command and writes the result file as ``contract.py`` does."""

    name = "fake"
    isolation = "none"

    def __init__(self, work: Work = default_work) -> None:
        self.work = work
        self.ran: list[str] = []
        self.fail: str | None = None

    def prepare(self, toolchain: Toolchain, emit: Emit) -> None:
        emit("message", {"text": f"{toolchain.name} is ready"})

    def run(self, step: Step, workspace: Workspace, emit: Emit) -> Mapping[str, Any]:
        self.ran.append(step.name)
        if step.name == self.fail:
            raise StepFailed(f"step {step.name} failed")
        files = []
        for name, data in self.work(step, workspace).items():
            path = workspace.output / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            files.append({"path": name, "size": len(data), "sha256": hashlib.sha256(data).hexdigest()})
        self.write_result(workspace, {"nonce": workspace.nonce, "files": files})
        return {}

    @staticmethod
    def write_result(workspace: Workspace, result: Mapping[str, Any]) -> None:
        (workspace.output / "result.json").write_text(json.dumps(result))

    def close(self) -> None:
        pass


class Events(list[tuple[str, dict[str, Any]]]):
    """An ``Emit`` that remembers."""

    def __call__(self, kind: str, detail: Mapping[str, Any]) -> None:
        self.append((kind, dict(detail)))

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [detail for seen, detail in self if seen == kind]
