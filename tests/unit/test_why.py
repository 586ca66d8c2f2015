"""Every cause for which two builds part, named first when it is the only one."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import builder.cli
from builder.digest import canonical_json, digest_bytes
from builder.engine.base import Workspace
from builder.errors import UsageError
from builder.plan.make import make_plan, plan_document
from builder.plan.step import Step
from builder.rebuild.causes import Cause
from builder.rebuild.sides import Side, side_of
from builder.rebuild.why import Answer, document, lines, why
from builder.release.layout import Layout
from tests.unit.small_release import CODE, LOCK, MANIFEST, TEXT, Small, changed, release, work

ALL = ("ingest", "train", "export", "convert", "embed", "infer", "verify", "measure", "package")


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Small:
    return release(tmp_path_factory.mktemp("small"))


def side(small: Small, ref: str = "shapes") -> Side:
    return side_of(ref, small.layout, lambda digest: None)


def compared(small: Small, tmp_path: Path, **made: Any) -> Answer:
    """The small release beside one that was ``made`` otherwise."""
    return why(side(small), side(release(tmp_path, **made)))


def with_file(side: Side, name: str, data: bytes) -> Side:
    return replace(side, files={**side.files, name: data})


def test_a_release_and_itself(small: Small) -> None:
    answer = why(side(small), side(small))
    assert answer == Answer((), (), ALL)
    assert list(lines(side(small), side(small), answer, every=False)) == [
        "shapes@1.0.0 and shapes@1.0.0: nothing differs"
    ]
    assert document(side(small), side(small), answer)["same"] is True


@pytest.mark.parametrize(
    ("before", "after", "what", "values", "rerun"),
    [
        ("  seed: 1\n", "  seed: 9\n", "train.seed", (1, 9), ALL[1:]),
        ("max_detections: 10", "max_detections: 7", "model.max_detections", (10, 7), ALL[2:]),
        ("license: Apache-2.0", "license: MIT", "release.license", ("Apache-2.0", "MIT"), ALL[4:]),
    ],
)
def test_a_field_of_the_manifest(
    small: Small, tmp_path: Path, before: str, after: str, what: str, values: Any, rerun: Any
) -> None:
    assert before in TEXT
    answer = compared(small, tmp_path, text=TEXT.replace(before, after))
    assert answer.first == Cause("manifest", what, *values)
    assert answer.rerun == rerun
    assert answer.shared == tuple(name for name in ALL if name not in rerun)
    # What follows from it comes after it.
    assert [cause.kind for cause in answer.causes[1:]] == sorted(
        (cause.kind for cause in answer.causes[1:]), key=["output", "file"].index
    )


def test_a_list_of_another_length_is_shown_whole(small: Small) -> None:
    one = side(small)
    classes = json.loads(one.files["manifest.json"])["dataset"]["classes"]
    other = edited(one, "manifest.json", lambda manifest: manifest["dataset"]["classes"].append("star"))
    found = why(one, other).first
    assert found == Cause("manifest", "dataset.classes", classes, [*classes, "star"])
    assert str(found).endswith(", star]")


def test_the_version_comes_last_since_two_releases_always_differ_in_it(small: Small, tmp_path: Path) -> None:
    text = TEXT.replace("version: 1.0.0", "version: 1.0.1")
    alone = compared(small, tmp_path / "alone", text=text)
    assert alone.first == Cause("label", "version", "1.0.0", "1.0.1")
    code = {**CODE, "verify.py": CODE["verify.py"] + b"\n# edited\n"}
    first = compared(small, tmp_path / "both", text=text, code=code).first
    assert first is not None
    assert (first.kind, first.what) == ("code", "verify.py")


def test_step_code_with_the_steps_it_touches(small: Small, tmp_path: Path) -> None:
    code = {**CODE, "drawing.py": CODE["drawing.py"] + b"\n# edited\n"}
    answer = compared(small, tmp_path, code=code)
    assert answer.first is not None
    assert (answer.first.kind, answer.first.what) == ("code", "drawing.py")
    assert set(answer.first.steps) == {step.name for step in small.plan.steps if "drawing.py" in step.code}
    assert "ingest" not in answer.first.steps or "ingest" in answer.rerun
    assert str(answer.first).endswith(f"used by {', '.join(answer.first.steps)}")


TOOLCHAIN = "toolchains/tf1.15/"


@pytest.mark.parametrize(
    ("name", "change", "what", "values"),
    [
        (
            "requirements.lock",
            lambda text: text.replace(b"numpy==1.18.5", b"numpy==1.18.4"),
            "tf1.15: package numpy",
            ("1.18.5", "1.18.4"),
        ),
        ("requirements.lock", lambda text: text + b"new==1.0\n", "tf1.15: package new", (None, "1.0")),
        ("requirements.lock", lambda text: text + b"# \n", "tf1.15/requirements.lock", None),
        ("Dockerfile", lambda text: text + b"\n", "tf1.15/Dockerfile", None),
        ("kernels/pool.cc", lambda text: text + b"\n", "tf1.15/kernels/pool.cc", None),
        ("overrides.in", lambda text: text + b"\n", "tf1.15/overrides.in", None),
    ],
)
def test_what_a_toolchain_is_made_of(small: Small, name: str, change: Any, what: str, values: Any) -> None:
    one = side(small)
    data = change(one.files[TOOLCHAIN + name])
    assert data != one.files[TOOLCHAIN + name]
    first = why(one, with_file(one, TOOLCHAIN + name, data)).first
    assert first is not None
    assert (first.kind, first.what) == ("toolchain", what)
    if values is not None:
        assert (first.before, first.after) == values


def edited(side: Side, name: str, change: Any) -> Side:
    value = json.loads(side.files[name])
    change(value)
    return with_file(side, name, canonical_json(value))


def test_an_entry_of_the_lock(small: Small) -> None:
    one = side(small)
    base = f"other@{digest_bytes(b'')}"
    other = edited(one, "lock.json", lambda lock: lock["toolchains"]["litert"].update(base_image=base))
    first = why(one, other).first
    assert first is not None
    assert (first.kind, first.what, first.after) == ("lock", "toolchains.litert.base_image", base)
    source = {"name": "photos", "digest": digest_bytes(b"1"), "files": 2, "bytes": 3, "paths": ["images"]}
    one = edited(one, "lock.json", lambda lock: lock.update(dataset=source))
    other = edited(one, "lock.json", lambda lock: lock["dataset"].update(digest=digest_bytes(b"2")))
    first = why(one, other).first
    assert first == Cause("lock", "dataset.digest", digest_bytes(b"1"), digest_bytes(b"2"))


@pytest.mark.parametrize(("kind", "word"), [("dataset", "dataset"), ("init", "weights")])
def test_the_first_file_of_the_data(small: Small, kind: str, word: str) -> None:
    one = replace(side(small), listings={kind: {"a.jpg": "1" * 64, "b.jpg": "2" * 64}})
    other = replace(one, listings={kind: {"b.jpg": "3" * 64, "c.jpg": "4" * 64}})
    found = why(one, other).causes
    assert found == (
        Cause(word, "a.jpg", "1" * 64, None),
        Cause(word, "b.jpg", "2" * 64, "3" * 64),
        Cause(word, "c.jpg", None, "4" * 64),
    )


def replanned(side: Side, step: str, **values: Any) -> Side:
    plan = json.loads(json.dumps(side.plan))
    for item in plan["steps"]:
        if item["name"] == step:
            item.update(values, key=digest_bytes(str(values).encode()))
    return replace(side, plan=plan)


def test_threads_cpu_class_and_what_another_planner_made(small: Small) -> None:
    one = side(small)
    (train,) = [step for step in one.plan["steps"] if step["name"] == "train"]
    assert why(one, replanned(one, "train", threads=2)).first == Cause("threads", "train", "any", 2)
    params = {**train["params"], "cpu_class": "x86-64-v4"}
    first = why(one, replanned(one, "train", params=params)).first
    assert first == Cause("cpu-class", "train", "x86-64-v3", "x86-64-v4")
    params = {**train["params"], "invented": True}
    first = why(one, replanned(one, "train", params=params)).first
    assert first == Cause("plan", "params.invented", None, True, ("train",))
    first = why(one, replanned(one, "train")).first
    assert first is not None
    assert (first.kind, first.what) == ("key", "train")
    fewer = replace(one, plan={**one.plan, "steps": one.plan["steps"][:-1]})
    first = why(one, fewer).first
    assert first is not None
    assert (first.kind, first.what, first.after) == ("plan", "step package", None)


def test_outputs_when_nothing_that_went_in_differs(small: Small, tmp_path: Path) -> None:
    def other_bytes(step: Step, workspace: Workspace) -> Mapping[str, bytes]:
        return {**work(step, workspace), "params.json": b"other"}

    answer = compared(small, tmp_path, work=changed("train", other_bytes))
    assert answer.rerun == ()
    first, *others = answer.causes
    assert (first.kind, first.what) == ("output", "train/params.json")
    assert first.note == "for the same key; its inputs were the same"
    notes = {cause.what.partition("/")[0]: cause.note for cause in others if cause.kind == "output"}
    assert list(notes) == ["export", "convert", "embed", "infer", "verify", "package"]
    assert all(note.endswith("its inputs were other ones") for note in notes.values())
    assert {cause.what for cause in others if cause.kind == "file"} == {"out.txt", "steps.json"}
    text = list(lines(side(small), side(small), answer, every=False))
    assert text[0].endswith("part first in what a step left")
    assert text[-1] == f"{len(others)} more differences: --all"


def test_files_and_annotations_that_no_step_left(small: Small, tmp_path: Path) -> None:
    files = {title: small.layout.read(small.release, title) for title in small.release.files}
    layout = Layout(tmp_path)
    said = dict(small.release.annotations)
    layout.add("shapes", "1.0.0", {**files, "note.txt": b"new"}, said)
    answer = why(side(small), side(replace(small, layout=layout)))
    assert answer.causes == (Cause("file", "note.txt", None, digest_bytes(b"new")),)
    layout = Layout(tmp_path / "said")
    layout.add("shapes", "1.0.0", files, {**said, "dev.example": "x"})
    answer = why(side(small), side(replace(small, layout=layout)))
    assert answer.causes == (Cause("annotation", "dev.example", None, "x"),)


def test_a_model_is_looked_into(small: Small, tmp_path: Path) -> None:
    from tests.steps.tiny_tflite import build

    def model(data: bytes) -> Any:
        def made(step: Step, workspace: Workspace) -> Mapping[str, bytes]:
            return {**work(step, workspace), "model.tflite": data}

        return changed("package", made)

    one = release(tmp_path / "1", work=model(build(8)))
    other = release(tmp_path / "2", work=model(build(8, detections=3)))
    causes = why(side(one), side(other)).causes
    (found,) = [cause for cause in causes if cause.what == "model.tflite"]
    assert "shape of tensor TFLite_Detection_PostProcess" in found.note


def write(folder: Path, name: str, text: str) -> str:
    path = folder / name
    path.write_text(text)
    path.with_suffix(".lock").write_text(MANIFEST.with_suffix(".lock").read_text())
    return str(path)


def test_a_release_beside_the_manifest_as_it_is_now(small: Small, tmp_path: Path) -> None:
    same = side(small, write(tmp_path, "shapes.yaml", "# a comment\n" + TEXT))
    assert why(side(small), same) == Answer((), (), ALL)
    assert why(same, side(small)) == Answer((), (), ALL)


def plan_file(folder: Path, name: str, *plans: Any) -> str:
    path = folder / name
    path.write_text(json.dumps(plans[0] if len(plans) == 1 else plans))
    return str(path)


def test_plan_files_say_what_they_can(small: Small, tmp_path: Path) -> None:
    from builder.manifest.load import loads

    other = loads(TEXT.replace("max_detections: 10", "max_detections: 7"), "shapes.yaml").only
    one = plan_document(small.plan)
    two = plan_document(make_plan(other, LOCK, CODE))
    a, b = side(small, plan_file(tmp_path, "a.json", one)), side(small, plan_file(tmp_path, "b.json", two))
    reading = tuple(name for name in ALL[2:] if name != "embed")
    assert why(a, b).first == Cause("plan", "params.model.max_detections", 10, 7, reading)
    assert why(side(small), b).first == why(a, b).first
    code = {**CODE, "verify.py": CODE["verify.py"] + b"\n# edited\n"}
    c = side(small, plan_file(tmp_path, "c.json", plan_document(make_plan(small.manifest, small.lock, code))))
    first = why(a, c).first
    assert first is not None
    assert (first.kind, first.what) == ("key", "verify")
    assert "plan file" in first.note
    tool = json.loads(json.dumps(one))
    tool["steps"][0]["toolchain_digest"] = digest_bytes(b"")
    first = why(a, side(small, plan_file(tmp_path, "d.json", tool))).first
    assert first is not None
    assert (first.kind, first.what) == ("toolchain", "tf1.15")
    several = plan_file(tmp_path, "e.json", {**one, "name": "x"}, one)
    with pytest.raises(UsageError) as caught:
        side(small, several)
    assert f"{several}#shapes" in str(caught.value.help)
    assert why(a, side(small, f"{several}#shapes")).first is None


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '"x"', "1", '{"name": "a", "steps": [1]}', '{"name": "a", "steps": [{"name": 1}]}', "[" * 9999],
)
def test_what_is_no_plan_is_exit_2(small: Small, tmp_path: Path, text: str) -> None:
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(UsageError):
        side(small, str(tmp_path / "x.json"))


def test_no_hidden_text_of_a_release_reaches_the_terminal(small: Small) -> None:
    one = replace(side(small), listings={"dataset": {"\x1b[2J": "1" * 64}})
    other = replace(one, listings={"dataset": {}})
    answer = why(one, other)
    assert "\x1b" not in "\n".join(lines(one, other, answer, every=True))


def test_the_command_answers_with_exit_0_either_way(
    small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path, "shapes.yaml", TEXT.replace("  seed: 1\n", "  seed: 9\n"))
    # The lock is of the old text.
    for words, status in (((path, path), 3), (("shapes@1.0.0", "shapes"), 0), (("shapes", "none"), 2)):
        monkeypatch.setattr(sys, "argv", ["tinsmith", "why", *words, "--releases", str(small.layout.root), "--json"])
        with pytest.raises(SystemExit) as caught:
            builder.cli.main()
        assert (caught.value.code or 0) == status
    assert json.loads(capsys.readouterr().out)["same"] is True
