from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from builder.build import build
from builder.digest import digest_bytes, digest_json
from builder.engine.base import Emit, Workspace
from builder.errors import StepFailed
from builder.plan.step import Plan, Step, StepInput, Toolchain
from builder.store.base import StepResult
from builder.store.disk import DiskStore
from tests.fakes import Events, FakeEngine, default_work

NONE = digest_bytes(b"")
TOOLCHAIN = Toolchain("tf1.15", "3.7", "base", NONE, NONE, NONE)
CODE = {"run.py": b"", "contract.py": b"", "ingest.py": b"", "train.py": b"", "other.py": b""}


def step(name: str, *inputs: StepInput, resumable: bool = False) -> Step:
    return Step(
        name,
        f"run.py {name}",
        TOOLCHAIN,
        {},
        inputs,
        (f"{name}.py", "run.py"),
        digest_json(name),
        resumable=resumable,
    )


PLAN = Plan(
    "shapes",
    "1.0.0",
    (
        step("ingest", StepInput("source", source=NONE)),
        step("train", StepInput("data", step="ingest"), resumable=True),
    ),
    "train",
    NONE,
)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(b"jpeg")
    return folder


def run(tmp_path: Path, source: Path, engine: FakeEngine, events: Emit | None = None) -> dict[str, StepResult]:
    store = DiskStore(tmp_path / "store")
    return build(
        PLAN,
        code=CODE,
        sources={NONE: source}.__getitem__,
        store=store,
        engine=lambda: engine,
        emit=Events() if events is None else events,
    )


def test_each_step_gets_the_outputs_of_those_it_needs(tmp_path: Path, source: Path) -> None:
    engine = FakeEngine()
    results = run(tmp_path, source, engine)
    assert engine.ran == ["ingest", "train"]
    store = DiskStore(tmp_path / "store")
    ingested = store.read(results["ingest"].artifact("out.txt").digest)
    seen = hashlib.sha256(b"train" + b"data" + b"out.txt" + ingested).hexdigest()
    assert store.read(results["train"].artifact("out.txt").digest) == seen.encode()


def test_a_second_build_runs_nothing_and_asks_for_no_engine(tmp_path: Path, source: Path) -> None:
    first = run(tmp_path, source, FakeEngine())
    events = Events()

    def no_engine() -> FakeEngine:
        raise AssertionError("an engine was asked for")

    def no_source(digest: str) -> Path:
        raise AssertionError("the data was asked for")

    store = DiskStore(tmp_path / "store")
    again = build(PLAN, code=CODE, sources=no_source, store=store, engine=no_engine, emit=events)
    assert again == first
    assert [detail["step"] for detail in events.of("cached")] == ["ingest", "train"]


def test_what_ran_is_kept_when_a_later_step_fails(tmp_path: Path, source: Path) -> None:
    engine = FakeEngine()
    engine.fail = "train"
    with pytest.raises(StepFailed):
        run(tmp_path, source, engine)
    engine = FakeEngine()
    run(tmp_path, source, engine)
    assert engine.ran == ["train"]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (StepFailed("no", code="out-of-memory"), "out-of-memory"),
        (KeyboardInterrupt(), "interrupted"),
        (OSError(), "error"),
    ],
)
def test_a_step_that_does_not_end_well_is_told(tmp_path: Path, source: Path, error: BaseException, code: str) -> None:
    def stopped(step: Step, workspace: Workspace) -> Mapping[str, bytes]:
        if step.name == "train":
            raise error
        return default_work(step, workspace)

    events = Events()
    with pytest.raises(type(error)):
        run(tmp_path, source, FakeEngine(stopped), events)
    assert events[-1] == ("failed", {"step": "train", "key": PLAN.steps[1].key, "code": code})
    assert [detail["step"] for detail in events.of("finished")] == ["ingest"]


def test_only_a_resumable_step_finds_its_checkpoints_again(tmp_path: Path, source: Path) -> None:
    found: dict[str, list[str]] = {}

    def stopped(step: Step, workspace: Workspace) -> Mapping[str, bytes]:
        found.setdefault(step.name, []).extend(
            sorted(str(path.relative_to(workspace.output)) for path in workspace.output.rglob("*"))
        )
        (workspace.output / "checkpoints").mkdir(exist_ok=True)
        (workspace.output / "checkpoints" / "step-7.checkpoint").write_text("state")
        (workspace.output / "half.txt").write_text("half")
        raise KeyboardInterrupt

    def ingest_only(step: Step, workspace: Workspace) -> Mapping[str, bytes]:
        return default_work(step, workspace) if step.name == "ingest" else stopped(step, workspace)

    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path, source, FakeEngine(ingest_only))
    assert found["train"] == ["checkpoints", "checkpoints/step-7.checkpoint"]
    results = run(tmp_path, source, FakeEngine())
    assert [item.path for item in results["train"].artifacts] == ["out.txt"]
    assert results["train"].run["resumed"], "its seconds are not those of a whole training"
    assert "resumed" not in results["ingest"].run
    assert list((tmp_path / "store" / "work").glob("*/out")) == []


def test_a_step_sees_only_the_code_its_key_covers(tmp_path: Path, source: Path) -> None:
    def look(step: Step, workspace: Workspace) -> Mapping[str, bytes]:
        assert sorted(path.name for path in workspace.steps.iterdir()) == sorted([f"{step.name}.py", "run.py"])
        return default_work(step, workspace)

    run(tmp_path, source, FakeEngine(look))


class _Liar(FakeEngine):
    def __init__(self, **result: object) -> None:
        super().__init__()
        self.result = result

    def run(self, step: Step, workspace: Workspace, emit: Emit) -> Mapping[str, Any]:
        if self.result:
            (workspace.output / "a").write_bytes(b"a")
            self.write_result(workspace, {"nonce": workspace.nonce, **self.result})
        return {}


@pytest.mark.parametrize(
    "engine",
    [
        _Liar(),
        _Liar(nonce="of another run", files=[]),
        _Liar(files=[{"path": "a", "sha256": "0" * 64}]),
        _Liar(files=[{"path": "../../../photos/a.jpg", "sha256": hashlib.sha256(b"jpeg").hexdigest()}]),
    ],
    ids=["no result", "another run's result", "other bytes", "outside the folder"],
)
def test_an_exit_without_a_true_result_is_a_failed_step(tmp_path: Path, source: Path, engine: FakeEngine) -> None:
    with pytest.raises(StepFailed):
        run(tmp_path, source, engine)
    assert DiskStore(tmp_path / "store").lookup(PLAN.steps[0].key) is None


def test_results_record_the_engine_and_its_isolation(tmp_path: Path, source: Path) -> None:
    results = run(tmp_path, source, FakeEngine())
    assert results["train"].run["engine"] == "fake"
    assert results["train"].run["work"] == 0.0
    assert 0 <= results["train"].run["moving_seconds"] < 60
    assert "resumed" not in results["train"].run
    assert json.dumps(results["train"].run)
