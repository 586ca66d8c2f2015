"""``tinsmith plan --simulate``: what building would take on a cluster."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.cli.simulated import cluster_of, document, told
from builder.cost.forecast import HANDOUT_SECONDS, enough, forecast
from builder.cost.model import CostModel
from builder.cost.simulate import Cluster, Task, rank_of, simulate
from builder.digest import Digest, digest_bytes
from builder.errors import UsageError
from builder.plan.summary import PlanLine
from builder.store.base import StepResult
from builder.store.disk import DiskStore
from tests.unit.test_plan_text import ROOT, summary, tinsmith


def plans() -> tuple[PlanLine, ...]:
    """Two variants that share their data."""
    return summary("shapes-width").plans


def ran(name: str, work: float, seconds: float, memory_mb: float = 100.0) -> StepResult:
    run = {"work": work, "seconds": seconds, "moving_seconds": 0.5, "memory_mb": memory_mb}
    return StepResult(digest_bytes(f"{name} {work} {seconds}".encode()), name, (), run)


def measured(memory_mb: float = 100.0) -> CostModel:
    """Every step takes 10 seconds, and half of one for what it reads and leaves."""
    lines = [step for plan in plans() for step in plan.steps]
    return CostModel.learnt(ran(step.name, step.work, 10.0, memory_mb) for step in lines for _ in range(3))


def never(_: Digest) -> bool:
    return False


def test_only_steps_without_a_result_count_and_shared_ones_once() -> None:
    made = plans()
    whole = forecast(made, never, measured(), Cluster(1))
    assert (whole.steps, whole.cached, whole.predicted) == (17, 0, ())
    assert whole.simulation.makespan == pytest.approx(17 * (10.5 + HANDOUT_SECONDS))
    trained = {step.key for plan in made for step in plan.steps if step.name in ("ingest", "train")}
    rest = forecast(made, trained.__contains__, measured(), Cluster(100))
    assert (rest.steps, rest.cached) == (14, 3)
    assert [leg.name for leg in rest.path] == ["export", "convert", "embed", "infer", "verify", "package"]
    assert rest.simulation.makespan == pytest.approx(6 * (10.5 + HANDOUT_SECONDS))


def test_what_was_never_measured_is_named() -> None:
    costs = CostModel.learnt([ran("ingest", 3.0, 10.0)])
    found = forecast(plans(), never, costs, Cluster(2))
    assert (found.runs, found.predicted[:2]) == (1, ("train", "export"))
    assert "measured in 1 past run; predicted for train, export, " in told(found)
    assert "of no past run" in told(forecast(plans(), never, CostModel.learnt([]), Cluster(2)))


def test_memory_of_past_runs_decides_what_runs_side_by_side() -> None:
    alone = forecast(plans(), never, measured(700.0), Cluster(1, slots=2, memory_mb=1000.0))
    beside = forecast(plans(), never, measured(300.0), Cluster(1, slots=2, memory_mb=1000.0))
    unknown = forecast(plans(), never, CostModel.learnt([]), Cluster(1, slots=2, memory_mb=1000.0))
    assert (alone.simulation.most, beside.simulation.most, unknown.simulation.most) == (1, 2, 1)
    with pytest.raises(UsageError, match=r"step ingest of shapes-width-d100 needs 1,300 MB .* a worker has 1,000"):
        forecast(plans(), never, measured(1000.0), Cluster(4, memory_mb=1000.0))


@given(st.lists(st.floats(1, 100), min_size=1, max_size=40), st.integers(1, 3))
def test_enough_workers_are_as_good_as_any_number(seconds: list[float], slots: int) -> None:
    tasks = {digest_bytes(b"%d" % number): Task(item) for number, item in enumerate(seconds)}
    found = enough(tasks, Cluster(1, slots), rank_of(tasks))
    assert simulate(tasks, Cluster(found, slots)).makespan <= 1.02 * max(seconds)
    assert 1 <= found <= len(seconds)


@pytest.mark.parametrize(
    ("text", "cluster"),
    [
        ("workers=32", Cluster(32)),
        ("workers=2,memory=8000", Cluster(2, memory_mb=8000.0)),
        ("slots=2, workers=4", Cluster(4, 2)),
    ],
)
def test_a_cluster_in_words(text: str, cluster: Cluster) -> None:
    assert cluster_of(text) == cluster


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "knows no ''"),
        ("32", "knows no '32'"),
        ("worker=3", "knows no 'worker'"),
        ("workers=", "not ''"),
        ("workers=0", "from 1 to"),
        ("workers=-1", "from 1 to"),
        ("workers=1e3", "not '1e3'"),
        ("workers=٣", "not '٣'"),
        ("workers=99999999999999", "from 1 to"),
        ("workers=2,workers=3", "workers twice"),
        ("memory=8000", "needs the number of workers"),
        ("workers=2,", "knows no ''"),
    ],
)
def test_any_other_cluster_is_a_mistake_in_words(text: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        cluster_of(text)
    assert said in caught.value.message and caught.value.help


def test_the_command_tells_it_from_what_the_store_remembers(tmp_path: Path) -> None:
    for ending in ("yaml", "lock"):
        shutil.copy(ROOT / "manifests" / f"shapes-width.{ending}", tmp_path)
    words = ("plan", "shapes-width.yaml", "--store", "store", "--simulate", "workers=2")
    done = tinsmith(tmp_path, *words)
    assert (done.returncode, done.stderr) == (0, "")
    assert "costs              of no past run" in done.stdout
    assert not (tmp_path / "store").exists(), "a plan changes nothing"

    store = DiskStore(tmp_path / "store")
    lines = {step.key: step for plan in plans() for step in plan.steps}
    for step in lines.values():
        # Trainings have a result; of the other steps there was an older run.
        train = step.name == "train"
        key = step.key if train else digest_bytes(step.key.encode())
        store.record(StepResult(key, step.name, (), {"work": step.work, "seconds": 600.0 if train else 120.0}))
    found = json.loads(tinsmith(tmp_path, *words, "--json").stdout)
    assert (found["steps"], found["cached"], found["costs"]) == (15, 2, {"runs": 17, "predicted": []})
    assert [step["name"] for step in found["longest_path"]["steps"]][:3] == ["export", "convert", "embed"]
    assert found["makespan_seconds"] >= found["total_seconds"] / 2
    done = tinsmith(tmp_path, *words[:-1], "workers=1")
    assert f"makespan           about {round(15 * 120.5 / 60)} min on 1 worker\n" in done.stdout
    assert "steps to run       15, and 2 cached\n" in done.stdout
    assert "workers busy       100 % of the time\n" in done.stdout
    assert tinsmith(tmp_path, *words[:-1], "workers=none").returncode == 2


def test_with_nothing_to_run_it_says_so() -> None:
    found = forecast(plans(), lambda _: True, measured(), Cluster(2))
    assert told(found) == "nothing to run: all 17 steps have results"
    assert document(found)["makespan_seconds"] == 0.0
