from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from builder.digest import canonical_json, digest_bytes
from builder.errors import IntegrityError
from builder.plan.make import plan_document
from builder.rebuild.recipe import read_recipe, recipe_of
from builder.release.layout import Layout
from builder.release.recipe import recipe_files, tar_of
from builder.resources import docker_folder
from tests.unit.small_release import CODE, Small, release

Files = dict[str, bytes]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Small:
    return release(tmp_path_factory.mktemp("small"))


@pytest.fixture
def files(small: Small) -> Files:
    return recipe_files(small.manifest, small.lock, small.plan, small.code, docker_folder(), {})


def test_a_recipe_reads_back_as_what_it_was_made_of(small: Small) -> None:
    recipe = recipe_of(small.layout, small.release)
    assert (recipe.manifest, recipe.lock, recipe.plan) == (small.manifest, small.lock, small.plan)
    assert recipe.manifest_digest == small.manifest.digest
    assert recipe.code == {name: CODE[name] for step in small.plan.steps for name in step.code}
    assert set(recipe.toolchains) == {"tf1.15", "litert"}
    assert recipe.toolchains["tf1.15"]["kernels/compile.py"]
    assert plan_document(recipe.plan) == plan_document(small.plan)


def test_its_files_are_laid_out(small: Small, tmp_path: Path) -> None:
    recipe = recipe_of(small.layout, small.release)
    recipe.lay_out(tmp_path)
    found = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {path.relative_to(tmp_path).as_posix(): path.read_bytes() for path in found} == recipe.files


def edited(name: str, change: Callable[[Any], None]) -> Callable[[Files], None]:
    """Changes the JSON document ``name`` of a recipe."""

    def apply(files: Files) -> None:
        document = json.loads(files[name])
        change(document)
        files[name] = canonical_json(document)

    return apply


def of_plan(change: Callable[[Any], None]) -> Callable[[Files], None]:
    return edited("plan.json", change)


def of_step(**values: Any) -> Callable[[Files], None]:
    return of_plan(lambda plan: plan["steps"][1].update(values))


UNSOUND: dict[str, Callable[[Files], object]] = {
    "no plan": lambda files: files.pop("plan.json"),
    "no JSON": lambda files: files.update({"plan.json": b"["}),
    "no plan at all": lambda files: files.update({"plan.json": b"[]"}),
    "deep": lambda files: files.update({"plan.json": b"[" * 100_000}),
    "manifest of another schema": edited("manifest.json", lambda it: it.update(schema=9)),
    "manifest of another name": edited("manifest.json", lambda it: it.update(name="other")),
    "edited lock": edited("lock.json", lambda it: it["toolchains"]["litert"].update(python="3.12")),
    "toolchain out of its folder": edited(
        "lock.json", lambda it: it["toolchains"].update({"../x": it["toolchains"]["litert"]})
    ),
    "an image that the manifest does not name": edited(
        "lock.json", lambda it: it["toolchains"]["litert"].update(image="evil/x@sha256:" + "0" * 64)
    ),
    "lines for a Dockerfile": edited(
        "lock.json", lambda it: it["toolchains"]["tf1.15"].update(image="x\nRUN evil\nARG Z=y@sha256:" + "0" * 64)
    ),
    "edited requirements": lambda files: files.update({"toolchains/litert/requirements.lock": b"evil==1\n"}),
    "edited kernels": lambda files: files.update({"toolchains/tf1.15/kernels/compile.py": b"evil"}),
    "no toolchain": lambda files: files.pop("toolchains/litert/Dockerfile"),
    "edited step code": lambda files: files.update({"steps/train.py": b"evil"}),
    "no step code": lambda files: files.pop("steps/train.py"),
    "edited parameters": of_step(params={}),
    "edited threads": of_step(threads=3),
    "edited key": of_step(key=digest_bytes(b"")),
    "edited digest": of_plan(lambda plan: plan.update(digest=digest_bytes(b""))),
    "another toolchain": of_step(toolchain="tf1.12"),
    "a step twice": of_plan(lambda plan: plan["steps"].insert(1, plan["steps"][0])),
    "a step too few": of_plan(lambda plan: plan["steps"].pop(0)),
    "no steps": of_plan(lambda plan: plan.update(steps=[])),
    "no target": of_plan(lambda plan: plan.update(target="nothing")),
    "unsafe step": of_step(name="../train"),
    "unsafe code": of_step(code=["../../evil.py"]),
    "unsafe input": of_step(inputs=[{"name": "../in", "step": "ingest"}]),
    "all memory": of_step(memory_mb=10**9),
    "unlocked source": of_step(inputs=[{"name": "data", "source": digest_bytes(b"")}]),
    "not a number": lambda files: files.update(
        {"plan.json": files["plan.json"].replace(b'"depth_multiplier":0.25', b'"depth_multiplier":NaN')}
    ),
}


