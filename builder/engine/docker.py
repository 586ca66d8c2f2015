"""Runs each step in a container of its own, through the Docker SDK."""

from __future__ import annotations

import json
import os
import socket
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import docker
from docker.errors import APIError, ImageNotFound
from docker.types import Mount

from builder.engine.access import give, readable_copy
from builder.engine.base import Emit, Workspace
from builder.engine.container import (
    ENGINE_ERRORS,
    attach,
    detach,
    ended,
    engine_lost,
    frames,
    hardened,
    remove,
    stop,
)
from builder.engine.events import StepOutput, failure, out_of_memory
from builder.engine.image import ensure_image
from builder.engine.inside import HOME, NOBODY, OUTPUT, PATH, REQUEST, STEPS, input_folder
from builder.engine.leftovers import OWNER_LABEL, RUN_LABEL, owner, sweep
from builder.engine.request import ENTRY, environment, request, threads_of
from builder.errors import Interrupted, NoEngine
from builder.plan.step import Step, Toolchain
from builder.resources import toolchain_folder

_GRACE_SECONDS = 10
_USUAL = "unix:///var/run/docker.sock"
_PING_SECONDS = 2
_ANSWER_SECONDS = 60


class DockerEngine:
    """Steps in containers with no network, no capabilities and a read-only root.

    ``client`` is the connection that it uses; ``images`` maps toolchain names to images to pull instead of
    building; ``folders`` finds a toolchain's folder by its name.
    """

    name = "docker"

    def __init__(
        self,
        client: docker.DockerClient,
        *,
        images: Mapping[str, str] | None = None,
        folders: Callable[[str], Path] = toolchain_folder,
    ) -> None:
        self.client = client
        self._images = dict(images or {})
        self._folders = folders
        self._ready: dict[str, str] = {}

    @classmethod
    def connect(
        cls, *, images: Mapping[str, str] | None = None, folders: Callable[[str], Path] = toolchain_folder
    ) -> DockerEngine:
        """An engine on the daemon of DOCKER_HOST or the usual socket. NoEngine if it does not answer soon."""
        try:
            _knock(os.environ.get("DOCKER_HOST") or _USUAL)
            impatient = docker.from_env(timeout=_PING_SECONDS)
            try:
                impatient.ping()
            finally:
                impatient.close()
            client = docker.from_env(timeout=_ANSWER_SECONDS)
        except ENGINE_ERRORS as error:
            raise NoEngine(
                f"no Docker engine answers at {os.environ.get('DOCKER_HOST') or _USUAL}: {error}",
                help="start one or set DOCKER_HOST; --engine local needs none",
            ) from error
        return cls(client, images=images, folders=folders)

    @property
    def isolation(self) -> str:
        return (
            "container: no network, read-only file system but for its output, no capabilities, not root, "
            "scrubbed environment, limits on memory, processors and processes"
        )

    def prepare(self, toolchain: Toolchain, emit: Emit) -> None:
        if toolchain.digest in self._ready:
            return
        if count := sweep(self.client):
            emit("message", {"text": f"removed {count} container(s) of a build that was killed"})
        reference = self._images.get(toolchain.name)
        folder = self._folders(toolchain.name)
        self._ready[toolchain.digest] = ensure_image(self.client, toolchain, folder, reference, emit)

    def run(self, step: Step, workspace: Workspace, emit: Emit) -> Mapping[str, Any]:
        self.prepare(step.toolchain, emit)
        name = f"tinsmith-{step.name}-{workspace.nonce[:16]}"
        user = _user()
        said = StepOutput(emit)
        seen: list[float] = []

        def looked(used_mb: float | None) -> None:
            if used_mb is not None:
                seen.append(used_mb)
            said.usage(used_mb)

        output = workspace.output.resolve()
        # Beside the output: copies of inputs may be large, and the store sweeps what a killed build left there.
        with tempfile.TemporaryDirectory(prefix="tinsmith-step-", dir=output.parent) as folder:
            mounts = _mounts(step, workspace, output, Path(folder))
            give(output, user)
            try:
                self._create(name, step, user, mounts)
                code, memory_ran_out = self._follow(name, said, looked)
            except (KeyboardInterrupt, SystemExit, Interrupted):
                said.stopping()
                stop(self.client, name, _GRACE_SECONDS)
                raise
            finally:
                remove(self.client, name)
                give(output, (os.getuid(), os.getgid()))
                said.finish()
        if memory_ran_out:
            raise out_of_memory(step.name, step.memory_mb, said)
        if code != 0:
            raise failure(step.name, code, said)
        return {"memory_mb": round(max(seen), 1)} if seen else {}

    def close(self) -> None:
        with suppress(*ENGINE_ERRORS):
            self.client.close()

    def local_image(self, name: str) -> str | None:
        """The id of an image that the engine has, as ``tinsmith lock --base-image`` takes it."""
        try:
            return self.client.images.get(name).id
        except ImageNotFound:
            return None

    def _create(self, name: str, step: Step, user: tuple[int, int], mounts: list[Mount]) -> None:
        account = f"{user[0]}:{user[1]}"
        try:
            # A limit above what the machine has is refused by the daemon.
            cpus = min(threads_of(step), int(self.client.info()["NCPU"]))
            self.client.containers.create(
                self._ready[step.toolchain.digest],
                ["python", f"{STEPS}/{ENTRY}", REQUEST],
                name=name,
                user=account,
                working_dir=HOME,
                environment=environment(step, PATH, HOME),
                labels={RUN_LABEL: name, OWNER_LABEL: owner()},
                **hardened(account, step.memory_mb, cpus, mounts),
            )
        except ENGINE_ERRORS as error:
            if isinstance(error, APIError) and error.is_client_error():
                raise NoEngine(f"the Docker engine refuses step {step.name}: {error.explanation}") from error
            raise engine_lost(name, error) from error

    def _follow(self, name: str, said: StepOutput, looked: Callable[[float | None], None]) -> tuple[int, bool]:
        try:
            attached = attach(self.client, name)
        except ENGINE_ERRORS as error:
            raise engine_lost(name, error) from error
        try:
            self.client.api.start(name)
            for stream, data in frames(self.client, name, attached, looked):
                said.feed(stream, data)
        except ENGINE_ERRORS as error:
            raise engine_lost(name, error) from error
        finally:
            detach(attached)
        return ended(self.client, name)


