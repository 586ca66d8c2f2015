"""A release built again from itself alone: the real one once, and a small one of two steps in every way it can go."""

from __future__ import annotations

import datetime
import json
from dataclasses import replace
from pathlib import Path

import pytest

from builder.build import build
from builder.digest import Digest, canonical_json, digest_bytes, digest_file
from builder.engine.isolation import strongest
from builder.engine.local import LocalEngine
from builder.lock.model import Lock
from builder.lock.toolchains import LITERT, lock_toolchain
from builder.manifest.load import loads
from builder.plan.identity import plan_digest, step_key
from builder.plan.step import Plan, Step, StepInput
from builder.release.figures import Figures
from builder.release.layout import Layout
from builder.release.make import Signer, make_release
from builder.release.release import Release
from builder.resources import steps_folder
from builder.store.disk import DiskStore
from tests.engine.conftest import TOOLCHAIN_FOLDER
from tests.fakes import Events
from tests.integration.conftest import TINY, runner
from tests.unit.small_release import LATENCY

NOW = datetime.datetime(2026, 11, 24, 12, 0, tzinfo=datetime.UTC)
ISOLATED = strongest().network and strongest().files == "all"
TRUST = () if ISOLATED else ("--trust-recipe",)


@pytest.mark.toolchain
def test_a_release_is_built_again_to_the_same_digest_where_there_is_no_project(built: Path, tmp_path: Path) -> None:
    run = runner(tmp_path)
    releases = ("--releases", str(built / "releases"))
    done = run("rebuild", "tiny@1.0.0", "--engine", "local", "--keep", "kept", "--json", *releases, *TRUST)
    found = json.loads(done.stdout)
    assert found["same"]
    assert found["rebuilt"] == found["released"]
    assert "12/12" in done.stderr
    assert "OTHER" not in done.stderr
    assert digest_file(tmp_path / "kept" / "model.tflite") == digest_file(built / "build/tiny-1.0.0/model.tflite")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kept"]


CODE = {
    "begin.py": b"""
import contract

def main(request):
    with open(contract.output_path(request, "deep", "data.bin"), "wb") as stream:
        stream.write(b"%d" % request.params["seed"])
""",
    "chance.py": b"""
import os
import contract

def main(request):
    with open(contract.output_path(request, "chance.bin"), "wb") as stream:
        stream.write(os.urandom(request.params["bytes"]))
""",
    "finish.py": b"""
import contract

def main(request):
    for kind, name in (("data", "deep/data.bin"), ("luck", "chance.bin")):
        with open(contract.input_path(request, kind, *name.split("/")), "rb") as stream:
            data = stream.read()
        with open(contract.output_path(request, "model.tflite" if kind == "data" else name), "wb") as stream:
            stream.write(data)
""",
}


def tiny_release(root: Path, *, chance: int = 0) -> tuple[Layout, Release]:
    """A release of three steps that the local engine ran in a toolchain with nothing in it; one of them leaves
    ``chance`` random bytes."""
    folder = root / "docker" / LITERT
    folder.mkdir(parents=True)
    for name in ("Dockerfile", "requirements.lock"):
        (folder / name).write_bytes((TOOLCHAIN_FOLDER / name).read_bytes())
    (folder / "toolchain.toml").write_text(f'python = "3.11"\nbase_image = "base@{digest_bytes(b"")}"\n')
    for name in ("overrides.in", "requirements.in"):
        (folder / name).touch()
    code = {**CODE, **{name: (steps_folder() / name).read_bytes() for name in ("run.py", "contract.py")}}
    manifest = loads(TINY, "tiny.yaml").only
    lock = Lock(schema=1, manifest_digest=manifest.digest, toolchains={LITERT: lock_toolchain(LITERT, folder=folder)})
    steps: dict[str, Step] = {}
    for name, params, inputs in (
        ("begin", {"seed": 1}, ()),
        ("chance", {"bytes": chance}, ()),
        ("finish", {}, (StepInput("data", step="begin"), StepInput("luck", step="chance"))),
    ):
        toolchain, files = lock.toolchain(LITERT), ("contract.py", f"{name}.py", "run.py")
        step = Step(name, name, toolchain, params, inputs, files, Digest(""), memory_mb=512)
        steps[name] = replace(step, key=step_key(step, code, {other: it.key for other, it in steps.items()}))
    keys = [step.key for step in steps.values()]
    plan = Plan("tiny", "1.0.0", tuple(steps.values()), "finish", plan_digest("tiny", "1.0.0", keys))
    store, layout = DiskStore(root / "store"), Layout(root / "releases")
    engine = LocalEngine(folders=lambda name: folder)

    def no_source(digest: str) -> Path:
        raise AssertionError(digest)

    results = build(plan, code=code, sources=no_source, store=store, engine=lambda: engine, emit=Events())
    built = make_release(
        manifest, lock, plan, code, root / "docker", results, Figures({}, LATENCY), no_source, store, layout,
        NOW, Signer(),
    )  # fmt: skip
    return layout, built.release


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TINSMITH_CACHE", str(tmp_path / "cache"))


REBUILD = ("rebuild", "tiny", "--engine", "local", "--trust-recipe")


def test_with_a_toolchain_that_this_tinsmith_does_not_have_if_it_is_trusted(tmp_path: Path, cache: None) -> None:
    _, release = tiny_release(tmp_path)
    (tmp_path / "empty").mkdir()
    run, words = runner(tmp_path / "empty"), ("--releases", "../releases")
    refused = run("rebuild", "tiny", "--engine", "local", *words, status=7)
    assert "error[untrusted-recipe]" in refused.stderr
    assert "started" not in refused.stderr
    done = run(*REBUILD, *words)
    assert release.digest in done.stdout
    assert list((tmp_path / "empty").iterdir()) == []


def test_a_step_that_gives_other_bytes_each_time_is_named(tmp_path: Path, cache: None) -> None:
    tiny_release(tmp_path, chance=8)
    done = runner(tmp_path)(*REBUILD, status=5)
    assert "first step: chance: chance.bin has other bytes; its inputs were the same" in done.stderr
    assert "other steps that differ: finish; all had other inputs" in done.stderr
    lines = [line.split()[:2] for line in done.stdout.splitlines()]
    assert lines == [["begin", "same"], ["chance", "DIFFERS"], ["finish", "DIFFERS"]]


def test_a_release_that_says_it_is_of_another_seed_is_found_out(tmp_path: Path, cache: None) -> None:
    layout, release = tiny_release(tmp_path)
    files = {title: layout.read(release, title) for title in release.files}
    steps = json.loads(files["steps.json"])
    steps["begin"]["outputs"]["deep/data.bin"] = digest_bytes(b"2")
    doctored, _ = Layout(tmp_path / "doctored").add(
        "tiny", "1.0.0", {**files, "steps.json": canonical_json(steps)}, release.annotations
    )
    done = runner(tmp_path)(*REBUILD, "--releases", "doctored", status=5)
    assert "first step: begin: deep/data.bin has other bytes" in done.stderr
    assert doctored.digest in done.stderr
    assert release.digest in done.stderr
