"""What is kept between runs: never wrong, whatever becomes of the file."""

from __future__ import annotations

import hashlib
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from builder.plan import kept
from builder.plan.kept import Kept


def key(word: object) -> bytes:
    return hashlib.sha256(str(word).encode()).digest()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "kept.sqlite3"


def test_what_is_written_is_read_by_others(path: Path) -> None:
    Kept(path).write({key(number): b"%d" % number for number in range(1200)})
    found = Kept(path).read([key(number) for number in range(-3, 1300)])
    assert found == {key(number): b"%d" % number for number in range(1200)}


def test_reading_makes_no_file(path: Path) -> None:
    assert Kept(path).read([key(1)]) == {}
    assert not path.parent.exists()


def _garbage(path: Path) -> None:
    path.write_bytes(b"no database at all" * 1000)


def _truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:5000])


def _holed(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[4096:] = b"\xa5" * (len(data) - 4096)
    path.write_bytes(data)


def _of_another_kind(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE kept (name TEXT)")
        connection.commit()


@pytest.mark.parametrize("breaks", [_garbage, _truncated, _holed, _of_another_kind])
def test_a_broken_file_is_ignored_and_replaced(path: Path, breaks: Callable[[Path], None]) -> None:
    entries = {key(number): b"data %d" % number * 20 for number in range(300)}
    Kept(path).write(entries)
    breaks(path)
    found = Kept(path).read(entries)
    assert found.items() < entries.items()
    Kept(path).write(entries)
    assert Kept(path).read(entries) == entries


@pytest.mark.parametrize(
    "change", ["data = zeroblob(length(data))", "data = substr(data, 1, length(data) - 1)", "data = 'text'"]
)
def test_a_damaged_entry_is_not_believed(path: Path, change: str) -> None:
    Kept(path).write({key(1): b"one", key(2): b"two"})
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"UPDATE kept SET {change} WHERE key = ?", [key(1)])
        connection.commit()
    assert Kept(path).read([key(1), key(2)]) == {key(2): b"two"}


def test_an_entry_counts_for_its_own_key_only(path: Path) -> None:
    Kept(path).write({key(1): b"one"})
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE kept SET key = ?", [key(2)])
        connection.commit()
    assert Kept(path).read([key(1), key(2)]) == {}


def test_several_processes_write_at_once(path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from tests.unit.test_kept import Kept, key\n"
        "for part in range(20):\n"
        "    Kept(Path(sys.argv[1])).write({key((sys.argv[2], part, n)): b'x' * 50 for n in range(50)})"
    )
    running = [
        subprocess.Popen([sys.executable, "-c", script, str(path), str(number)], cwd=Path(__file__).parents[2])
        for number in range(4)
    ]
    assert [process.wait() for process in running] == [0] * 4
    wanted = [key((str(number), part, n)) for number in range(4) for part in range(20) for n in range(50)]
    assert len(Kept(path).read(wanted)) == len(wanted)


def test_what_was_not_used_for_longest_goes_first(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = Kept(path, most_bytes=400_000)
    day = 1_800_000_000.0
    for number in range(40):
        monkeypatch.setattr(kept.time, "time", lambda number=number: day + 86_400 * number)
        small.write({key((number, part)): bytes(2000) for part in range(10)})
        assert small.read([key((0, 0))]), "used every day"
    assert not small.read([key((1, 1))])
    assert small.read([key((39, part)) for part in range(10)]).keys() == {key((39, part)) for part in range(10)}
    assert path.stat().st_size < 800_000


def test_a_file_that_another_holds_is_done_without(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "_WAIT", 0.05)
    Kept(path).write({key(1): b"one"})
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert Kept(path).read([key(1)]) == {}
        Kept(path).write({key(2): b"two"})
        other.execute("ROLLBACK")
    assert Kept(path).read([key(1), key(2)]) == {key(1): b"one"}


def test_no_folder_no_home_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    nowhere = Kept(tmp_path / "file" / "kept.sqlite3")
    nowhere.write({key(1): b"one"})
    assert nowhere.read([key(1)]) == {}

    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(kept, "cache_folder", homeless)
    kept.user_kept().write({key(1): b"one"})
    assert kept.user_kept().read([key(1)]) == {}
