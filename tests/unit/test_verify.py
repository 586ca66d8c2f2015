"""``tinsmith verify`` on releases made by hand: which statement is held against which bytes, and how it ends."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from builder.digest import canonical_json, digest_bytes, digest_json
from builder.engine.base import Workspace
from builder.errors import IntegrityError, StepFailed
from builder.plan.step import Step
from builder.release import document
from builder.release.layout import Layout
from builder.release.recipe import tar_of
from builder.release.release import Release
from builder.trust.policy import Policy, Rule
from builder.verify import Verified, verify
from tests.fakes import Events, FakeEngine
from tests.forged import sealed

LABELS = ["cat", "dog"]
MODEL = b"TFL3 of a test"
FIGURES = {"map": 0.5, "map50": 0.75, "map75": 0.5, "ar1": 0.5, "ar10": 0.5, "ar100": 0.5}
PICTURES = [{"id": number, "file_name": f"{number}.jpg", "pixels": f"sha256:{number:064}"} for number in (1, 2)]
REPORT = {
    "ok": True,
    "exact": True,
    "checks": [{"name": "golden pictures", "ok": True, "text": "the same bits"}],
    "pictures": [],
    "tolerance": {"why": "the same runtime"},
    "runtime": {"name": "ai-edge-litert", "version": "2.3.0"},
    "expected_runtime": {"name": "ai-edge-litert", "version": "2.3.0"},
}


def make(manifest: Mapping[str, Any] | None = None) -> tuple[dict[str, bytes], dict[str, str]]:
    """(files, annotations) of a release whose documents agree."""
    lines = "".join(f"{image['id']} {image['pixels']}\n" for image in PICTURES)
    digest = digest_bytes(MODEL)
    stage = {**FIGURES, "per_class": {"cat": {"ap": 0.5, "ap50": 0.75, "boxes": 3}}}
    stages = {"frozen": stage, "tflite_litert": stage}
    metrics = {
        "model_digest": digest,
        "size": len(MODEL),
        "images": 2,
        "stages": stages,
        "operating_point": {"score": 0.5},
        "degenerate": {"constant_answer": False},
        "constant_baseline": {"map50": 0.1},
        "quantization": {"type": "float32"},
    }
    recipe = canonical_json(manifest or {"name": "pets", "verify": {"min_map50": 0.7, "max_latency_ms": 1.0}})
    plan = {"name": "pets", "version": "1.0.0", "target": "package", "steps": [{"name": "package", "key": "k"}]}
    said = {
        document.DESCRIPTION: "Pets",
        document.LICENSES: "MIT",
        document.AUTHORS: "A",
        document.ARCHITECTURE: "ssd",
        document.QUANTIZATION: "float32",
        document.MANIFEST: digest_bytes(recipe),
        document.PLAN: digest_json({"name": "pets", "version": "1.0.0", "keys": ["k"]}),
    }
    evaluated = {
        "images": PICTURES,
        "digest": "sha256:" + hashlib.sha256(lines.encode()).hexdigest(),
        "stages": dict.fromkeys(stages, FIGURES),
    }
    evaluation = {
        "model_digest": digest,
        "score": 0.5,
        "precision_recall": {"cat": {"precision": [0.75] * 101}, "dog": {"precision": [None] * 101}},
        "confusion": {"classes": LABELS, "counts": [[2, 0, 1], [0, 0, 0], [0, 0, 0]]},
        "pictures": {
            "1": {"file_name": "1.jpg", "picture": "golden/1.png"},
            "2": {"file_name": "2.jpg", "picture": "evaluation/2.png"},
        },
        "shown": [1],
        "worst": [{"id": 2, "missed": 1, "wrong": 0, "extra": 0}],
    }
    documents = {
        "metrics.json": metrics,
        "evaluation.json": evaluation,
        "certificate.json": {"model_digest": digest, "image_sets": {"eval": evaluated}},
        "golden/expected.json": {"model_digest": digest, "labels": LABELS, "pictures": PICTURES[:1]},
        "metadata.json": {
            "name": "pets", "version": "1.0.0", "license": "MIT", "description": "Pets",
            "architecture": {"name": "ssd"}, "quantization": {"type": "float32"},
            "manifest_digest": digest_bytes(recipe), "labels": {"names": LABELS},
            "operating_point": {"score": 0.5},
            "metrics": {"stages": stages, "images": 2, "model_digest": digest},
        },
        "steps.json": {"package": {"key": "k", "outputs": {}}},
    }  # fmt: skip
    files = {name: json.dumps(value).encode() for name, value in documents.items()}
    files |= {"model.tflite": MODEL, "labels.txt": b"cat\ndog\n", "golden/1.png": b"png", "evaluation/2.png": b"png"}
    files["recipe.tar"] = tar_of({"manifest.json": recipe, "plan.json": canonical_json(plan)})
    return sealed(files), said


def check(
    root: Path,
    files: Mapping[str, bytes],
    said: Mapping[str, str],
    report: Mapping[str, Any] = REPORT,
    before: Callable[[Layout, Release], None] = lambda layout, release: None,
    policy: Policy = Policy(),
) -> tuple[Verified, FakeEngine]:
    layout = Layout(root / "releases")
    release, _ = layout.add("pets", "1.0.0", files, said)
    before(layout, release)
    engine = FakeEngine(lambda step, workspace: {"report.json": json.dumps(report).encode()})
    return verify(layout, release, policy, lambda: engine, Events()), engine


def changed(files: Mapping[str, bytes], name: str, *path: Any) -> dict[str, bytes]:
    """``files`` with the last of ``path`` at the place in a JSON file that the others name, lists made to agree."""
    value = json.loads(files[name])
    found = value
    for part in path[:-2]:
        found = found[part]
    found[path[-2]] = path[-1]
    return sealed({**files, name: json.dumps(value).encode()})


def failed(result: Verified) -> list[str]:
    return [check.name for check in result.failed]


def test_a_release_that_is_what_it_says_passes_every_check(tmp_path: Path) -> None:
    result, engine = check(tmp_path, *make())
    assert result.failed == []
    assert engine.ran == ["recheck"]
    assert [item.name for item in result.refused if item.ok] == [
        "files", "listed files", "name", "model", "labels", "figures", "pictures", "evaluation", "steps", "budgets",
    ]  # fmt: skip
    assert [item.name for item in result.behaviour] == ["golden pictures"]
    assert result.golden is not None and result.golden["exact"]


def test_only_what_is_needed_is_given_to_the_step(tmp_path: Path) -> None:
    seen: list[str] = []

    def work(step: Step, workspace: Workspace) -> Mapping[str, bytes]:
        (folder,) = workspace.inputs.values()
        seen.extend(sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()))
        return {"report.json": json.dumps(REPORT).encode()}

    layout = Layout(tmp_path)
    release, _ = layout.add("pets", "1.0.0", *make())
    verify(layout, release, Policy(), lambda: FakeEngine(work), Events())
    assert seen == ["golden/1.png", "golden/expected.json", "labels.txt", "metadata.json", "model.tflite"]


OTHER = "sha256:" + "f" * 64


@pytest.mark.parametrize(
    ("change", "names"),
    [
        (
            lambda files: {**files, "labels.txt": b"dog\ncat\n"},
            ["listed files", "labels", "evaluation", "steps"],
        ),
        (lambda files: sealed({**files, "labels.txt": b"dog\ncat\n"}), ["labels", "evaluation"]),
        (lambda files: sealed({**files, "labels.txt": b"cat\ndog\ncow\n"}), ["labels", "evaluation"]),
        (lambda files: sealed({**files, "model.tflite": b"TFL3 of another"}), ["model", "figures"]),
        (lambda files: changed(files, "metrics.json", "model_digest", OTHER), ["model"]),
        (lambda files: changed(files, "certificate.json", "model_digest", OTHER), ["model"]),
        (lambda files: changed(files, "metadata.json", "metrics", "model_digest", OTHER), ["model"]),
        (lambda files: changed(files, "golden/expected.json", "model_digest", OTHER), ["model"]),
        (lambda files: changed(files, "metadata.json", "version", "1.0.1"), ["name"]),
        (lambda files: changed(files, "metadata.json", "metrics", "stages", "frozen", {}), ["figures"]),
        (
            lambda files: changed(files, "certificate.json", "image_sets", "eval", "stages", "frozen", "map", 0.9),
            ["figures"],
        ),
        (
            lambda files: changed(files, "certificate.json", "image_sets", "eval", "images", 0, "id", 9),
            ["pictures", "evaluation"],
        ),
        (
            lambda files: changed(files, "certificate.json", "image_sets", "eval", "images", 0, "id", float("inf")),
            ["pictures", "evaluation"],
        ),
        (lambda files: changed(files, "golden/expected.json", "pictures", 0, "pixels", OTHER), ["pictures"]),
        (lambda files: changed(files, "golden/expected.json", "pictures", []), ["pictures", "evaluation"]),
        (lambda files: changed(files, "steps.json", "package", "key", "another"), ["steps"]),
        (lambda files: {**files, "steps.json": b'{"package": {"key": "k", "outputs": {}}}'}, ["steps"]),
        (lambda files: {**files, "extra.txt": b"1"}, ["listed files", "steps"]),
        (lambda files: changed(files, "metrics.json", "degenerate", "constant_answer", True), ["budgets"]),
        (lambda files: changed(files, "metrics.json", "images", None), ["figures", "pictures"]),
        (lambda files: {**files, "metadata.json": b"[]"}, ["documents"]),
        (lambda files: {**files, "metadata.json": b"[" * 100_000}, ["documents"]),
        (lambda files: {**files, "recipe.tar": b"no tar"}, ["documents"]),
        (lambda files: {**files, "recipe.tar": tar_of({"plan.json": b"{}"})}, ["documents"]),
        (lambda files: {name: data for name, data in files.items() if name != "certificate.json"}, ["documents"]),
    ],
)
def test_documents_that_do_not_agree_are_refused_and_nothing_is_run(
    tmp_path: Path, change: Callable[[dict[str, bytes]], dict[str, bytes]], names: list[str]
) -> None:
    files, said = make()
    result, engine = check(tmp_path, change(files), said)
    assert failed(result) == names
    assert engine.ran == []
    assert [(item.name, item.ok) for item in result.behaviour] == [("golden pictures", None)]


PRECISION = "evaluation.json", "precision_recall", "cat", "precision"
COUNTS = "evaluation.json", "confusion", "counts"
SHOWN = "evaluation.json", "pictures"


@pytest.mark.parametrize(
    "path",
    [
        ("evaluation.json", "score", 0.4),
        ("evaluation.json", "confusion", "classes", ["cat"]),
        ("evaluation.json", "precision_recall", {"cat": {"precision": [0.75] * 101}}),
        (*PRECISION, 0, 0.74),
        (*PRECISION, 0, float("nan")),
        (*PRECISION, 0, None),
        (*PRECISION, [0.75]),
        (*PRECISION, "0.75"),
        (*COUNTS, 0, 0, 3),
        (*COUNTS, 1, 1, 1),
        (*COUNTS, 1, [0, 0]),
        (*COUNTS, [[2, 0, 1], [0, 0, 0]]),
        (*COUNTS, None),
        ("evaluation.json", "shown", [2]),
        ("evaluation.json", "worst", []),
        ("evaluation.json", "worst", [{"id": 3}]),
        (*SHOWN, "2", "file_name", "3.jpg"),
        (*SHOWN, "2", "picture", "evaluation/3.png"),
        (*SHOWN, "2", "picture", ["evaluation/2.png"]),
        (*SHOWN, "3", {"file_name": "2.jpg", "picture": "evaluation/2.png"}),
        (*SHOWN, []),
    ],
)
def test_what_a_report_shows_has_to_agree_with_the_other_documents(tmp_path: Path, path: tuple[Any, ...]) -> None:
    files, said = make()
    result, engine = check(tmp_path, changed(files, *path), said)
    assert failed(result) == ["evaluation"]
    assert engine.ran == []


def test_what_a_report_shows_is_of_the_model_in_the_release(tmp_path: Path) -> None:
    files, said = make()
    result, _ = check(tmp_path, changed(files, "evaluation.json", "model_digest", OTHER), said)
    assert failed(result) == ["model"]


def test_a_release_of_a_tinsmith_that_wrote_nothing_for_reports_is_as_good(tmp_path: Path) -> None:
    files, said = make()
    older = sealed({name: data for name, data in files.items() if not name.startswith("evaluation")})
    result, _ = check(tmp_path, older, said)
    assert failed(result) == []
    assert [item.ok for item in result.refused if item.name == "evaluation"] == [None]


def test_a_recipe_or_a_name_that_the_oci_manifest_does_not_tell_of_is_refused(tmp_path: Path) -> None:
    files, said = make()
    for number, key in enumerate((document.PLAN, document.MANIFEST, document.QUANTIZATION)):
        result, _ = check(tmp_path / str(number), files, {**said, key: "another"})
        assert failed(result)


def test_figures_below_the_budgets_of_the_recipe_are_refused(tmp_path: Path) -> None:
    result, _ = check(tmp_path, *make({"verify": {"min_map50": 0.9}}))
    assert failed(result) == ["budgets"]


def test_budgets_of_another_tinsmith_are_not_judged(tmp_path: Path) -> None:
    result, _ = check(tmp_path, *make({"verify": {"min_map90": 0.9}}))
    assert failed(result) == []
    assert [item.ok for item in result.refused if item.name == "budgets"] == [None]


@pytest.mark.parametrize("data", [b"TFL3 of a tesT", b"TFL3", None], ids=["bytes", "size", "missing"])
def test_a_blob_that_is_not_what_the_oci_manifest_says_is_refused(tmp_path: Path, data: bytes | None) -> None:
    def damage(layout: Layout, release: Release) -> None:
        path = layout.blob_path(release.files["model.tflite"][0])
        path.unlink() if data is None else path.write_bytes(data)

    result, engine = check(tmp_path, *make(), before=damage)
    assert failed(result) == ["files"]
    assert engine.ran == []


def test_trust_that_is_refused_keeps_the_model_from_being_run(tmp_path: Path) -> None:
    rule = Rule("tinsmith.toml", ("pets",), None, keys=(), index_keys=(), threshold=1, index=False)
    result, engine = check(tmp_path, *make(), policy=Policy(((rule,),)))
    assert failed(result) == ["signature"]
    assert engine.ran == []


def test_behaviour_that_differs_is_no_refusal(tmp_path: Path) -> None:
    report = {**REPORT, "checks": [{"name": "golden pictures", "ok": False, "text": "apart"}]}
    result, _ = check(tmp_path, *make(), report=report)
    assert failed(result) == ["golden pictures"]
    assert all(item.ok is not False for item in result.refused)


@pytest.mark.parametrize(
    ("code", "refused", "behaviour"),
    [
        ("golden-picture", ["golden files"], []),
        ("step-failed", [], ["golden pictures"]),
        ("out-of-memory", [], ["golden pictures"]),
    ],
)
def test_a_step_that_dies_of_the_release_is_a_check_that_failed(
    tmp_path: Path, code: str, refused: list[str], behaviour: list[str]
) -> None:
    def work(step: Step, workspace: Workspace) -> Mapping[str, bytes]:
        raise StepFailed("it died", code=code)

    layout = Layout(tmp_path)
    release, _ = layout.add("pets", "1.0.0", *make())
    result = verify(layout, release, Policy(), lambda: FakeEngine(work), Events())
    assert [item.name for item in result.refused if item.ok is False] == refused
    assert [item.name for item in result.behaviour if item.ok is False] == behaviour


def test_a_full_disk_says_nothing_about_the_release(tmp_path: Path) -> None:
    def work(step: Step, workspace: Workspace) -> Mapping[str, bytes]:
        raise StepFailed("no space left", code="disk-full")

    layout = Layout(tmp_path)
    release, _ = layout.add("pets", "1.0.0", *make())
    with pytest.raises(StepFailed, match="no space"):
        verify(layout, release, Policy(), lambda: FakeEngine(work), Events())


def test_an_engine_that_leaves_no_result_is_not_believed(tmp_path: Path) -> None:
    class Silent(FakeEngine):
        @staticmethod
        def write_result(workspace: Workspace, result: Mapping[str, Any]) -> None:
            (workspace.output / "result.json").write_text(json.dumps({**result, "nonce": "of another run"}))

    layout = Layout(tmp_path)
    release, _ = layout.add("pets", "1.0.0", *make())
    engine = Silent(lambda step, workspace: {"report.json": json.dumps(REPORT).encode()})
    with pytest.raises(StepFailed, match="another run"):
        verify(layout, release, Policy(), lambda: engine, Events())


def test_a_document_too_large_to_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("builder.release.documents.LARGEST", 10)
    with pytest.raises(IntegrityError, match="larger than"):
        check(tmp_path, *make())
