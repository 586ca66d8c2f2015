"""Both engines on one tiny toolchain, so that one suite holds for each of them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from builder.digest import digest_file, digest_json
from builder.engine.base import Engine, Workspace
from builder.engine.docker import DockerEngine
from builder.engine.local import LocalEngine
from builder.errors import NoEngine
from builder.plan.step import Step, Toolchain
from builder.resources import steps_folder
from tests.fakes import Events

HERE = Path(__file__).parent
NONCE = "0123456789abcdef" * 2
TOOLCHAIN_FOLDER = HERE / "toolchain"


def tiny_toolchain(base_image: str) -> Toolchain:
    requirements = digest_file(TOOLCHAIN_FOLDER / "requirements.lock")
    dockerfile = digest_file(TOOLCHAIN_FOLDER / "Dockerfile")
    version = "3.11"
    digest = digest_json([version, base_image, requirements, dockerfile])
    return Toolchain("tiny", version, base_image, requirements, dockerfile, digest)


def docker_engine() -> DockerEngine:
    """The Docker engine; where none answers the test is skipped, or fails if TINSMITH_REQUIRE_DOCKER is set."""
    try:
        return DockerEngine.connect(folders=lambda name: TOOLCHAIN_FOLDER)
    except NoEngine as error:
        if os.environ.get("TINSMITH_REQUIRE_DOCKER"):
            pytest.fail(error.message)
        pytest.skip(error.message)


def base_image(engine: DockerEngine) -> str:
    """The stand-in base image if this machine has it, else the one that the litert toolchain is pinned to."""
    import tomllib

    from builder.resources import toolchain_folder

    found = engine.local_image("tinsmith-base:py3.11")
    pinned = tomllib.loads((toolchain_folder("litert") / "toolchain.toml").read_text())["base_image"]
    return found or pinned


@dataclass
class Bench:
    """An engine, ready, with a workspace to run test steps in."""

    engine: Engine
    toolchain: Toolchain
    root: Path
    events: Events
    facts: Mapping[str, Any] = field(default_factory=dict)
    """Of the last run."""

    def run(self, name: str, memory_mb: int = 512, **params: Any) -> Path:
        """Runs the test step ``name``; returns its output folder."""
        self.facts = self.engine.run(self.step(name, memory_mb, params), self.workspace(), self.events)
        return self.root / "out"

    def step(self, name: str, memory_mb: int = 512, params: dict[str, Any] | None = None) -> Step:
        return Step(
            name=name,
            module=name,
            toolchain=self.toolchain,
            params=params or {},
            inputs=(),
            code=(),
            key=digest_json(name),
            memory_mb=memory_mb,
        )

    def workspace(self) -> Workspace:
        return Workspace(
            inputs={"data": self.root / "in"},
            output=self.root / "out",
            steps=self.root / "steps",
            nonce=NONCE,
        )


def lay_out(root: Path) -> None:
    """Input, output and code folders below ``root``: the real runner, and this suite's steps."""
    (root / "in").mkdir(parents=True)
    (root / "in" / "in.txt").write_text("some data\n")
    (root / "out").mkdir()
    shutil.copytree(HERE / "steps", root / "steps")
    for name in ("run.py", "contract.py"):
        shutil.copy(steps_folder() / name, root / "steps")


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def local(cache: Path) -> Iterator[tuple[Engine, Toolchain]]:
    yield LocalEngine(cache=cache, folders=lambda name: TOOLCHAIN_FOLDER), tiny_toolchain("none")


@pytest.fixture
def docker() -> Iterator[tuple[Engine, Toolchain]]:
    engine = docker_engine()
    yield engine, tiny_toolchain(base_image(engine))
    engine.close()


@pytest.fixture(params=["local", pytest.param("docker", marks=pytest.mark.docker)])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Bench:
    engine, toolchain = request.getfixturevalue(request.param)
    lay_out(tmp_path)
    made = Bench(engine, toolchain, tmp_path, Events())
    engine.prepare(toolchain, made.events)
    return made
