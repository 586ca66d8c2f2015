"""``build --canary`` from the command line, with a fake engine in place of the toolchains."""

from __future__ import annotations

import copy
import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from builder.cli.app import app
from builder.digest import canonical_json
from builder.engine.base import Workspace
from builder.errors import BudgetExceeded, DatasetError, IntegrityError, InvalidManifest, StepFailed, UsageError
from builder.lock.file import write_lock
from builder.lock.place import lock_path
from builder.manifest.load import loads
from builder.plan import canary
from builder.plan.step import Step
from builder.release import parity
from builder.store.disk import DiskStore
from tests.fakes import FakeEngine
from tests.unit import small_release

MANIFEST = Path("manifests/shapes.yaml")
RAW = {
    "mean_raw_box_diff": 0.0,
    "max_raw_box_diff": 0.0,
    "mean_raw_score_diff": 0.0,
    "max_raw_score_diff": 0.0,
    "pictures": 16,
}
REJECTED = [{"file": "annotations/7.xml", "reason": "unknown label 'racoon'"}]
HEAD = {"shape": [4, 1], "digest": "", "largest": 1.0, "sample": [-1.0, 1.0, -1.0, 1.0]}
GOLDEN = {"pictures": [{"raw": {"box_encodings": HEAD, "class_scores": HEAD}}]}
SAMPLE = {"train": 48, "eval": 24, "not_opened": 2928, "total": 3000}
UNTRAINED = {**small_release.METRICS, "size": 1_400_000, "degenerate": {"constant_answer": True}}
UNTRAINED["stages"] = {name: {"map": 0.0, "map50": 0.0, "ar100": 0.0} for name in ("frozen", "tflite_litert")}


def certificate(kind: str = "float32", **raw: Any) -> dict[str, Any]:
    pairs = {name: {"raw": {**RAW, **raw}} for name in ("frozen:tflite_tf1", "frozen:tflite_litert")}
    return {"quantization": {"type": kind}, "image_sets": {"eval": {"pairs": pairs}}}


def work(step: Step, workspace: Workspace) -> Mapping[str, bytes]:
    files = dict(small_release.work(step, workspace))
    written: dict[str, Any] = {}
    if step.module == "ingest_sample":
        written["report.json"] = {"sample": SAMPLE, "rejected": []}
    if step.module == "verify":
        kind = step.params["quantization"]["type"]
        written = {"certificate.json": certificate(kind), "golden/expected.json": GOLDEN, "metrics.json": UNTRAINED}
    if step.module == "train":
        files |= {"model.ckpt.index": b"weights", "metrics.jsonl": b"{}\n"}
    return {**files, **{name: canonical_json(document) for name, document in written.items()}}


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    """A project with the shipped shapes manifest, and what runs its steps."""
    (tmp_path / "manifests").mkdir()
    for suffix in (".yaml", ".lock"):
        shutil.copy(small_release.MANIFEST.with_suffix(suffix), tmp_path / MANIFEST.with_suffix(suffix))
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TINSMITH_KEY", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    fake = FakeEngine(work)
    monkeypatch.setattr("builder.engine.select.choose", lambda name: fake)
    return fake


def tinsmith(*words: str) -> None:
    app(["build", "--canary", str(MANIFEST), "--progress", "quiet", *words], standalone_mode=False)


def edit(*changes: tuple[str, str]) -> None:
    """Changes the manifest and its lock."""
    text = MANIFEST.read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    MANIFEST.write_text(text)
    family = loads(MANIFEST.read_text(), str(MANIFEST))
    path = lock_path(MANIFEST)
    path.unlink()
    write_lock(small_release.LOCK.model_copy(update={"manifest_digest": family.digest}), path)


STEPS = ["ingest", "train", "export", "convert", "embed", "infer", "verify", "measure", "package"]


def test_a_canary_runs_every_step_and_releases_nothing(engine: FakeEngine, capsys: pytest.CaptureFixture[str]) -> None:
    tinsmith()
    assert engine.ran == STEPS
    assert not Path("releases").exists()
    folder = Path("build/shapes-1.0.0-canary")
    assert (folder / "model.tflite").read_bytes() == b"TFL3"
    assert (folder / "training" / "metrics.jsonl").is_file() and (folder / "data.json").is_file()
    assert sorted(path.name for path in Path("build").iterdir()) == ["shapes-1.0.0-canary"]
    said = capsys.readouterr().out
    assert "shapes@1.0.0-canary" in said and "canary of shapes@1.0.0: not released" in said
    assert "judged      max_size, frozen graph and .tflite agree" in said
    assert "not judged  min_map50, max_map_drop, constant answer" in said
    assert "annotations of all 3,000 pictures; 48 trained on, 24 evaluated, 2,928 not opened" in said
    assert "rejected" not in said
    assert "1,400,000 bytes, -2.6 % of the 1,43" in said
    assert "0.984" not in said and "0.000" not in said, "what an untrained model scores is not shown"


