"""Jobs and their worker: failed, killed, told to stop, kept."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from builder.cli.app import app
from builder.errors import UsageError
from builder.hook import queue
from builder.hook.job import Outcome
from builder.hook.place import Place
from builder.hook.pushed import Update
from builder.hook.worker import work
from tests.hook.server import Server
from tests.repositories import Repository, environment


def test_a_failed_job_stays_with_its_log_and_does_not_stop_later_ones(
    server: Server, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    server.status["build one"] = 5
    server.status["push two@1.0.0"] = 8
    server.push()
    server.clone.manifest("three")
    server.clone.write("manifests/bad.yaml", "schema: 1\nmodel: {depth: 3}\n")
    server.clone.commit()
    assert "manifests/bad.yaml is invalid" in server.push()
    server.clone.git("rm", "--quiet", "manifests/bad.yaml")
    server.clone.commit()
    server.push()
    assert [job.state for job in server.work()] == ["failed", "failed", "done"]
    first, second, _ = queue.jobs(server.place)
    assert first.said == (
        "manifests/one.yaml: tinsmith build ended with status 5",
        "manifests/two.yaml: two@1.0.0 was released, tinsmith push ended with status 8",
    )
    assert second.said == (
        "manifests/bad.yaml: invalid", "manifests/three.yaml: three@1.0.0 pushed to registry.example.org/models",
    )  # fmt: skip
    assert "manifests/bad.yaml:2:9: error" in server.place.log(2).read_text()
    capsys.readouterr()
    app(["hook", "status", str(server.bare.folder)], standalone_mode=False)
    told = capsys.readouterr().out.splitlines()
    assert told[0].split() == ["1", "failed", "main", f"nothing..{first.new[:8]}", str(server.place.log(1))]
    monkeypatch.setattr("builder.hook.programs.start_worker", lambda *_: None)
    server.status.clear()
    server.built()
    app(["hook", "retry", str(server.bare.folder), "1"], standalone_mode=False)
    assert server.work()[-1].state == "done"
    assert server.built() == ["build one.yaml", "push one@1.0.0", "build two.yaml", "push two@1.0.0"]
    with pytest.raises(UsageError):
        app(["hook", "retry", str(server.bare.folder), "3"], standalone_mode=False)


WORKER = """
import sys, time
from pathlib import Path
from builder.hook.job import Outcome
from builder.hook.place import Place
from builder.hook.worker import work
def slow(place, settings, job):
    (place.work / "begun").write_text(str(job.attempts))
    print("begun", flush=True)
    time.sleep(600)
print(work(Place(Path(sys.argv[1])), slow))
"""


def worker(server: Server) -> subprocess.Popen[str]:
    """A worker at its first job, for ten minutes."""
    found = subprocess.Popen(
        [sys.executable, "-c", f"import signal; signal.signal(signal.SIGTERM, signal.default_int_handler)\n{WORKER}",
         str(server.bare.folder)],
        env=environment(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    assert found.stdout is not None
    assert found.stdout.readline() == "begun\n"
    return found


def states(server: Server, capsys: pytest.CaptureFixture[str]) -> list[str]:
    capsys.readouterr()
    app(["hook", "status", str(server.bare.folder), "--json"], standalone_mode=False)
    return [job["state"] for job in json.loads(capsys.readouterr().out)["jobs"]]


def test_a_killed_worker_leaves_its_job_to_the_next(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    server.push()
    server.push("origin", ":refs/heads/main")
    server.push()
    assert states(server, capsys) == ["waiting", "waiting"]
    first = worker(server)
    assert states(server, capsys) == ["running", "waiting"]
    assert not work(server.place, lambda *_: Outcome(True, ("two at once",)))
    first.kill()
    first.communicate()
    assert states(server, capsys) == ["waiting", "waiting"]
    capsys.readouterr()
    app(["hook", "status", str(server.bare.folder)], standalone_mode=False)
    assert "no worker is at them: tinsmith hook work" in capsys.readouterr().out
    one, two = server.work()
    assert (one.state, one.attempts, two.state, two.attempts) == ("done", 2, "done", 1)


def test_a_job_that_takes_its_worker_down_every_time_is_given_up(server: Server) -> None:
    server.push()
    for _ in range(queue.MOST_ATTEMPTS):
        killed = worker(server)
        killed.kill()
        killed.communicate()
    (job,) = server.work()
    assert job.state == "failed"
    assert server.built() == []


def test_a_worker_that_is_told_to_stop_leaves_the_job_as_it_was(server: Server) -> None:
    server.push()
    for _ in range(queue.MOST_ATTEMPTS + 1):
        stopped = worker(server)
        stopped.send_signal(signal.SIGTERM)
        stopped.communicate()
    (job,) = queue.jobs(server.place)
    assert (job.state, job.attempts) == ("waiting", 0)


def test_a_bug_ends_its_job_and_not_the_worker(server: Server) -> None:
    server.push()
    server.push("origin", ":refs/heads/main")
    server.push()
    outcomes: list[Callable[[], Outcome]] = [lambda: {}["x"], lambda: Outcome(False, ("well",))]  # type: ignore[index]
    assert work(server.place, lambda *_: outcomes.pop(0)())
    assert [job.state for job in queue.jobs(server.place)] == ["failed", "done"]
    assert "KeyError" in server.place.log(1).read_text()


def test_a_store_that_cannot_be_used_fails_the_job(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    server.bare.git("config", "tinsmith.store", str(tmp_path / "file"))
    server.push()
    (job,) = server.work()
    assert (job.state, server.built()) == ("failed", [])
    assert str(tmp_path / "file") in job.said[0]


def test_done_jobs_are_kept_for_a_while_and_failed_ones_for_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "KEPT", 2)
    place = Place(Repository(tmp_path / "bare", bare=True).folder)
    for number in range(1, 6):
        job = queue.add(place, Update("refs/heads/main", None, "1" * 40))
        assert job.number == number
        place.log(number).write_text("")
        queue.finish(place, job, "failed" if number == 1 else "done", ())
    assert [job.number for job in queue.jobs(place)] == [1, 4, 5]
    assert sorted(path.name for path in place.logs.iterdir()) == ["1.log", "4.log", "5.log"]
    (place.jobs / "00000009.json").write_text("{")
    assert len(queue.jobs(place)) == 3


def test_the_build_of_a_killed_worker_is_told_to_stop(tmp_path: Path) -> None:
    build = "import os, pathlib, signal, time; pathlib.Path('began').write_text(str(os.getpid())); time.sleep(60)"
    worker = "import pathlib, sys; from builder.hook.programs import run; "
    worker += "run([sys.executable, '-c', sys.argv[1]], {}, *map(pathlib.Path, ('.', 'out', 'log')))"
    process = subprocess.Popen([sys.executable, "-c", worker, build], cwd=tmp_path, env=environment())
    began = tmp_path / "began"
    assert _eventually(lambda: began.exists() and began.read_text() != "")
    child = Path("/proc", began.read_text())
    assert child.exists()
    process.kill()
    process.wait()
    assert _eventually(lambda: not child.exists() or " Z " in (child / "stat").read_text())


def _eventually(holds: Callable[[], bool], seconds: float = 20.0) -> bool:
    end = time.monotonic() + seconds
    while not (done := holds()) and time.monotonic() < end:
        time.sleep(0.05)
    return done
