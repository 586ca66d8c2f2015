"""What a capsule holds, with fakes of the package index and the Docker engine; and how it builds without either."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from builder.compile import capsule, local
from builder.compile.archive import new_archive
from builder.compile.assemble import checksums
from builder.compile.capsule import make_capsule
from builder.compile.context import context_files
from builder.compile.dockerfile import toolchains_of
from builder.digest import digest_bytes, digest_json
from builder.engine.base import Emit
from builder.engine.image import TOOLCHAIN_LABEL, image_tag
from builder.errors import IntegrityError, StoreUnreachable
from builder.plan.step import Toolchain
from builder.rebuild.recipe import recipe_of
from builder.release.layout import Layout
from builder.release.make import RUN_TYPE
from builder.resources import docker_folder, steps_folder
from tests.fakes import Events
from tests.unit.small_release import LOCK, Small, no_source, release

IMAGES = b"layers" * 1000


class FakeDocker:
    """An engine that has the images of ``toolchains`` and their bases."""

    def __init__(self, toolchains: list[Toolchain]) -> None:
        self._images = {image_tag(item): {TOOLCHAIN_LABEL: item.digest} for item in toolchains}
        self._images.update({item.base_image: {} for item in toolchains})
        self.images = SimpleNamespace(get=self._get)
        self.api = SimpleNamespace(base_url="http://docker", api_version="1.41", get=self._saved)
        self.asked: list[str] = []

    def _get(self, name: str) -> Any:
        labels = self._images[name.removeprefix("id of ")]
        attrs = {"Size": len(IMAGES)}
        return SimpleNamespace(id=f"id of {name}", labels=labels, attrs=attrs, tag=self.asked.append)

    @contextmanager
    def _saved(self, url: str, params: dict[str, list[str]], stream: bool) -> Iterator[Any]:
        assert url == "http://docker/v1.41/images/get"
        assert sorted(self.asked) == params["names"]
        yield SimpleNamespace(raise_for_status=lambda: None, iter_content=lambda size: iter([IMAGES[:7], IMAGES[7:]]))


def fake_download(toolchain: Toolchain, folder: Path, target: Path, emit: Emit) -> list[Path]:
    assert (folder / "requirements.lock").read_bytes() == (
        docker_folder() / toolchain.name / "requirements.lock"
    ).read_bytes()
    target.mkdir(parents=True)
    (target / "six.whl").write_bytes(toolchain.name.encode())
    return [target / "six.whl"]


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Small:
    monkeypatch.setattr(capsule, "download", fake_download)
    return release(tmp_path)


def made(small: Small, target: Path, *, images: bool = True, wheels: bool = True, trusted: bool = False) -> Path:
    recipe = recipe_of(small.layout, small.release)
    client: Any = FakeDocker(toolchains_of(recipe.plan)) if images else None
    make_capsule(
        small.layout, small.release, recipe, no_source, target,
        client=client, wheels=wheels, trusted=trusted, emit=Events(),
    )  # fmt: skip
    return target


def unpacked(tar: Path, folder: Path) -> Path:
    with tarfile.open(tar) as archive:
        archive.extractall(folder, filter="data")
    (top,) = folder.iterdir()
    return top


def test_a_capsule_holds_all_that_a_rebuild_needs(small: Small, tmp_path: Path) -> None:
    top = unpacked(made(small, tmp_path / "a.tar"), tmp_path / "a")
    assert top.name == f"{small.release.name}-{small.release.version}"
    listed = dict(reversed(line.split("  ", 1)) for line in (top / "SHA256SUMS").read_text().splitlines())
    there = {path.relative_to(top).as_posix(): path for path in top.rglob("*") if path.is_file()}
    assert listed == {
        name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in there.items() if name != "SHA256SUMS"
    }
    assert (top / "images.tar").read_bytes() == IMAGES
    for name in ("tf1.15", "litert"):
        assert (top / "wheels" / name / "six.whl").read_text() == name
    copy = Layout(top / "releases")
    assert copy.find(small.release.digest) == small.release
    assert [item.artifact_type for item in copy.attachments(small.release)] == [
        item.artifact_type for item in small.layout.attachments(small.release)
    ]
    assert RUN_TYPE in {item.artifact_type for item in copy.attachments(small.release)}
    readme = (top / "README.txt").read_text()
    assert small.release.digest in readme
    assert small.release.digest in (top / "context" / "README.txt").read_text()
    for tag in ("tinsmith/tf1.15:", "tinsmith/base-litert:"):
        assert tag in readme
    about = json.loads((top / "context" / "release.json").read_text())
    left = {title for title in small.release.files if title != "steps.json" and title not in about}
    static = {
        path.relative_to(top / "context" / "static").as_posix() for path in (top / "context" / "static").iterdir()
    }
    outputs = {item.path for item in small.results[small.plan.target].artifacts}
    assert static == left - outputs


def test_the_context_in_it_is_that_of_the_manifest_but_for_the_known_digest(small: Small, tmp_path: Path) -> None:
    recipe = recipe_of(small.layout, small.release)
    recipe.lay_out(tmp_path / "recipe")
    subject = capsule.subject_of(small.layout, small.release, recipe, tmp_path / "recipe" / "toolchains")
    from_release = context_files(subject)
    from_manifest = context_files(
        capsule.Subject(
            small.manifest, small.lock, small.plan, small.code, docker_folder(), subject.static, subject.annotations
        )
    )
    assert {name for name in from_release if from_release[name] != from_manifest[name]} == {"README.txt"}


def test_the_same_capsule_has_the_same_bytes(small: Small, tmp_path: Path) -> None:
    assert made(small, tmp_path / "a.tar").read_bytes() == made(small, tmp_path / "b.tar").read_bytes()


def test_parts_can_be_left_out(small: Small, tmp_path: Path) -> None:
    top = unpacked(made(small, tmp_path / "a.tar", images=False, wheels=False), tmp_path / "a")
    assert sorted(path.name for path in top.iterdir()) == ["README.txt", "SHA256SUMS", "context", "releases"]
    assert "no Docker images" in (top / "README.txt").read_text()


def test_nothing_is_left_of_a_capsule_that_was_not_finished(
    small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "out").mkdir()
    target = tmp_path / "out" / "a.tar"
    target.write_bytes(b"an older one")

    def broken(*_: object) -> Iterator[bytes]:
        yield b"some"
        raise OSError("the disk is full")

    monkeypatch.setattr(capsule, "saved", broken)
    with pytest.raises(OSError, match="full"):
        made(small, target)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1000))
    with pytest.raises(StoreUnreachable) as caught:
        made(small, target)
    assert caught.value.exit_status == 8
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a.tar"]
    assert target.read_bytes() == b"an older one"


def test_a_toolchain_of_the_releases_own_is_not_made_unasked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capsule, "download", fake_download)
    locked = LOCK.toolchains["litert"].model_copy(update={"base_image": "sha256:" + "1" * 64})
    locked = locked.model_copy(update={"digest": digest_json(locked.identity("litert"))})
    small = release(tmp_path, toolchains={**LOCK.toolchains, "litert": locked})
    with pytest.raises(IntegrityError) as caught:
        made(small, tmp_path / "a.tar")
    assert caught.value.code == "untrusted-recipe"
    assert not (tmp_path / "a.tar").exists()
    made(small, tmp_path / "packages.tar", images=False)  # the packages are those of this tinsmith
    made(small, tmp_path / "trusted.tar", trusted=True)


def test_members_of_any_size_and_name_are_read_back(tmp_path: Path) -> None:
    names = {"a": b"", "b": b"x" * 511, "c": b"x" * 512, "d" * 150 + "é": b"x" * 513}
    with new_archive(tmp_path / "a.tar", "top", Events()) as archive:
        for name, data in names.items():
            archive.add_stream(name, [data[:100], data[100:]])
        archive.close("SUMS")
    with tarfile.open(tmp_path / "a.tar") as tar:
        found = {item.name: read.read() for item in tar if (read := tar.extractfile(item))}
    sums = checksums({name: digest_bytes(data) for name, data in names.items()})
    assert found == {**{f"top/{name}": data for name, data in names.items()}, "top/SUMS": sums}


STEP = """\
import contract, os
def main(request):
    seen = sorted(open(os.path.join(folder, name)).read() for folder in request.inputs.values()
                  for name in os.listdir(folder))
    assert os.listdir(os.environ["HOME"]) == [] and "SECRET" not in os.environ
    open(contract.output_path(request, "out.txt"), "w").write("%s %s %s %s" % (
        request.step, seen, request.threads, os.environ["OMP_NUM_THREADS"]))
    open(contract.output_path(request, "checkpoints", "state"), "w").write("scratch")