def _knock(address: str) -> None:
    """OSError if nobody listens on the Unix socket of ``address``: asked here, as the SDK would leak its socket."""
    if address.startswith("unix:"):
        with socket.socket(socket.AF_UNIX) as knocking:
            knocking.settimeout(_PING_SECONDS)
            knocking.connect(address.removeprefix("unix:").replace("//", "", 1))


def _user() -> tuple[int, int]:
    """Who a step runs as: the caller, whose the output folder is, or nobody where the caller is root."""
    return (os.getuid(), os.getgid()) if os.getuid() != 0 else (NOBODY, NOBODY)


def _mounts(step: Step, workspace: Workspace, output: Path, scratch: Path) -> list[Mount]:
    """The request, the code and the inputs, read-only; the output folder. ``scratch`` is for copies."""
    inputs = {name: input_folder(name) for name in workspace.inputs}
    document = scratch / "request.json"
    document.write_text(json.dumps(request(step, workspace, inputs, OUTPUT)))
    document.chmod(0o644)
    folders = {STEPS: workspace.steps}
    folders.update({inputs[name]: folder for name, folder in workspace.inputs.items()})
    mounts = [Mount(REQUEST, str(document), type="bind", read_only=True)]
    for number, (target, folder) in enumerate(folders.items()):
        source = folder.resolve()
        if os.getuid() == 0:
            source = readable_copy(source, scratch / str(number))
        mounts.append(Mount(target, str(source), type="bind", read_only=True))
    return [*mounts, Mount(OUTPUT, str(output), type="bind")]
