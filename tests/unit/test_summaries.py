"""Summaries of many manifests are those of each, however they come about."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from builder import resources
from builder.errors import InvalidManifest
from builder.plan import outcomes as pool
from builder.plan import summaries as front
from builder.plan.code import StepCode, read_step_code
from builder.plan.kept import Kept, user_kept
from builder.plan.outcomes import outcomes
from builder.plan.parsed import with_imports
from builder.plan.summaries import PLANNER, summaries
from builder.plan.summarize import summarize
from builder.plan.summary import Summary, Texts
from builder.plan.written import read, write
from builder.resources import docker_folder, steps_folder

ROOT = Path(__file__).resolve().parents[2]
MANIFESTS = sorted((ROOT / "manifests").glob("*.yaml"))
CODE = read_step_code(steps_folder())


def texts(path: Path) -> Texts:
    return Texts(str(path.relative_to(ROOT)), path.read_bytes(), path.with_suffix(".lock").read_bytes())


def wrong() -> list[Texts]:
    """Invalid in all ways that differ in where they are found."""
    shapes = texts(ROOT / "manifests" / "shapes.yaml")
    return [
        Texts("syntax.yaml", b"a: [", shapes.lock),
        Texts("bytes.yaml", b"\xff", shapes.lock),
        Texts("empty.yaml", b"", shapes.lock),
        Texts("value.yaml", shapes.manifest.replace(b"steps: 800", b"steps: none"), shapes.lock),
        Texts("unlocked.yaml", shapes.manifest, None),
        Texts("stale.yaml", shapes.manifest.replace(b"seed: 1\n", b"seed: 2\n"), shapes.lock),
        Texts("lock.yaml", shapes.manifest, b"schema: 1\n"),
        Texts("edited.yaml", shapes.manifest, (shapes.lock or b"").replace(b"sha256:b3da", b"sha256:b3db")),
    ]


def apart(item: Texts, code: StepCode = CODE, current: bool = True) -> Summary | tuple[object, ...]:
    """What becomes of ``item`` by itself."""
    try:
        return summarize(item, code, current=current)
    except InvalidManifest as error:
        return error.diagnostics, error.source


def plain(found: Summary | InvalidManifest) -> Summary | tuple[object, ...]:
    return (found.diagnostics, found.source) if isinstance(found, InvalidManifest) else found


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TINSMITH_CACHE", str(tmp_path / "cache"))


def mixed() -> list[Texts]:
    sound = [texts(path) for path in MANIFESTS]
    return [item for pair in zip(wrong(), sound * 2, strict=True) for item in pair]


def test_they_are_those_of_each_in_order_and_again_from_the_cache() -> None:
    asked = mixed()
    expected = [apart(item) for item in asked]
    for _ in range(2):
        assert [plain(item) for item in summaries(asked, CODE)] == expected


def test_what_was_made_once_is_not_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = [texts(path) for path in MANIFESTS]
    made = summaries(asked, CODE)
    monkeypatch.setattr(pool, "outcomes", lambda *_: pytest.fail("made again"))
    elsewhere = [Texts("elsewhere.yaml", item.manifest, item.lock) for item in asked]
    assert summaries(elsewhere, CODE) == made
    with pytest.raises(pytest.fail.Exception):
        summaries(asked, {**CODE, "train.py": CODE["train.py"] + b"\n"})


def keys(item: Texts, code: StepCode = CODE, current: bool = True) -> bytes:
    (key,) = front._keys([item], code, current)
    return key


def test_the_key_has_all_that_decides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    item = texts(MANIFESTS[0])
    assert item.lock is not None
    found = [
        keys(item),
        keys(Texts(item.path, item.manifest + b"\n", item.lock)),
        keys(Texts(item.path, item.manifest, item.lock + b"\n")),
        keys(Texts(item.path, item.manifest, None)),
        keys(Texts(item.path, item.manifest + item.lock, b"")),
        keys(item, {**CODE, "train.py": CODE["train.py"] + b"\n"}),
        keys(item, {**CODE, "other.py": b""}),
        keys(item, current=False),
    ]
    for name, change in (("Dockerfile", "# changed\n"), ("kernels/new.cc", "int main;")):
        docker = tmp_path / name.replace("/", "-")
        for file in (path for path in docker_folder().rglob("*") if path.is_file()):
            copy = docker / file.relative_to(docker_folder())
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(file.read_bytes())
        with (docker / "tf1.15" / name).open("a") as stream:
            stream.write(change)
        monkeypatch.setattr(front, "docker_folder", lambda docker=docker: docker)
        found.append(keys(item))
        assert keys(item, current=False) == found[7], "of another commit the lock says all"
    planner = list(front._planner())
    for at in (0, len(planner) - 1):
        edited = [(name, data + b"#" * (place == at)) for place, (name, data) in enumerate(planner)]
        monkeypatch.setattr(front, "_planner", lambda edited=edited: iter(edited))
        found.append(keys(item))
    assert len(set(found)) == len(found)
    assert keys(Texts("other.yaml", item.manifest, item.lock), current=True) == found[-1]


def test_the_planner_is_all_code_that_a_summary_runs_through() -> None:
    script = (
        "import json, sys; from tests.unit.test_summaries import *\n"
        "[summarize(texts(path), CODE) for path in MANIFESTS]; print(json.dumps(sorted(\n"
        "[module.__file__ for name, module in sys.modules.items() if name.split('.')[0] == 'builder'])))"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = [Path(name).relative_to(ROOT / "builder") for name in json.loads(done.stdout)]
    assert len(loaded) > 40
    # Where the cache lies and how many processors there are does not decide what a summary says.
    known = {*PLANNER, "__init__.py", "settings.py"}
    assert [str(path) for path in loaded if path.parts[0] not in known] == []
    assert {name for name, _ in front._planner()} >= {"pydantic/version.py", "ruamel/yaml/__init__.py"}


def test_what_is_kept_damaged_is_made_again() -> None:
    asked = [texts(path) for path in MANIFESTS]
    made = summaries(asked, CODE)
    for data in (b"", b"[]", b'["a", "1.0.0", [["a", "", "x", "", {}]]]', b"\xff", b'["a", 1, 2]'):
        user_kept().write(dict.fromkeys(front._keys(asked, CODE, True), data))
        assert summaries(asked, CODE) == made


def test_a_toolchain_that_changed_is_told_although_the_summary_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = [texts(MANIFESTS[0])]
    (made,) = summaries(asked, CODE)
    docker = tmp_path / "docker"
    for file in (path for path in docker_folder().rglob("*") if path.is_file()):
        copy = docker / file.relative_to(docker_folder())
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(file.read_bytes() + (b"# changed\n" if file.name == "Dockerfile" else b""))
    monkeypatch.setattr(front, "docker_folder", lambda: docker)
    monkeypatch.setattr(resources, "docker_folder", lambda: docker)
    (found,) = summaries(asked, CODE)
    assert isinstance(found, InvalidManifest) and {item.code for item in found.diagnostics} == {"stale-lock"}
    assert summaries(asked, CODE, current=False) == [made]


def test_written_is_read_back() -> None:
    for path in MANIFESTS:
        made = summarize(texts(path), CODE)
        assert read(write(made)) == made


def sent(asked: list[Texts]) -> list[Summary | tuple[object, ...]]:
    code = with_imports(CODE, Kept(None))
    return [read(item) if isinstance(item, bytes) else plain(item) for item in outcomes(asked, code, True)]


_ENDS_AFTER_ONE = """
import json, sys
sys.path[:] = json.loads(sys.argv[1])
from builder.plan import outcomes
with outcomes.Connection(int(sys.argv[2])) as connection:
    run = outcomes._here(*connection.recv())
    connection.send(run(connection.recv()))
    connection.recv()
