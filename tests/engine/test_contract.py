"""What holds for every engine."""

from __future__ import annotations

import hashlib
import json
import socket
import threading
from pathlib import Path

import pytest

from builder.engine import events
from builder.errors import DatasetError, StepFailed
from tests.engine.conftest import NONCE, Bench


def files(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_a_step_leaves_its_outputs_and_a_result_with_the_nonce(bench: Bench) -> None:
    output = bench.run("good", letters=["å", "b"])

    assert (output / "deep" / "out.txt").read_text() == "SOME DATA\n"
    assert json.loads((output / "params.json").read_text()) == {"letters": ["å", "b"]}
    result = json.loads((output / "result.json").read_text())
    assert result["nonce"] == NONCE
    assert {item["path"] for item in result["files"]} == {"deep/out.txt", "params.json"}


def test_the_outputs_belong_to_the_caller(bench: Bench) -> None:
    owner = bench.root.stat().st_uid
    output = bench.run("good")

    assert {path.stat().st_uid for path in [output, *output.rglob("*")]} == {owner}


def test_events_and_log_lines_come_apart_and_in_order(bench: Bench) -> None:
    bench.run("good")

    assert bench.events.of("progress") == [{"step": 1, "steps": 2}, {"step": 2, "steps": 2}]
    out = [item["line"] for item in bench.events.of("log") if item["stream"] == "stdout"]
    assert out[-2:] == ["a plain line", "no newline at the end of this one, then an event"]
    assert {"line": "a line on the other stream", "stream": "stderr"} in bench.events.of("log")


def test_the_same_bytes_every_time(bench: Bench) -> None:
    first = files(bench.run("good", a=1, b=[1.5, None]))

    assert files(bench.run("good", b=[1.5, None], a=1)) == first
    assert first == {
        "deep/out.txt": hashlib.sha256(b"SOME DATA\n").hexdigest(),
        "params.json": hashlib.sha256(b'{\n  "a": 1,\n  "b": [\n    1.5,\n    null\n  ]\n}\n').hexdigest(),
        "result.json": first["result.json"],
    }


def test_a_crash_ends_in_an_error_with_the_end_of_the_log(bench: Bench) -> None:
    with pytest.raises(StepFailed, match="the reason is here") as caught:
        bench.run("fails", how="raise")

    assert caught.value.code == "step-failed"
    assert "about to fail: raise" in caught.value.message
    assert not (bench.root / "out" / "result.json").exists()


def test_a_kill_is_named(bench: Bench) -> None:
    with pytest.raises(StepFailed, match="SIGKILL"):
        bench.run("fails", how="signal")


def test_an_exit_code_is_named(bench: Bench) -> None:
    with pytest.raises(StepFailed, match="exit code 7"):
        bench.run("fails", how="exit")


def test_a_flood_of_lines_is_all_seen_but_only_its_end_is_kept(bench: Bench) -> None:
    with pytest.raises(StepFailed) as caught:
        bench.run("fails", how="lines")

    assert "line 99999" in caught.value.message
    assert len(caught.value.message.splitlines()) < 40
    lines = [item["line"] for item in bench.events.of("log")]
    assert [line for line in lines if line.startswith("line ")] == [f"line {n}" for n in range(100000)]


def test_bad_data_is_a_dataset_error(bench: Bench) -> None:
    with pytest.raises(DatasetError) as caught:
        bench.run("fails", how="dataset-empty-split")

    error = caught.value
    assert (error.code, error.message, error.help) == (
        "dataset-empty-split",
        "this is wrong",
        "do that instead",
    )
    assert error.exit_status == 3


def test_any_other_reported_failure_is_a_failed_step(bench: Bench) -> None:
    with pytest.raises(StepFailed) as caught:
        bench.run("fails", how="training-diverged")

    assert (caught.value.code, caught.value.help) == ("training-diverged", "do that instead")
    assert caught.value.exit_status == 4


def test_memory_is_limited(bench: Bench) -> None:
    with pytest.raises(StepFailed, match="more than its 128 MB") as caught:
        bench.run("greedy", memory_mb=128, blocks=64)

    assert caught.value.code == "out-of-memory"


def test_the_memory_that_a_step_uses_is_told_and_the_most_of_it(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "USAGE_SECONDS", 0.0)
    bench.run("holds", megabytes=120, seconds=1.5)
    assert 120 <= bench.facts["memory_mb"] < 200
    assert any(120 <= detail["memory_mb"] < 200 for detail in bench.events.of("usage"))

    bench.run("holds", megabytes=0, seconds=1.5)
    assert 1 < bench.facts["memory_mb"] < 60


@pytest.fixture
def listening() -> tuple[str, int]:
    """A server on this machine that a step with a network could reach."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        stop = threading.Event()

        def accept() -> None:
            while not stop.is_set():
                try:
                    server.accept()[0].close()
                except TimeoutError:
                    continue

        thread = threading.Thread(target=accept)
        thread.start()
        yield server.getsockname()[:2]
        stop.set()
        thread.join()


def test_a_step_is_kept_from_the_network_and_may_write_only_its_output(
    bench: Bench, listening: tuple[str, int]
) -> None:
    with socket.create_connection(listening, timeout=3):
        pass

    probe = json.loads((bench.run("probe", address=list(listening)) / "probe.json").read_text())

    assert "no network" in bench.engine.isolation
    assert not probe["connected"]
    assert not probe["resolved"]
    assert "read-only" in bench.engine.isolation
    assert probe["wrote"] == []
    assert probe["scratch"]
    assert probe["stdin"] == 0
    assert probe["shell"] == 3
    assert (bench.root / "in" / "in.txt").read_text() == "some data\n"


def test_a_step_sees_only_its_own_processes(bench: Bench, listening: tuple[str, int]) -> None:
    probe = json.loads((bench.run("probe", address=list(listening)) / "probe.json").read_text())

    assert len(probe["processes"]) <= 3


def test_nothing_of_the_callers_environment_comes_in(
    bench: Bench, listening: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "hush")
    monkeypatch.setenv("PYTHONPATH", "/somewhere")
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "12345")

    probe = json.loads((bench.run("probe", address=list(listening)) / "probe.json").read_text())

    seen = probe["environment"]
    assert "hush" not in json.dumps(seen)
    assert not {"SECRET_TOKEN", "PYTHONPATH", "SOURCE_DATE_EPOCH", "SSL_CERT_FILE"} & seen.keys()
    assert (seen["PYTHONHASHSEED"], seen["OMP_NUM_THREADS"]) == ("0", "2")


def test_inputs_that_only_their_owner_may_read_reach_the_step(bench: Bench) -> None:
    (bench.root / "in" / "in.txt").chmod(0o600)
    (bench.root / "in").chmod(0o700)

    output = bench.run("good")

    assert (output / "deep" / "out.txt").read_text() == "SOME DATA\n"
    assert (bench.root / "in").stat().st_mode & 0o777 == 0o700