def test_json_says_canary(engine: FakeEngine, capsys: pytest.CaptureFixture[str]) -> None:
    tinsmith("--json")
    (document,) = json.loads(capsys.readouterr().out)
    assert (document["release"], document["released"], document["misses"]) == ("shapes@1.0.0-canary", False, [])
    said = document["canary"]
    assert (said["of"], said["sample"], said["covered"]) == ("shapes@1.0.0", SAMPLE, None)
    assert said["predicted"]["tflite_bytes"] == pytest.approx(1_437_000, rel=0.01)
    assert "digest" not in document


def test_a_second_canary_runs_nothing_and_lays_its_folder_out_anew(engine: FakeEngine) -> None:
    tinsmith()
    folder = Path("build/shapes-1.0.0-canary")
    (folder / "older").write_text("of another canary")
    (folder / "model.tflite").write_text("edited")
    engine.ran.clear()
    tinsmith()
    assert engine.ran == []
    assert not (folder / "older").exists() and (folder / "model.tflite").read_bytes() == b"TFL3"
    assert not list(Path("build").glob("*.part"))


def test_the_folder_may_not_lead_elsewhere(engine: FakeEngine) -> None:
    Path("elsewhere").mkdir()
    Path("elsewhere/precious").write_text("")
    Path("build").mkdir()
    Path("build/shapes-1.0.0-canary").symlink_to("../elsewhere")
    tinsmith()
    assert Path("elsewhere/precious").exists() and not Path("build/shapes-1.0.0-canary").is_symlink()


def test_a_canary_is_no_part_of_the_build_that_follows(engine: FakeEngine) -> None:
    tinsmith()
    engine.ran.clear()
    # The fake model misses its budgets: what matters is that every step ran.
    with pytest.raises(BudgetExceeded):
        app(["build", str(MANIFEST), "--progress", "quiet"], standalone_mode=False)
    assert engine.ran == STEPS


def test_a_released_version_may_be_tried_again_with_another_plan(engine: FakeEngine, tmp_path: Path) -> None:
    small = small_release.release(tmp_path)
    edit(("steps: 800", "steps: 700"))
    before = small.layout.releases()
    with pytest.raises(IntegrityError):
        app(["build", str(MANIFEST), "--progress", "quiet"], standalone_mode=False)
    tinsmith()
    assert small.layout.releases() == before


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("max_size: 1.5 MB", "max_size: 1.3 MB", "max_size: 1,400,000 bytes"),
        ("max_size: 1.5 MB", "max_latency_ms: 1.0", "max_latency_ms: 1.1 ms"),
    ],
)
def test_a_budget_that_no_training_can_mend_is_exit_5(engine: FakeEngine, old: str, new: str, says: str) -> None:
    edit((old, new))
    with pytest.raises(BudgetExceeded) as caught:
        tinsmith()
    assert caught.value.exit_status == 5
    assert "canary, verification failed" in caught.value.message and says in caught.value.message
    assert Path("build/shapes-1.0.0-canary/model.tflite").exists(), "to be looked at"


@pytest.mark.parametrize("kind", parity.TOLERANCE)
def test_a_tflite_that_computes_something_else_is_exit_5(engine: FakeEngine, kind: str) -> None:
    edit(("quantization: float32", f"quantization: {kind}"), ("  max_map_drop: 0.005", "  # "))
    tinsmith()
    for head in ("box", "score"):
        # As far apart as independent answers are, or as one constant is from what it stands for.
        for apart in (1.13, 0.8):
            assert parity.misses(certificate(kind, **{f"mean_raw_{head}_diff": apart}), GOLDEN)
    dead = copy.deepcopy(GOLDEN)
    dead["pictures"][0]["raw"]["class_scores"]["sample"] = [0.5] * 4
    assert parity.misses(certificate(kind, mean_raw_score_diff=0.01), dead)

    def broken(step: Step, workspace: Workspace) -> Mapping[str, bytes]:
        wrong = canonical_json(certificate(kind, mean_raw_box_diff=1.0))
        return {**work(step, workspace), **({"certificate.json": wrong} if step.module == "verify" else {})}

    engine.work = broken
    with pytest.raises(BudgetExceeded, match=r"tflite_litert answers other box values, 1\.0000 apart"):
        tinsmith("--store", "another")


def test_heads_of_another_shape_are_told() -> None:
    document = certificate()
    document["image_sets"]["eval"]["pairs"]["frozen:tflite_tf1"]["raw"] = None
    assert parity.misses(document, GOLDEN) == ["frozen graph and .tflite agree: tflite_tf1 has heads of another shape"]