"""


@pytest.mark.parametrize("program", [None, "raise SystemExit", "import no_such_module", _ENDS_AFTER_ONE])
def test_other_processes_help_and_may_die(monkeypatch: pytest.MonkeyPatch, program: str | None) -> None:
    monkeypatch.setattr(pool, "WORTH", 1)
    monkeypatch.setattr(pool, "_CHUNK", 3)
    monkeypatch.setenv("TINSMITH_THREADS", "3")
    if program is not None:
        monkeypatch.setattr(pool, "_PROGRAM", program)
    threads = threading.active_count()
    asked = mixed() * 8
    assert sent(asked) == [apart(item) for item in mixed()] * 8
    assert threading.active_count() == threads


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[subprocess.Popen[bytes]]:
    """The other process, which is waited for before this one does anything; it is asked for one manifest at a time."""
    monkeypatch.setattr(pool, "WORTH", 1)
    monkeypatch.setattr(pool, "_CHUNK", 1)
    monkeypatch.setenv("TINSMITH_THREADS", "2")
    found, begun, popen, ask = [], threading.Event(), subprocess.Popen, pool._ask

    def start(*words: Any, **options: Any) -> subprocess.Popen[bytes]:
        found.append(popen(*words, **options))
        return found[-1]

    def asking(connection: Any, work: Any, code: StepCode, current: bool) -> None:
        def tell(run: pool._Run) -> pool._Run:
            return lambda some: (run(some), begun.set())[0]

        ask(connection, lambda run: work(tell(run)), code, current)

    here = pool._here
    monkeypatch.setattr(pool.subprocess, "Popen", start)
    monkeypatch.setattr(pool, "_ask", asking)
    monkeypatch.setattr(pool, "_here", lambda *words: lambda some: (begun.wait(60), here(*words)(some))[1])
    return found


def test_other_processes_import_nothing_from_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, started: list[subprocess.Popen[bytes]]
) -> None:
    """Which may be a clone of somebody else's repository."""
    (tmp_path / "json.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w').close()")
    monkeypatch.delenv("PYTHONPATH", raising=False)
    monkeypatch.chdir(tmp_path)
    assert sent(mixed()) == [apart(item) for item in mixed()]
    assert len(started) == 1
    assert not (tmp_path / "ran").exists()


def test_other_processes_do_their_share(started: list[subprocess.Popen[bytes]]) -> None:
    asked = [texts(path) for path in MANIFESTS] * 10
    assert sent(asked) == [apart(texts(path)) for path in MANIFESTS] * 10
    assert [process.poll() is not None for process in started] == [True]


def test_an_interrupt_leaves_no_process(
    started: list[subprocess.Popen[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    wait = pool._here

    def interrupted(*words: Any) -> pool._Run:
        def run(some: Any) -> Any:
            wait(*words)(some)
            raise KeyboardInterrupt

        return run

    monkeypatch.setattr(pool, "_here", interrupted)
    threads = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        sent([texts(path) for path in MANIFESTS] * 200)
    assert [process.poll() is not None for process in started] == [True]
    assert threading.active_count() == threads


def test_a_script_without_a_file_can_ask() -> None:
    script = (
        "from tests.unit.test_summaries import *\n"
        "pool.WORTH, pool._CHUNK = 1, 1\n"
        "print(sum(isinstance(item, Summary) for item in summaries([texts(path) for path in MANIFESTS] * 20, CODE)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-"], input=script, cwd=ROOT, capture_output=True, text=True, check=False,
        env={**os.environ, "TINSMITH_THREADS": "2"},
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{20 * len(MANIFESTS)}\n", "")