"""


@pytest.fixture
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Lays out a capsule of two small steps, which this Python runs."""

    def lay_out(**code: str) -> Path:
        top = tmp_path / "capsule"
        context = top / "context"
        for name, data in (("steps", None), ("requests", None), ("static", b"tar"), ("data/1", b"jpeg")):
            (context / name).mkdir(parents=True)
            if data:
                (context / name / "recipe.tar").write_bytes(data)
        for name in ("run.py", "contract.py"):
            shutil.copy(steps_folder() / name, context / "steps")
        keys = {name: digest_bytes(name.encode()) for name in ("first", "second")}
        inputs = {"first": {"source": {"data": "data/1"}}, "second": {"data": {"step": "first"}}}
        for name, threads in (("first", 2), ("second", None)):
            (context / "steps" / f"{name}.py").write_text(code.get(name, STEP))
            request = {"step": name, "params": {}, "inputs": {}, "output": "", "threads": threads,
                       "nonce": keys[name][7:], "key": keys[name]}  # fmt: skip
            (context / "requests" / f"{name}.json").write_text(json.dumps(request))
        about = {"name": "n", "version": "1", "annotations": {}, "target": "second", "steps": keys}
        (context / "release.json").write_text(json.dumps(about))
        root = Path(capsule.__file__).parents[2]
        (context / "assemble").symlink_to(root)
        plan = {
            "target": "second",
            "toolchains": {"tool": {"python": "3"}},
            "environment": {"HOME": None, "TZ": "UTC", "PYTHONDONTWRITEBYTECODE": "1"},
            "thread_variables": ["OMP_NUM_THREADS"],
            "steps": [
                {
                    "name": name,
                    "toolchain": "tool",
                    "inputs": inputs[name],
                    "code": ["run.py", "contract.py", f"{name}.py"],
                }
                for name in keys
            ],
        }
        (top / "local.json").write_text(json.dumps(plan))
        return top

    (tmp_path / "env" / "bin").mkdir(parents=True)
    (tmp_path / "env" / "bin" / "python").symlink_to(sys.executable)
    monkeypatch.setattr(local, "install", lambda capsule, name, python, work: tmp_path / "env")
    monkeypatch.setattr(local, "find_python", lambda version, pythons: sys.executable)
    monkeypatch.setenv("SECRET", "1")
    (tmp_path / "work").mkdir()
    return lay_out


