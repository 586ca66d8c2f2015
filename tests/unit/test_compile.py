"""What a compiled build holds: the same as the Docker engine would do, pinned, and nothing else."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from builder.compile import assemble
from builder.compile.dockerfile import dockerfile
from builder.compile.subject import compile_planned
from builder.compile.toolchain import stages
from builder.compile.write import SUMS, Source, check_free, write_context
from builder.digest import digest_bytes
from builder.engine.inside import HOME, PATH
from builder.engine.request import environment
from builder.errors import IntegrityError, LockError, UsageError
from builder.lock.content import dataset_digest
from builder.lock.make import make_lock
from builder.manifest.load import load
from builder.plan.code import read_step_code
from builder.plan.make import make_plan
from builder.plan.step import Plan
from builder.release.layout import Layout
from builder.resources import steps_folder, toolchain_folder
from tests.fakes import Events

ROOT = Path(__file__).resolve().parents[2]
PICTURES = """\
schema: 1
name: birds
version: 2.0.0
toolchain: tf1.15
dataset:
  format: voc
  source: {name: birds, path: birds}
  images: images
  annotations: annotations
  classes: [bird]
  split: {eval: 0.5, seed: 1}
model: {architecture: ssd_mobilenet_v2, depth_multiplier: 0.25, input_shape: [96, 96, 3]}
train:
  steps: 4
  batch_size: 2
  seed: 1
  optimizer: {type: adam}
  learning_rate: {schedule: cosine, base: 0.002, warmup_steps: 1}
