"""Runs steps on this machine, in virtual environments with the same hashed requirements as the images."""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from builder.engine.base import Emit, Workspace
from builder.engine.events import StepOutput, Stream, failure, out_of_memory
from builder.engine.isolation import Isolation, isolated, strongest
from builder.engine.memory import session_memory
from builder.engine.request import ENTRY, environment, request
from builder.engine.virtualenv import ensure_environment
from builder.errors import NoEngine
from builder.plan.step import Step, Toolchain
from builder.resources import toolchain_folder
from builder.settings import cache_folder

_POLL_SECONDS = 0.25
_FIRST_POLL_SECONDS, _SLOWING = 0.02, 1.25
"""Polls begin close together: of a step that takes less than one interval the memory is to be known, too."""
_GRACE_SECONDS = 10.0
"""How long a stopped step may take to end by itself, before it is killed."""


class LocalEngine:
    """The engine that needs nothing but Python and, on first use, a package index.

    ``folders`` finds a toolchain's folder by its name; ``cache`` keeps the environments.
    """

    name = "local"

    def __init__(
        self,
        *,
        cache: Path | None = None,
        folders: Callable[[str], Path] = toolchain_folder,
        isolation: Isolation | None = None,
    ) -> None:
        self._cache = cache or cache_folder()
        self._folders = folders
        self._isolation = strongest() if isolation is None else isolation

    @property
    def isolation(self) -> str:
        return str(self._isolation)

    def prepare(self, toolchain: Toolchain, emit: Emit) -> None:
        self._environment(toolchain, emit)

    def run(self, step: Step, workspace: Workspace, emit: Emit) -> Mapping[str, Any]:
        virtualenv = self._environment(step.toolchain, emit)
        inputs = {name: path.resolve() for name, path in workspace.inputs.items()}
        output, steps = workspace.output.resolve(), workspace.steps.resolve()
        with tempfile.TemporaryDirectory(prefix="tinsmith-step-") as folder:
            home = Path(folder).resolve()
            document = request(step, workspace, {name: str(path) for name, path in inputs.items()}, str(output))
            (home / "request.json").write_text(json.dumps(document))
            command = [str(virtualenv / "bin" / "python"), str(steps / ENTRY), str(home / "request.json")]
            command = isolated(self._isolation, command, [*inputs.values(), steps, virtualenv], [output, home])
            env = environment(step, f"{virtualenv / 'bin'}:/usr/local/bin:/usr/bin:/bin", str(home))
            said = StepOutput(emit)
            code, most = _supervise(command, env, home, said, step)
        if code != 0:
            raise failure(step.name, code, said)
        return {"memory_mb": round(most, 1)} if most else {}

    def close(self) -> None:
        pass

    def _environment(self, toolchain: Toolchain, emit: Emit) -> Path:
        if toolchain.image is not None:
            raise NoEngine(
                f"toolchain {toolchain.name} names the image {toolchain.image}, which the local engine cannot run",
                help="build with --engine docker, or remove toolchain.image from the manifest",
                code="no-toolchain",
            )
        return ensure_environment(toolchain, self._folders(toolchain.name), self._cache, emit)


def _supervise(
    command: Sequence[str], env: dict[str, str], folder: Path, said: StepOutput, step: Step
) -> tuple[int, float]:
    """Runs ``command`` to its end; nothing that it started outlives this call.

    Returned are its exit code and the most memory that it was seen to use, in MB; 0 if it was never seen.
    """
    process = subprocess.Popen(
        command,
        env=env,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # A session of its own: Ctrl-C in the terminal reaches only tinsmith, which then ends the whole group.
        start_new_session=True,
    )
    assert process.stdout and process.stderr
    with process.stdout as out, process.stderr as err:
        try:
            most = _follow(process, {"stdout": out, "stderr": err}, said, step)
            return process.wait(), most
        except BaseException as error:
            _signal_group(process, signal.SIGTERM)
            if isinstance(error, KeyboardInterrupt):
                said.stopping()
            with suppress(subprocess.TimeoutExpired):
                process.wait(_GRACE_SECONDS)
            raise
        finally:
            _signal_group(process, signal.SIGKILL)
            process.wait()
            said.finish()


def _follow(process: subprocess.Popen[bytes], streams: dict[Stream, IO[bytes]], said: StepOutput, step: Step) -> float:
    """Reads both streams to their end, watching memory meanwhile; returns the most that was seen, in MB.

    A process that the step left in the background may hold the streams open: they are not waited for.
    """
    with selectors.DefaultSelector() as selector:
        for name, stream in streams.items():
            os.set_blocking(stream.fileno(), False)
            selector.register(stream, selectors.EVENT_READ, name)
        watched, pause, most = time.monotonic(), _FIRST_POLL_SECONDS, 0.0
        while selector.get_map():
            ended = process.poll() is not None
            ready = selector.select(0 if ended else pause)
            for key, _ in ready:
                data = os.read(key.fd, 1 << 16)
                if data:
                    said.feed(key.data, data)
                else:
                    selector.unregister(key.fileobj)
            if ended and not ready:
                break
            if time.monotonic() - watched >= pause:
                memory = session_memory(process.pid)
                most = max(most, memory.most)
                said.usage(memory.now)
                if memory.now > step.memory_mb:
                    _signal_group(process, signal.SIGKILL)
                    raise out_of_memory(step.name, step.memory_mb, said)
                watched, pause = time.monotonic(), min(_SLOWING * pause, _POLL_SECONDS)
        return most


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)