@pytest.mark.parametrize("change", UNSOUND.values(), ids=UNSOUND.keys())
def test_a_recipe_that_does_not_agree_with_itself_is_exit_7(files: Files, change: Callable[[Files], object]) -> None:
    change(files)
    with pytest.raises(IntegrityError) as caught:
        read_recipe(tar_of(files))
    assert (caught.value.exit_status, caught.value.code) == (7, "recipe")


def member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "", times: int = 1) -> Callable[[Files], bytes]:
    """The tar of a recipe with one more member."""

    def make(files: Files) -> bytes:
        buffer = io.BytesIO(tar_of(files))
        with tarfile.open(fileobj=buffer, mode="a", format=tarfile.USTAR_FORMAT) as archive:
            for _ in range(times):
                info = tarfile.TarInfo(name)
                info.type, info.linkname = kind, target
                archive.addfile(info)
        return buffer.getvalue()

    return make


def negative(tar: bytes) -> bytes:
    """``tar`` whose first member has a size of -512, in the binary form of sizes, and a checksum that agrees."""
    header = bytearray(tar[:512])
    header[124:136] = (-512).to_bytes(12, "big", signed=True)
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header) + tar[512:]


TARS: dict[str, Callable[[Files], bytes]] = {
    "no tar": lambda files: b"nothing",
    "empty": lambda files: b"",
    "cut off": lambda files: tar_of(files)[:-20_000],
    "something after it": lambda files: tar_of(files) + b"\0" * 512,
    "other modes": lambda files: tar_of(files).replace(b"0000644", b"0000755", 1),
    "link": member("steps/evil.py", tarfile.SYMTYPE, "/etc/passwd"),
    "hard link": member("steps/evil.py", tarfile.LNKTYPE, "steps/train.py"),
    "device": member("steps/evil.py", tarfile.CHRTYPE),
    "folder": member("zzz", tarfile.DIRTYPE),
    "out of its folder": member("../evil.py"),
    "absolute": member("/evil.py"),
    "file and folder": member("steps"),
    "twice": member("zzz", times=2),
    "negative size": lambda files: negative(tar_of(files)),
    "too many": lambda files: tar_of({**files, **{f"x{number}": b"" for number in range(5_000)}}),
}


@pytest.mark.parametrize("make", TARS.values(), ids=TARS.keys())
def test_a_tar_that_no_release_holds_is_exit_7(files: Files, make: Callable[[Files], bytes]) -> None:
    with pytest.raises(IntegrityError) as caught:
        read_recipe(make(files))
    assert caught.value.code == "recipe"


def test_the_recipe_of_another_release_is_exit_7(small: Small, tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    data = {title: small.layout.read(small.release, title) for title in small.release.files}
    said = dict(small.release.annotations)
    for name, version, about in (
        ("other", "1.0.0", said),
        (small.release.name, "9.0.0", said),
        (small.release.name, "1.0.1", {}),
    ):
        made, _ = layout.add(name, version, data, about)
        with pytest.raises(IntegrityError) as caught:
            recipe_of(layout, made)
        assert caught.value.code == "recipe"
    made, _ = layout.add("none", "1.0.0", {"model.tflite": b""}, {})
    with pytest.raises(IntegrityError):
        recipe_of(layout, made)
