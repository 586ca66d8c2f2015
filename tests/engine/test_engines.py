"""Choosing an engine, and what each says of itself."""

from __future__ import annotations

import io
import socket
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from builder.digest import digest_json
from builder.engine.access import readable_copy
from builder.engine.image import build_context, image_tag
from builder.engine.isolation import Isolation
from builder.engine.local import LocalEngine
from builder.engine.select import choose, describe_engines, image_references
from builder.errors import NoEngine, UsageError
from builder.plan.step import Toolchain
from tests.engine.conftest import TOOLCHAIN_FOLDER, Bench, base_image, docker_engine, lay_out, tiny_toolchain
from tests.fakes import Events


def test_of_a_short_step_the_memory_is_known_too(local: tuple[LocalEngine, Toolchain], tmp_path: Path) -> None:
    lay_out(tmp_path)
    short = Bench(*local, tmp_path, Events())
    short.run("holds", megabytes=100, seconds=0.12)
    assert 100 <= short.facts["memory_mb"] < 180


@pytest.fixture
def no_daemon(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nobody.sock")


@pytest.mark.usefixtures("no_daemon")
def test_auto_takes_the_local_engine_where_no_daemon_answers() -> None:
    assert choose("auto").name == "local"


@pytest.mark.usefixtures("no_daemon")
def test_docker_by_name_needs_a_daemon() -> None:
    with pytest.raises(NoEngine) as caught:
        choose("docker")

    assert caught.value.exit_status == 6
    assert "--engine local" in (caught.value.help or "")


@pytest.mark.usefixtures("no_daemon")
def test_both_engines_are_described() -> None:
    docker, local = describe_engines()

    assert docker.startswith("docker     not available")
    assert local.startswith("local      ")


def test_a_daemon_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(NoEngine):
            choose("docker")


@pytest.mark.docker
def test_auto_takes_docker_where_a_daemon_answers() -> None:
    docker_engine().close()
    engine = choose("auto")

    assert engine.name == "docker"
    engine.close()


def test_an_unknown_engine_is_a_usage_error() -> None:
    with pytest.raises(UsageError):
        choose("podman")


def test_what_does_not_hold_is_said_plainly() -> None:
    assert "NOT cut" in str(Isolation())
    assert "NOT protected" in str(Isolation(network=True))
    assert "NOT" not in str(Isolation(network=True, processes=True, files="all"))


def test_the_build_context_brings_the_settings_of_pip_only_where_there_are_any(tmp_path: Path) -> None:
    certificates = tmp_path / "ca.pem"
    certificates.write_text("certificates")
    toolchain = tiny_toolchain("base")

    plain = members(build_context(toolchain, TOOLCHAIN_FOLDER, {}))
    there = {"PIP_CERT": str(certificates), "PIP_INDEX_URL": "https://mirror.example/simple"}
    full = members(build_context(toolchain, TOOLCHAIN_FOLDER, there))

    assert plain.keys() == {"Dockerfile", "requirements.lock"}
    assert full.keys() == {*plain, "ca.crt", "pip.conf"}
    assert full["pip.conf"] == (b"[global]\nindex-url = https://mirror.example/simple\ncert = /build/ca.crt\n")


def members(context: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(context)) as archive:
        found = {member.name: archive.extractfile(member) for member in archive}
        return {name: stream.read() for name, stream in found.items() if stream}


def test_an_image_is_named_after_its_toolchain() -> None:
    toolchain = tiny_toolchain("base")

    assert image_tag(toolchain) == f"tinsmith/tiny:{toolchain.digest[7:23]}"


def test_images_to_pull_are_read_from_the_environment() -> None:
    assert image_references({"TINSMITH_IMAGES": "tf1.15=host/a@sha256:1 litert=host/b:2"}) == {
        "tf1.15": "host/a@sha256:1",
        "litert": "host/b:2",
    }
    assert image_references({}) == {}


def test_a_folder_is_copied_only_if_others_may_not_read_it(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "file").write_text("text")
    folder.chmod(0o755)
    (folder / "deep").chmod(0o755)
    (folder / "deep" / "file").chmod(0o644)
    assert readable_copy(folder, tmp_path / "copy") == folder

    (folder / "deep").chmod(0o700)

    assert readable_copy(folder, tmp_path / "copy") == tmp_path / "copy"
    assert (tmp_path / "copy" / "deep" / "file").stat().st_mode & 0o777 == 0o644


@pytest.mark.docker
def test_an_image_of_the_users_own_is_run_as_it_is(tmp_path: Path) -> None:
    engine = docker_engine()
    built = tiny_toolchain(base_image(engine))
    made = Bench(engine, built, tmp_path, Events())
    engine.prepare(built, made.events)
    image = engine.client.images.get(image_tag(built)).id
    own = replace(built, name="own", image=image, digest=digest_json(["own", image]))
    lay_out(tmp_path)
    engine.run(replace(made.step("good"), toolchain=own), made.workspace(), made.events)
    assert (tmp_path / "out" / "result.json").is_file()
    # Nothing was built for it.
    assert engine.local_image(image_tag(own)) is None
    missing = replace(own, image="sha256:" + "0" * 64, digest=digest_json("missing"))
    with pytest.raises(NoEngine):
        engine.prepare(missing, made.events)
    engine.close()


def test_the_local_engine_cannot_run_an_image(tmp_path: Path) -> None:
    own = replace(tiny_toolchain("x@sha256:" + "0" * 64), image="x@sha256:" + "0" * 64)
    with pytest.raises(NoEngine) as caught:
        LocalEngine(cache=tmp_path).prepare(own, Events())
    assert "--engine docker" in (caught.value.help or "")
