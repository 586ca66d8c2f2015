"""git repositories for tests, with manifests in them that are locked and never built."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from builder.lock.file import load_lock, lock_text
from builder.manifest.load import loads

ROOT = Path(__file__).resolve().parents[1]
SHAPES = (ROOT / "manifests" / "shapes.yaml").read_text(encoding="utf-8")

ZERO = "0" * 40


def environment(**more: str) -> dict[str, str]:
    """For git, and for tinsmith called by its hooks: nobody's own settings, this checkout's code."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    return {
        **kept,
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        **{f"GIT_{who}_NAME": "A" for who in ("AUTHOR", "COMMITTER")},
        **{f"GIT_{who}_EMAIL": "a@example.org" for who in ("AUTHOR", "COMMITTER")},
        "PYTHONPATH": str(ROOT),
        **more,
    }


class Repository:
    """A working tree, or a bare repository, in ``folder``."""

    def __init__(self, folder: Path, *, bare: bool = False) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.git("init", "--quiet", "--initial-branch=main", *(["--bare"] if bare else []))

    def git(self, *words: str, status: int = 0, data: bytes | None = None, **more: str) -> str:
        done = subprocess.run(
            ["git", *words], cwd=self.folder, env=environment(**more), input=data, capture_output=True, check=False
        )
        assert done.returncode == status, done.stderr.decode()
        return os.fsdecode(done.stdout).strip() + os.fsdecode(done.stderr if words[0] == "push" else b"")

    def write(self, path: str, text: str | bytes) -> Path:
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(text.encode() if isinstance(text, str) else text)
        return target

    def manifest(self, name: str, *changes: tuple[str, str], path: str | None = None, lock: bool = True) -> Path:
        """A manifest called ``name`` with ``changes`` made to its text, and its lock."""
        text = manifest(name, changes)
        target = self.write(path or f"manifests/{name}.yaml", text)
        if lock:
            target.with_suffix(".lock").write_text(lock_of(text), encoding="utf-8")
        return target

    def commit(self, message: str = "a change") -> str:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", message)
        return self.git("rev-parse", "HEAD")


@cache
def manifest(name: str, changes: Sequence[tuple[str, str]] = ()) -> str:
    text = SHAPES.replace("name: shapes", f"name: {name}")
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    return text


@cache
def lock_of(text: str) -> str:
    lock = load_lock(ROOT / "manifests" / "shapes.lock")
    return lock_text(lock.model_copy(update={"manifest_digest": loads(text, "it").digest}))