def test_a_capsule_builds_with_the_pythons_of_the_machine(offline: Callable[..., Path], tmp_path: Path) -> None:
    line = local.build(offline(), tmp_path / "out", tmp_path / "work", [])
    found = Layout(tmp_path / "out" / "oci").find("n@1")
    assert line == f"n@1 {found.digest}"
    assert sorted(found.files) == ["out.txt", "recipe.tar", "steps.json"]
    first, second = "first ['jpeg'] 2 2", (tmp_path / "out" / "files" / "out.txt").read_text()
    assert second.startswith(f'second ["{first}"] ')
    _, ours, theirs = second.rsplit(" ", 2)
    assert ours == theirs != "None"


def test_a_step_that_fails_says_where_its_words_are(
    offline: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    top = offline(second="import contract\ndef main(request):\n    raise contract.Failure('x', 'no luck')\n")
    with pytest.raises(SystemExit, match="step second failed"):
        local.build(top, tmp_path / "out", tmp_path / "work", [])
    assert "no luck" in (tmp_path / "work" / "second" / "log").read_text()


def test_a_python_is_found_by_its_version() -> None:
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    assert local.find_python(version, ["no-such-python", "/bin/true", sys.executable])
    with pytest.raises(SystemExit, match=r"2\.1"):
        local.find_python("2.1", [sys.executable])
