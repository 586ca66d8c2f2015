"""A server with the hook, and a clone to push from; real git, and a function in place of builds and pushes, which notes
what it was called with."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from builder.cli.app import app
from builder.hook import queue
from builder.hook.install import hook_path
from builder.hook.job import perform
from builder.hook.place import Place
from builder.hook.worker import work
from tests.repositories import ROOT, Repository

LONGER = ("steps: 800", "steps: 900")


class Server:
    """A bare repository with the hook, and a clone to push from. The hook starts no worker: tests do the work."""

    def __init__(self, folder: Path, *words: str) -> None:
        self.bare = Repository(folder / "models.git", bare=True)
        self.clone = Repository(folder / "clone")
        self.clone.git("remote", "add", "origin", str(self.bare.folder))
        self.bare.git("config", "receive.denyDeleteCurrent", "ignore")
        self.place = Place(self.bare.folder)
        self.install(*words)
        self.calls: list[list[str]] = []
        self.trees: list[dict[str, str]] = []
        self.environ: dict[str, str] = {}
        self.status: dict[str, int] = {}

    def install(self, *words: str) -> None:
        app(["hook", "install", str(self.bare.folder), *words], standalone_mode=False)
        self.begin_with("import builder.hook.programs\nbuilder.hook.programs.start_worker = lambda *_: None\n")

    def begin_with(self, code: str) -> None:
        """The hook, and the worker that it starts, run ``code`` first."""
        folder = self.bare.folder.parent / "customized"
        folder.mkdir(exist_ok=True)
        (folder / "sitecustomize.py").write_text(code)
        lines = hook_path(self.place).read_text().splitlines()
        script = [*lines[:2], f"export PYTHONPATH={folder}:{ROOT}", lines[-1]]
        hook_path(self.place).write_text("\n".join(script) + "\n")

    def push(self, *words: str) -> str:
        return self.clone.git("push", *(words or ("origin", "main")))

    def run(self, command: list[str], environ: dict[str, str], folder: Path, out: Path, log: Path) -> int:
        """In place of ``programs.run``."""
        assert command[:4] == [sys.executable, "-P", "-c", "from builder.cli import main; main()"]
        verb, what, *_ = words = command[4:]
        self.calls.append(words)
        self.environ = environ
        if verb == "build":
            tree = folder / "tree"
            files = [path for path in tree.rglob("*") if path.is_file()]
            self.trees.append({str(path.relative_to(tree)): path.read_text("latin-1") for path in files})
            name = next(line[6:] for line in (folder / what).read_text().splitlines() if line.startswith("name: "))
            out.write_text(json.dumps([{"release": f"{name}@1.0.0", "released": True}]))
            what = name
        return self.status.get(f"{verb} {what}", 0)

    def work(self) -> list[queue.Job]:
        """The jobs, done."""
        assert work(self.place, lambda place, settings, job: perform(place, settings, job, self.run))
        assert list(self.place.work.iterdir()) == []
        return queue.jobs(self.place)

    def built(self) -> list[str]:
        """The manifests that were built since this was asked, and the releases that were pushed."""
        found = [f"{words[0]} {words[1].removeprefix('tree/manifests/')}" for words in self.calls]
        self.calls.clear()
        return found