def test_what_was_rejected_is_named(engine: FakeEngine, capsys: pytest.CaptureFixture[str]) -> None:
    def tolerates(step: Step, workspace: Workspace) -> Mapping[str, bytes]:
        if step.module == "ingest_sample":
            report = json.dumps({"sample": SAMPLE, "rejected": REJECTED}).encode()
            return {**work(step, workspace), "report.json": report}
        return work(step, workspace)

    engine.work = tolerates
    tinsmith()
    said = capsys.readouterr().out
    assert "2,928 not opened, 1 rejected" in said
    assert "rejected    annotations/7.xml: unknown label 'racoon'" in said
    report = Path("build/shapes-1.0.0-canary/report.md").read_text()
    assert "| `annotations/7.xml` | `unknown label 'racoon'` |" in report


def test_what_stops_a_step_stops_the_canary(engine: FakeEngine) -> None:
    def fails(step: Step, workspace: Workspace) -> Mapping[str, bytes]:
        if step.module == "ingest_sample":
            raise DatasetError("1 of 3000 pictures rejected: a.xml: unknown label 'circel'", code="dataset-rejected")
        return work(step, workspace)

    engine.work = fails
    with pytest.raises(DatasetError) as caught:
        tinsmith()
    assert caught.value.exit_status == 3 and "circel" in caught.value.message
    engine.work, engine.fail = work, "convert"
    with pytest.raises(StepFailed):
        tinsmith()
    assert not Path("build").exists()


def test_a_shape_that_the_network_cannot_take_is_told_before_any_step(engine: FakeEngine) -> None:
    MANIFEST.write_text(MANIFEST.read_text().replace("[96, 96, 3]", "[64, 96, 3]"))
    with pytest.raises(InvalidManifest):
        tinsmith()
    assert engine.ran == []


def test_variants_share_their_steps_and_are_selected_by_what_is_judged(
    engine: FakeEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    edit(
        ("quantization: float32", "quantization: [float16, int8, uint8-qat]\nselect: budgets"),
        ("  max_map_drop: 0.005", "  max_quant_drop: 0.01"),
    )
    tinsmith("--json")
    assert [engine.ran.count(step) for step in ("ingest", "train", "qat", "convert")] == [1, 1, 1, 3]
    found = json.loads(capsys.readouterr().out)
    assert [item["release"] for item in found] == [f"shapes-{kind}@1.0.0-canary" for kind in
                                                   ("float16", "int8", "uint8-qat")]  # fmt: skip
    assert all("max_quant_drop" in item["canary"]["not_judged"] for item in found)
    assert len(list(Path("build").iterdir())) == 3, "no comparison: there is nothing to compare"


def test_weights_to_start_from_are_told(engine: FakeEngine, capsys: pytest.CaptureFixture[str]) -> None:
    def warm(step: Step, workspace: Workspace) -> Mapping[str, bytes]:
        covered = {"coverage.json": b'{"covered": 0.982}'} if step.module == "train" else {}
        return {**work(step, workspace), **covered}

    engine.work = warm
    tinsmith()
    assert "init        98.2 % of the parameters" in capsys.readouterr().out


@pytest.mark.parametrize("other", [["--check"], ["--key", "team.key"]])
def test_what_is_for_releases_does_not_go_with_a_canary(engine: FakeEngine, other: list[str]) -> None:
    with pytest.raises(UsageError, match=f"--canary and {other[0]}"):
        tinsmith(*other)
    assert engine.ran == []


def test_a_key_in_the_environment_is_passed_over(engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TINSMITH_KEY", "absent.key")
    tinsmith()
    assert engine.ran == STEPS


def test_what_a_canary_leaves_is_as_good_as_any_step_in_the_store(engine: FakeEngine) -> None:
    tinsmith()
    store = DiskStore(Path(".tinsmith/store"))
    results = [json.loads(path.read_text()) for path in Path(".tinsmith/store/results").glob("*.json")]
    assert len(results) == len(STEPS)
    assert all(store.lookup(result["key"]) is not None for result in results)


PAGE = (small_release.ROOT / "docs" / "canary.md").read_text(encoding="utf-8")


def masked(text: str) -> list[str]:
    """The words of each line; figures are of the model that was built."""
    return [re.sub(r"[+-]?\d[\d,.]*", "#", " ".join(line.split())) for line in text.splitlines() if line.strip()]


def test_the_page_shows_what_is_printed(engine: FakeEngine, capsys: pytest.CaptureFixture[str]) -> None:
    (command,) = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    (shown,) = re.findall(r"```text\n(.*?)```", PAGE, re.DOTALL)
    app(command.split()[1:], standalone_mode=False)
    assert masked(shown) == masked(capsys.readouterr().out)


def test_the_page_has_the_numbers_of_the_code() -> None:
    sizes = "48 for training and 24 for evaluation at most (16 and 8 for the largest"
    assert sizes in PAGE and (canary._TRAIN_PICTURES, canary._EVAL_PICTURES) == ((16, 48), (8, 24))
    assert f"At most {canary._STEPS[1]} steps with batches of at most {canary._BATCH[1]}" in PAGE
    assert f"takes {canary._TUNING_STEPS[1]} steps" in PAGE
