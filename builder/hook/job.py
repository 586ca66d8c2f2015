"""One job: what a push changed, built and pushed to the registry."""

from __future__ import annotations

import json
import posixpath
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builder.changes import git
from builder.changes.compare import Change
from builder.changes.gather import Comparison, compared
from builder.errors import TinsmithError, UsageError
from builder.hook import programs
from builder.hook.files import check_out
from builder.hook.place import Place
from builder.hook.queue import Job, now
from builder.hook.settings import Settings, target
from builder.manifest.load import loads
from builder.manifest.render import render
from builder.manifest.source import read_text

Run = Callable[[list[str], dict[str, str], Path, Path, Path], int]
"""As ``programs.run``; tests put another in its place."""


@dataclass(frozen=True)
class Outcome:
    """``said``: a line a thing that came of it."""

    failed: bool
    said: tuple[str, ...]


def changes(place: Place, settings: Settings, old: str | None, new: str) -> Comparison:
    """What is to be built. An ``old`` commit that is no longer there (after a force push) counts as none.

    UsageError if ``new`` is not there either.
    """
    repository = git.at(place.git_dir)
    git.commit(repository, new)
    since = old if old is not None and _is_there(repository, old) else None
    return compared(repository, settings.paths, since, new, own_code=False, absent=True)


def perform(place: Place, settings: Settings, job: Job, run: Run = programs.run) -> Outcome:
    """Builds ``job`` with all that it says in its log. Nothing but a stop of the worker is raised."""
    log = place.log(job.number)
    folder = place.work / str(job.number)
    try:
        _tell(log, f"job {job.number}, attempt {job.attempts}: {job.ref} {job.old or 'nothing'} -> {job.new}")
        found = changes(place, settings, job.old, job.new)
        said, failed = [], bool(found.invalid)
        for change in found.changes:
            if change.problems is not None:
                said.append(f"{change.path}: invalid")
                _tell(log, render(change.problems.diagnostics, change.problems.source))
        building = [change for change in found.changes if change.builds]
        if building:
            tree = folder / "tree"
            shutil.rmtree(folder, ignore_errors=True)
            left_out = check_out(git.at(place.git_dir), job.new, tree)
            if left_out:
                _tell(log, f"left out: {len(left_out)} links and submodules, {left_out[0]!a} first")
        for change in building:
            if outside := reads_outside(folder / "tree", change.path):
                line, ended_well = f"{change.path}: reads {outside}, which is not in the repository", False
            else:
                line, ended_well = _build(place, settings, change, folder, log, run)
            said.append(line)
            failed = failed or not ended_well
        outcome = Outcome(failed, tuple(said) or ("nothing to build: no plan changed",))
    except (TinsmithError, OSError) as error:
        help = getattr(error, "help", None)
        outcome = Outcome(True, (f"{error}" + (f" ({help})" if help else ""),))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    for line in outcome.said:
        _tell(log, line)
    return outcome


def reads_outside(tree: Path, manifest: str) -> str | None:
    """A folder that the manifest at this path takes data from and that does not lie in ``tree``, if there is one.

    The content that a lock names is no proof that its pusher has it: locks of private data are in every recipe, and a
    release shows pictures of what it was made of. There are no links in ``tree``, so paths mean what they say.
    """
    family = loads(read_text(tree / manifest), manifest)
    folder = posixpath.dirname(manifest)
    for source in (source for one in family.manifests for source in one.sources):
        if source.path is not None and posixpath.normpath(posixpath.join(folder, source.path)).split("/")[0] == "..":
            return source.path
    return None


def _build(place: Place, settings: Settings, change: Change, folder: Path, log: Path, run: Run) -> tuple[str, bool]:
    """Builds one manifest and pushes its releases: what came of it in a line, and whether that is all well."""
    environ = programs.environment(settings.toml)
    common = ["--progress", "plain", *(["--key", str(settings.key)] if settings.key else [])]
    _tell(log, f"building {change.path!a}")
    status = run(
        programs.tinsmith(
            "build", f"tree/{change.path}", "--json", "--store", str(settings.store),
            "--releases", str(settings.releases), "--out", str(folder / "out"), "--engine", settings.engine, *common,
        ),
        environ, folder, folder / "built.json", log,
    )  # fmt: skip
    if status != 0:
        return f"{change.path}: tinsmith build ended with status {status}", False
    releases = _released(folder / "built.json")
    if settings.push is None or not releases:
        return f"{change.path}: {', '.join(releases) or 'nothing'} released", True
    for release in releases:
        place_of_it = target(settings.push, release.partition("@")[0])
        words = ["push", release, place_of_it, "--releases", str(settings.releases), *common]
        status = run(programs.tinsmith(*words), environ, folder, folder / "pushed.txt", log)
        if status != 0:
            return f"{change.path}: {release} was released, tinsmith push ended with status {status}", False
    return f"{change.path}: {', '.join(releases)} pushed to {settings.push}", True


def _released(path: Path) -> list[str]:
    """``name@version`` of what ``tinsmith build --json`` released."""
    try:
        items: list[dict[str, Any]] = json.loads(path.read_bytes())
        return [str(item["release"]) for item in items if item["released"]]
    except (ValueError, TypeError, KeyError) as error:
        raise UsageError(f"tinsmith build printed something else than its releases: {error}") from error


def _is_there(repository: git.Repository, commit: str) -> bool:
    try:
        return git.commit(repository, commit) is not None
    except UsageError:
        return False


def _tell(log: Path, text: str) -> None:
    fit = "".join(sign if sign.isprintable() or sign == "\n" else "?" for sign in text)
    with log.open("a", encoding="utf-8") as stream:
        stream.write(f"{now()} {fit}\n")
