"""``tinsmith worker`` in real processes: what it declares, and that it comes back, or goes, as it should."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from distributed import Client

from builder.cluster import context, machine, preload
from builder.cluster.resources import AMPLE, toolchain
from builder.cluster.worker import DROPPED, Settings
from builder.cluster.worker import environment as environment_of
from builder.engine.isolation import isolated, strongest
from builder.errors import NoEngine, TinsmithError, UsageError
from tests.workers.running import (
    TINSMITH,
    Scheduler,
    environment,
    introduce,
    offers,
    said,
    scheduler,
    until,
    worker,
)


@pytest.fixture(scope="module")
def head() -> Iterator[Scheduler]:
    with scheduler() as made:
        yield made


@pytest.fixture
def client(head: Scheduler) -> Iterator[Client]:
    with Client(head.address, timeout=30) as made:
        yield made


def alone(client: Client) -> bool:
    return not offers(client)


def test_it_declares_what_it_has_and_runs_jobs_in_its_context(client: Client, head: Scheduler, tmp_path: Path) -> None:
    words = ("--memory", "3000", "--gpu", "1", "--slots", "2", "--toolchain", "litert", "--resource", "license=2")
    with worker(tmp_path, head.address, *words):
        until(lambda: offers(client), "a worker")
        offered = {name: amount for name, amount in offers(client)["a"].items() if not name.startswith("build:")}
        assert offered == {
            "slots": 2, "memory": 3000, "gpu": 1, "license": 2,
            toolchain("litert", machine.toolchains(["litert"])["litert"]): AMPLE,
        }  # fmt: skip
        assert len(offers(client)["a"]) == len(offered) + 1  # the store and version of the builds that it is for
        told = client.submit(introduce, resources={"slots": 1, "license": 2}, pure=False).result(timeout=20)
        assert (told["name"], told["engine"], told["read"]) == ("a", "local", b"a")
    first, second = said(tmp_path).splitlines()[:2]
    assert first == (
        "worker a: 2 slots, 3,000 MB of memory, gpu 1, toolchains litert, engine local, license 2, "
        f"store file://{tmp_path / 'store'}"
    )
    assert second == f"worker a: at {head.address}"
    until(lambda: alone(client), "the worker gone")


def once_killed(mark: Path) -> str:
    """Says in ``mark`` who runs it, and waits there to be killed; the second time it is done."""
    with suppress(FileExistsError), mark.open("x") as stream:
        stream.write(str(os.getpid()))
        stream.flush()
        time.sleep(60)
    return context.current().name


def test_a_worker_that_is_killed_comes_back_and_does_the_job(client: Client, head: Scheduler, tmp_path: Path) -> None:
    with worker(tmp_path, head.address):
        job = client.submit(once_killed, tmp_path / "mark", resources={"slots": 1}, pure=False)
        os.kill(pid_in(tmp_path / "mark"), signal.SIGKILL)
        assert job.result(timeout=30) == "a"
        assert "worker a: killed by SIGKILL; again in 0.5 s" in said(tmp_path)


def pid_in(path: Path) -> int:
    return int(until(lambda: path.exists() and path.read_text(), f"a pid in {path.name}"))


def step_of_an_hour(folder: Path) -> None:
    """A process that is isolated as a step is; its pid and that of the worker are written down."""
    process = subprocess.Popen(isolated(strongest(), ["sh", "-c", "sleep 3600"], [], []), start_new_session=True)
    (folder / "pid").write_text(str(os.getpid()))
    (folder / "step").write_text(str(process.pid))
    process.wait()


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def test_nothing_is_left_of_a_supervisor_that_is_killed(client: Client, head: Scheduler, tmp_path: Path) -> None:
    with worker(tmp_path, head.address) as supervisor:
        job = client.submit(step_of_an_hour, tmp_path, resources={"slots": 1}, pure=False)
        pids = [pid_in(tmp_path / "pid"), pid_in(tmp_path / "step")]
        assert not any(gone(pid) for pid in pids)
        supervisor.kill()
        until(lambda: all(gone(pid) for pid in pids), "worker and step gone")
        job.cancel()


def interrupted_once(mark: Path, kept: Path) -> str:
    """Waits to be told to stop, and keeps something then, as a training does; the second time it is done."""
    with context.interruptible():
        with suppress(FileExistsError), mark.open("x") as stream:
            stream.write(str(os.getpid()))
            stream.flush()
            try:
                for _ in range(600):
                    time.sleep(0.1)
            except KeyboardInterrupt:
                kept.write_text("a checkpoint")
                raise
        return f"{context.current().name} went on from {kept.read_text()}"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "Ctrl-C"])
def test_told_to_stop_it_gives_its_job_back(
    client: Client, head: Scheduler, tmp_path: Path, number: signal.Signals
) -> None:
    with worker(tmp_path, head.address) as first:
        mark, kept = tmp_path / "mark", tmp_path / "kept"
        job = client.submit(interrupted_once, mark, kept, resources={"slots": 1}, pure=False, retries=0)
        pid = pid_in(mark)
        with worker(tmp_path, head.address, name="b"):
            until(lambda: "b" in offers(client), "the second worker")
            first.send_signal(number)
            assert first.wait(15) == 130
            assert gone(pid)
            assert job.result(timeout=30) == "b went on from a checkpoint"
    assert "Traceback" not in said(tmp_path)
    assert said(tmp_path).splitlines()[-1] == "worker a: stopped"


def test_it_waits_for_a_scheduler_and_for_one_that_comes_back(tmp_path: Path) -> None:
    with scheduler() as head:
        head.kill()
        with worker(tmp_path, head.address) as process:
            until(lambda: "worker a: 1 slot" in said(tmp_path), "the worker's first line")
            for _ in range(2):
                head.start()
                with Client(head.address, timeout=30) as client:
                    until(lambda client=client: offers(client), "the worker")  # type: ignore[misc]
                head.kill()
                head.process.wait()
                until(lambda: "its scheduler has gone" in said(tmp_path), "the loss noticed")
            assert process.poll() is None
    assert "Traceback" not in said(tmp_path)


def test_two_workers_cannot_have_one_name(client: Client, head: Scheduler, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    with worker(tmp_path, head.address):
        until(lambda: offers(client), "a worker")
        with worker(tmp_path / "other", head.address):
            until(lambda: "again in" in said(tmp_path / "other"), "the end of the second one")
            assert len(offers(client)) == 1
    assert f"worker a: cannot join {head.address}: another worker has its name\n" in said(tmp_path / "other")
    assert "Traceback" not in said(tmp_path / "other")


def drop_it() -> None:
    from builder.cluster.worker import drop

    drop("returned other bytes than it says, twice")


def test_a_dropped_worker_stays_away(client: Client, head: Scheduler, tmp_path: Path) -> None:
    with worker(tmp_path, head.address) as process:
        until(lambda: offers(client), "a worker")
        job = client.submit(drop_it, resources={"slots": 1}, pure=False)
        assert process.wait(20) == DROPPED == 7
        job.cancel()
    first, second, third = said(tmp_path).splitlines()[-3:]
    assert first == "error[integrity]: returned other bytes than it says, twice"
    assert second == "error[integrity]: worker a was dropped, for the reason above; it is not started again"
    assert "memory" in third


def test_a_store_that_cannot_be_used_is_tried_again(head: Scheduler, tmp_path: Path) -> None:
    (tmp_path / "store").write_text("a file where the store should be")
    with worker(tmp_path, head.address) as process:
        until(lambda: "ended with status 8; again in 0.5 s" in said(tmp_path), "the end of the first try")
        assert process.poll() is None
    assert "error[store]: " in said(tmp_path)
    assert "Traceback" not in said(tmp_path)


def test_wrong_settings_are_told_once(head: Scheduler, tmp_path: Path) -> None:
    with worker(tmp_path, head.address, "--toolchain", "tf1.16") as process:
        assert process.wait(20) == 2
    assert said(tmp_path).splitlines()[0] == "error[usage]: no toolchain is called 'tf1.16'"
    assert len(said(tmp_path).splitlines()) == 2


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--store", "file:///x"], ["no scheduler is named", "--scheduler tcp://HOST:8786"]),
        (["--scheduler", "tcp://a:1"], ["no store is named", "TINSMITH_STORE"]),
        (["--scheduler", "a:1", "--store", "file:///x"], ["'a:1' is no address of a scheduler", "tcp://"]),
        (
            ["--scheduler", "tcp://a", "--store", "file:///x"],
            ["'tcp://a' is no address of a scheduler", "tcp://HOST:8786"],
        ),
        (["--scheduler", "tcp://a:1", "--store", "file:///x", "--slots", "0"], ["--slots"]),
    ],
)
def test_a_mistake_on_the_command_line(tmp_path: Path, words: list[str], says: list[str]) -> None:
    done = subprocess.run(
        [*TINSMITH, "worker", *words], env=environment(), cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    for text in says:
        assert text in done.stderr


def worker_of_dask() -> Any:
    state = SimpleNamespace(nthreads=1, total_resources={"rack": 3.0}, available_resources={"rack": 3.0})
    return SimpleNamespace(name=7, state=state)


@pytest.mark.parametrize(
    ("environ", "says"),
    [
        ({preload.STORE: ""}, "no store is named"),
        ({preload.STORE: "/srv/store"}, "/srv/store is a store of one machine"),
        ({preload.ENGINE: "podman"}, "no engine is called 'podman'"),
        ({preload.TOOLCHAINS: "litert tf2"}, "no toolchain is called 'tf2'"),
        ({preload.MEMORY_MB: "8 GB"}, "TINSMITH_WORKER_MEMORY is '8 GB', which is no number"),
        ({preload.GPUS: "-1"}, "TINSMITH_WORKER_GPU is '-1', which is no number"),
        ({preload.RESOURCES: "a=1 license"}, "'license' is no resource"),
        ({preload.RESOURCES: "license=-2"}, "'license=-2' is no resource"),
        ({preload.RESOURCES: "license=nan"}, "'license=nan' is no resource"),
        ({preload.RESOURCES: "memory=3"}, "'memory=3': memory has an option of its own"),
        ({preload.ENGINE: "dask"}, "only 'tinsmith build' knows the engine dask"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_settings_that_the_preload_refuses(tmp_path: Path, environ: Mapping[str, str], says: str) -> None:
    usual = {preload.STORE: f"file://{tmp_path}", preload.ENGINE: "local"}
    with pytest.raises(UsageError) as raised:
        preload.set_up(worker_of_dask(), {**usual, **environ})
    assert raised.value.message.startswith(says)


def test_what_a_plain_worker_declares_by_itself_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TINSMITH_CACHE", str(tmp_path / "cache"))
    made = worker_of_dask()
    try:
        preload.set_up(made, {preload.STORE: f"file://{tmp_path / 'store'}", preload.ENGINE: "local"})
        assert made.state.available_resources == made.state.total_resources
        assert made.state.total_resources["rack"] == 3.0
        assert made.state.total_resources["slots"] == 1.0
        assert context.current().name == "7"
        assert context.current().engine() is context.current().engine()
    finally:
        context.install(None)
    assert capsys.readouterr().err.startswith("worker 7: 1 slot, ")


@pytest.mark.parametrize(("kind", "found", "offered"), [("auto", "docker", True), ("auto", "local", False)])
def test_docker_is_offered_where_the_engine_is_docker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, found: str, offered: bool
) -> None:
    monkeypatch.setenv("TINSMITH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("builder.engine.select.choose", lambda name: SimpleNamespace(name=found))
    made = worker_of_dask()
    try:
        preload.set_up(made, {preload.STORE: f"file://{tmp_path / 'store'}", preload.ENGINE: kind})
    finally:
        context.install(None)
    assert ("docker" in made.state.total_resources) is offered


def test_an_engine_that_could_not_be_made_is_made_later() -> None:
    tries: list[Callable[[], str]] = [lambda: "made"]

    def make() -> Any:
        if len(tries) == 1:
            tries.append(lambda: "not yet")
            raise NoEngine("no daemon answers")
        return object()

    engine = context.lazily(make)
    with pytest.raises(NoEngine):
        engine()
    assert engine() is engine()


def test_a_process_that_is_no_worker_has_no_context() -> None:
    with pytest.raises(TinsmithError, match="not one of tinsmith's") as raised:
        context.current()
    assert raised.value.exit_status == 6


def test_the_settings_reach_the_worker_and_replace_those_that_it_would_inherit() -> None:
    settings = Settings("tcp://a:1", "s3://b", "n", toolchains=("litert", "tf1.15"), resources=("a=1",), memory_mb=5)
    inherited = {preload.GPUS: "4", preload.STORE: "file:///other", "PATH": "/bin"}
    assert environment_of(settings, inherited) == {
        "DASK_LOGGING__DISTRIBUTED": "critical",
        "PATH": "/bin",
        preload.STORE: "s3://b",
        preload.ENGINE: "auto",
        preload.MEMORY_MB: "5",
        preload.GPUS: "",
        preload.TOOLCHAINS: "litert tf1.15",
        preload.RESOURCES: "a=1",
    }


def test_any_dask_worker_will_do(client: Client, head: Scheduler, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "distributed.cli.dask_worker", head.address, "--nthreads", "1", "--no-nanny"]
    words = ["--name", "plain", "--no-dashboard", "--resources", "rack=3", "--preload", "builder.cluster.preload"]
    variables = {preload.STORE: f"file://{tmp_path / 'store'}", preload.ENGINE: "local", preload.MEMORY_MB: "900"}
    with (tmp_path / "plain.log").open("wb") as log:
        environ = environment(TINSMITH_CACHE=str(tmp_path / "cache"), **variables)
        process = subprocess.Popen([*command, *words], env=environ, stdout=log, stderr=log)
    try:
        found = until(lambda: offers(client), "the worker")["plain"]
        assert (found["slots"], found["memory"], found["rack"]) == (1, 900, 3)
        told = client.submit(introduce, resources={"slots": 1}, pure=False).result(timeout=20)
        assert told["name"] == "plain"
    finally:
        process.kill()
        process.wait()