quantization: uint8-qat
release: {license: MIT, description: Birds, authors: [The tests]}
"""


def compiled(folder: Path, manifest: Path) -> tuple[list[Path], list[Plan]]:
    """The contexts of ``manifest`` below ``folder``, and its plans."""
    family, code = load(manifest), read_step_code(steps_folder())
    lock = make_lock(family, manifest, {}, {}, folder / "cache", lambda ref: pytest.fail(ref), Events())
    plans = tuple(make_plan(item, lock, code) for item in family.manifests)
    folders = compile_planned(
        family, lock, plans, code, folder / "out",
        manifest_path=manifest, overrides={}, cache=folder / "cache", emit=Events(), weights=lambda locked: Path(),
    )  # fmt: skip
    return folders, list(plans)


@pytest.fixture
def birds(tmp_path: Path) -> Path:
    """A manifest with a data folder beside it."""
    for name, data in (("images/a b.jpg", b"jpeg"), ("images/.dockerignore", b"*"), ("annotations/a b.xml", b"<a/>")):
        (tmp_path / "birds" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "birds" / name).write_bytes(data)
        (tmp_path / "birds" / name).chmod(0o600)
    (tmp_path / "birds.yaml").write_text(PICTURES)
    return tmp_path / "birds.yaml"


def files_of(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {
        path.relative_to(folder).as_posix(): (path.read_bytes(), path.stat().st_mode & 0o777)
        for path in folder.rglob("*")
        if path.is_file()
    }


Instructions = list[tuple[str, str]]


def parsed(text: str) -> tuple[dict[str, str], dict[str, tuple[str, Instructions]]]:
    """Global arguments, and stages: name -> (what it is from, its instructions)."""
    arguments: dict[str, str] = {}
    found: dict[str, tuple[str, Instructions]] = {}
    lines = "\n".join(line for line in text.splitlines() if not line.startswith("#")).replace("\\\n", "")
    for line in filter(None, lines.splitlines()):
        word, _, rest = line.partition(" ")
        if word == "FROM":
            base, _, name = rest.partition(" AS ")
            current: Instructions = []
            found[name or "the last"] = (base, current)
        elif word == "ARG":
            name, _, value = rest.partition("=")
            arguments[name] = value
        else:
            current.append((word, rest))
    return arguments, found


def variables(instructions: Instructions) -> dict[str, str]:
    return dict(re.findall(r'(\w+)="([^"]*)"', " ".join(rest for word, rest in instructions if word == "ENV")))


def test_every_step_is_a_stage_with_the_environment_code_and_inputs_that_the_engine_gives(
    birds: Path, tmp_path: Path
) -> None:
    (folder,), (plan,) = compiled(tmp_path, birds)
    _, found = parsed((folder / "Dockerfile").read_text())
    assert "measure" not in found
    assert {step.name for step in plan.needed()} < set(found)
    for step in plan.needed():
        base, instructions = found[step.name]
        given = {**variables(found[base][1]), **variables(instructions)}
        wanted = environment(step, PATH, HOME)
        if step.threads is None:
            for name in [name for name in wanted if name.endswith("_NUM_THREADS")]:
                assert f"{name}=$threads" in instructions[-1][1]
                del wanted[name]
        assert given == wanted
        copies = [rest.split() for word, rest in instructions if word == "COPY"]
        assert sorted(copies[0][:-1]) == [f"steps/{name}" for name in step.code]
        for item, words in zip(step.inputs, copies[2:], strict=True):
            assert words[-1] == f"/tinsmith/in/{item.name}"
            where = f"--from={item.step}" if item.step else f"data/{str(item.source)[7:]}"
            assert words[0] == where
        request = json.loads((folder / "requests" / f"{step.name}.json").read_text())
        assert (request["threads"], "sha256:" + request["nonce"], request["key"]) == (step.threads, step.key, step.key)
        assert request["inputs"] == {item.name: f"/tinsmith/in/{item.name}" for item in step.inputs}


def test_nothing_is_unpinned_and_all_that_is_copied_is_there(birds: Path, tmp_path: Path) -> None:
    (folder,), _ = compiled(tmp_path, birds)
    names = [path for path in files_of(folder) if path not in ("Dockerfile", "offline.Dockerfile")]
    for file, pin in (("Dockerfile", r".+@sha256:[0-9a-f]{64}"), ("offline.Dockerfile", r"tinsmith/.+:[0-9a-f]{16}")):
        arguments, found = parsed((folder / file).read_text())
        known: list[str] = ["scratch"]
        for name, (base, instructions) in found.items():
            if base.startswith("${"):
                assert re.fullmatch(pin, arguments[base[2:-1]])
            else:
                assert base in known
            for word, rest in instructions:
                first, *more = rest.split()
                if word == "COPY" and first.startswith("--from="):
                    assert first.removeprefix("--from=") in known
                elif word == "COPY":
                    for source in [first, *more[:-1]]:
                        there = [item for item in names if item == source or item.startswith(source + "/")]
                        assert there or source.endswith(("pip.con[f]", "ca.cr[t]")), source
                if "pip install" in rest:
                    assert rest.count("pip install") == rest.count("--require-hashes")
            known.append(name)
    used = {
        line.removeprefix("toolchain-")
        for line in parsed((folder / "Dockerfile").read_text())[1]
        if line.startswith("toolchain-")
    }
    assert used == {"tf1.15", "litert"}


def test_the_toolchains_own_lines_are_kept(birds: Path, tmp_path: Path) -> None:
    (folder,), _ = compiled(tmp_path, birds)
    text = (folder / "Dockerfile").read_text()
    for name in ("tf1.15", "litert"):
        for line in (toolchain_folder(name) / "Dockerfile").read_text().splitlines():
            if not line.startswith(("FROM", "COPY", "ARG BASE_IMAGE")):
                assert line in text


def test_the_same_bytes_again_whoever_compiles(birds: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, _ = compiled(tmp_path, birds)
    before = files_of(first[0])
    assert {mode for _, mode in before.values()} == {0o644}
    monkeypatch.setenv("TINSMITH_THREADS", "7")
    monkeypatch.setenv("PIP_INDEX_URL", "https://example.invalid/simple")
    mask = os.umask(0o077)
    try:
        again, _ = compiled(tmp_path, birds)
    finally:
        os.umask(mask)
    assert files_of(again[0]) == before
    assert {path.stat().st_mode & 0o777 for path in [again[0], *again[0].rglob("*")] if path.is_dir()} == {0o755}
    sums = dict(reversed(line.split("  ", 1)) for line in (first[0] / SUMS).read_text().splitlines())
    assert sums == {name: hashlib.sha256(data).hexdigest() for name, (data, _) in before.items() if name != SUMS}
    listing = dataset_digest(tmp_path / "birds", ["images", "annotations"])
    assert before[f"data/{listing.digest[7:]}/images/a b.jpg"][0] == b"jpeg"


def test_variants_have_a_folder_each(tmp_path: Path) -> None:
    folders, plans = compiled(tmp_path, ROOT / "manifests" / "shapes-width.yaml")
    assert len(folders) > 1
    assert [folder.name for folder in folders] == [plan.name for plan in plans]
    for folder, plan in zip(folders, plans, strict=True):
        assert json.loads((folder / "release.json").read_text())["name"] == plan.name
    check_free(tmp_path / "out")
    (tmp_path / "out" / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match="notes"):
        check_free(tmp_path / "out")


def test_a_folder_with_anything_else_is_refused_and_left(birds: Path, tmp_path: Path) -> None:
    (folder,), _ = compiled(tmp_path, birds)
    check_free(folder)
    settings = folder / "toolchains" / "litert" / "pip.conf"
    settings.write_text("[global]")
    with pytest.raises(UsageError, match=re.escape("litert/pip.conf")) as caught:
        compiled(tmp_path, birds)
    assert caught.value.exit_status == 2
    assert settings.read_text() == "[global]"
    for name, content in (("a-file", None), ("mine", "notes.txt"), ("empty", "")):
        place = tmp_path / name
        if content is None:
            place.write_text("")
        else:
            place.mkdir()
            if content:
                (place / content).write_text("mine")
        if content == "":
            check_free(place)
        else:
            with pytest.raises(UsageError):
                check_free(place)


def test_data_that_changed_is_refused_and_what_was_there_stays(birds: Path, tmp_path: Path) -> None:
    (folder,), _ = compiled(tmp_path, birds)
    before = files_of(folder)
    found = dataset_digest(tmp_path / "birds", ["images"])
    (tmp_path / "birds" / "images" / "a b.jpg").write_bytes(b"JPEG")
    with pytest.raises(IntegrityError, match=re.escape("a b.jpg")):
        write_context(folder, {"Dockerfile": b""}, [Source(tmp_path / "birds", found.listing)])
    assert files_of(folder) == before
    assert [path for path in folder.parent.iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize("name", ["../evil", "/etc/evil", "a/../../b", "a//b"])
def test_no_list_of_files_leads_out_of_the_folder(tmp_path: Path, name: str) -> None:
    listing = json.dumps([{"path": name, "size": 1, "sha256": "0" * 64}]).encode()
    with pytest.raises(IntegrityError):
        list(Source(tmp_path, listing).files())


@pytest.mark.parametrize(
    "line",
    [
        "ADD https://example.invalid/a /a",
        'COPY ["a", "/a"]',
        "COPY --chown=1:1 a /a",
        "COPY <<E /a",
        "RUN <<E",
        "FROM busybox",
        "ONBUILD RUN true",
        "VOLUME /a",
    ],
)
def test_a_toolchain_that_would_mean_something_else_in_another_file_is_refused(line: str) -> None:
    with pytest.raises(LockError):
        stages("tf1.15", f"ARG BASE_IMAGE\nFROM ${{BASE_IMAGE}}\n{line}\n")


def test_a_step_whose_name_is_that_of_another_stage_is_refused(birds: Path, tmp_path: Path) -> None:
    _, (plan,) = compiled(tmp_path, birds)
    texts = {name: (toolchain_folder(name) / "Dockerfile").read_text() for name in ("tf1.15", "litert")}
    for name in ("assemble", "toolchain-litert", "0", "a b"):
        *others, last = plan.steps
        renamed = replace(plan, steps=(*others, replace(last, name=name)), target=name)
        with pytest.raises(IntegrityError):
            dockerfile(renamed, texts)


def lay_out(folder: Path, results: Mapping[str, Mapping[str, bytes]], nonce: str | None = None) -> None:
    """What a compiled build has when its steps have run: each left the files of ``results``; the last is the target."""
    keys = {name: digest_bytes(name.encode()) for name in results}
    *_, target = results
    about = {"name": "birds", "version": "2.0.0", "annotations": {"a": "b"}, "target": target, "steps": keys}
    (folder / "results").mkdir(parents=True)
    (folder / "static").mkdir()
    (folder / "release.json").write_text(json.dumps(about))
    (folder / "static" / "recipe.tar").write_bytes(b"tar")
    for name, files in results.items():
        listed = [{"path": path, "size": len(data), "sha256": digest_bytes(data)[7:]} for path, data in files.items()]
        result = {"nonce": nonce or keys[name][7:], "files": listed}
        (folder / "results" / f"{name}.json").write_text(json.dumps(result))
    for path, data in results[target].items():
        (folder / "files" / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / "files" / path).write_bytes(data)


RESULTS = {"train": {"weights": b"w"}, "package": {"model.tflite": b"TFL3", "checkpoint/a": b"1"}}


def test_assembling_gives_the_release_that_a_layout_gives(tmp_path: Path) -> None:
    lay_out(tmp_path / "parts", RESULTS)
    digest = assemble.assemble(tmp_path / "parts", tmp_path / "out")
    steps = {
        name: {"key": digest_bytes(name.encode()), "outputs": {path: digest_bytes(data) for path, data in left.items()}}
        for name, left in RESULTS.items()
    }
    files = {**RESULTS["package"], "recipe.tar": b"tar"}
    files["steps.json"] = json.dumps(steps, sort_keys=True, separators=(",", ":")).encode()
    made, _ = Layout(tmp_path / "releases").add("birds", "2.0.0", files, {"a": "b"})
    assert digest == made.digest
    found = Layout(tmp_path / "out" / "oci").find("birds@2.0.0")
    assert found == made
    assert {title: Layout(tmp_path / "out" / "oci").read(found, title) for title in found.files} == files
    assert {path: data for path, (data, _) in files_of(tmp_path / "out" / "files").items()} == files
    assert (tmp_path / "out" / "release.txt").read_text() == f"birds@2.0.0 {digest}\n"


@pytest.mark.parametrize("case", ["another run", "changed", "twice"])
def test_parts_that_do_not_fit_together_are_no_release(tmp_path: Path, case: str) -> None:
    lay_out(tmp_path / "parts", RESULTS, nonce="0" * 64 if case == "another run" else None)
    if case == "changed":
        (tmp_path / "parts" / "files" / "model.tflite").write_bytes(b"TFL4")
    if case == "twice":
        (tmp_path / "parts" / "static" / "model.tflite").write_bytes(b"TFL3")
    with pytest.raises(ValueError):
        assemble.assemble(tmp_path / "parts", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_odd_names_are_listed_as_sha256sum_reads_them(tmp_path: Path) -> None:
    names = ["a\\b", "a\nb", "a b", "-c", "é"]
    for name in names:
        (tmp_path / name).write_text(name)
    (tmp_path / SUMS).write_bytes(assemble.checksums({name: digest_bytes(name.encode()) for name in names}))
    done = subprocess.run(["sha256sum", "--check", "--strict", SUMS], cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_carried_modules_need_nothing_but_each_other_and_python(birds: Path, tmp_path: Path) -> None:
    (folder,), _ = compiled(tmp_path, birds)
    lay_out(tmp_path / "parts", RESULTS)
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", "import sys; sys.path.insert(0, '.'); sys.argv[0:1] = ['x'];"
         "import runpy; runpy.run_module('builder.compile.assemble', run_name='__main__', alter_sys=False)",
         str(tmp_path / "parts"), str(tmp_path / "out")],
        cwd=folder / "assemble", capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout == (tmp_path / "out" / "release.txt").read_text()
