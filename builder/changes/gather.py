"""Both sides of the repository read, and as much of them planned as could have changed."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from builder.changes import git
from builder.changes import side as sides
from builder.changes.compare import Change, compare
from builder.changes.manifests import chosen, is_manifest, shown
from builder.errors import InvalidManifest, UsageError
from builder.kernels import KERNELS
from builder.lock.toolchains import FILES
from builder.plan.code import StepCode, read_step_code
from builder.plan.summaries import summaries
from builder.plan.summary import Summary, Texts
from builder.resources import docker_folder, steps_folder

_LOCK = ".lock"


@dataclass(frozen=True)
class Comparison:
    """``since`` and ``to`` are commits, None for "before the first" and for the working tree. ``unchanged`` manifests
    are only counted."""

    since: str | None
    to: str | None
    changes: tuple[Change, ...]
    unchanged: int

    @property
    def invalid(self) -> list[InvalidManifest]:
        return [change.problems for change in self.changes if change.problems is not None]


@dataclass(frozen=True)
class _Code:
    """The step code of both sides. ``same``: it, and the toolchains, did not change between them."""

    old: StepCode
    new: StepCode
    same: bool
    current: bool


def compared(
    repository: git.Repository,
    asked: Sequence[str],
    since: str | None,
    to: str | None = None,
    *,
    own_code: bool = True,
    absent: bool = False,
) -> Comparison:
    """What changed of the manifests at or below ``asked`` (paths from the root) between two commits.

    ``since`` None: there was nothing before; ``to`` None: the working tree. Where tinsmith itself lies in the
    repository, its step code is that of each side; not so if ``own_code`` is False, as for builds that run this
    tinsmith whatever the commit is. UsageError if a path has no file on either side, unless it may be ``absent``.
    """
    docker = _docker_in(repository) if own_code else None
    locks = [_lock(path) for path in asked if path != "."]  # of what is named itself
    paths = [*asked, *locks, *([docker] if docker else [])]
    old = sides.of_commit(repository, since, paths)
    new: sides.Side
    if to is None:
        new = sides.of_working_tree(repository, paths, (".yaml", _LOCK, ".py", *FILES, ".cc", ".h"))
    else:
        new = sides.of_commit(repository, to, paths)
    candidates, missing = chosen({**old.ids, **new.ids}, asked)
    if missing and not absent:
        raise UsageError(f"no manifest is at {min(missing)!a}, then or now", help="name manifests, or folders of them")
    code = _code(docker, since, old, to, new)
    differ = [path for path in candidates if not (code.same and _equal(path, old.ids, new.ids))]
    alike = [path for path in candidates if code.same and _equal(path, old.ids, new.ids)]
    before, after = (_texts(side, differ, repository.prefix) for side in (old, new))
    wanted = _manifests(asked, before, after)
    before = {path: item for path, item in before.items() if path in wanted}
    after = {path: item for path, item in after.items() if path in wanted}
    changes = compare(_planned_then(before, code), _planned(after, code.new, code.current))
    changes = [_with_selection(change) for change in changes]
    kept = tuple(change for change in changes if change.status != "unchanged")
    # What did not change at all was not looked into: it is a manifest if it is locked.
    unchanged = len(changes) - len(kept) + sum(_lock(path) in new.ids for path in alike)
    return Comparison(since, to, kept, unchanged)


def _docker_in(repository: git.Repository) -> str | None:
    """Where tinsmith's toolchains and step code lie in the repository, if they do."""
    if repository.top is None:
        return None
    folder = docker_folder().resolve()
    return folder.relative_to(repository.top).as_posix() if folder.is_relative_to(repository.top) else None


def _code(docker: str | None, since: str | None, old: sides.Side, to: str | None, new: sides.Side) -> _Code:
    if docker is None:
        shipped = read_step_code(steps_folder())
        return _Code(shipped, shipped, True, True)
    then, now = _decisive(docker, old.ids), _decisive(docker, new.ids)
    code = read_step_code(steps_folder()) if to is None else _steps(docker, new)
    before = code if since is None else _steps(docker, old)
    # The toolchains of another commit are not those that lie here.
    return _Code(before, code, since is None or then == now, to is None)


def _decisive(docker: str, ids: Mapping[str, str]) -> dict[str, str]:
    """Of the files below ``docker``, those that decide what a step does and what it runs in."""
    found = {}
    for path, id in ids.items():
        if path.startswith(f"{docker}/"):
            _, *below, name = PurePosixPath(path.removeprefix(docker)).parts
            toolchain = len(below) == 1 and name in FILES
            kernel = len(below) == 2 and below[1] == KERNELS
            if toolchain or kernel or (below == ["steps"] and name.endswith(".py")):
                found[path] = id
    return found


def _steps(docker: str, side: sides.Side) -> dict[str, bytes]:
    paths = [path for path in _decisive(docker, side.ids) if path.startswith(f"{docker}/steps/")]
    return {PurePosixPath(path).name: data for path, data in sorted(side.read(paths).items())}


def _lock(path: str) -> str:
    """As ``lock_path``, many thousand times."""
    return os.path.splitext(path)[0] + _LOCK  # noqa: PTH122


def _equal(path: str, old: Mapping[str, str], new: Mapping[str, str]) -> bool:
    lock = _lock(path)
    return old.get(path) == new.get(path) and old.get(lock) == new.get(lock)


def _texts(side: sides.Side, paths: Iterable[str], prefix: str) -> dict[str, Texts]:
    there = [path for path in paths if path in side.ids]
    data = side.read([*there, *(lock for path in there if (lock := _lock(path)) in side.ids)])
    return {path: Texts(shown(path, prefix), data[path], data.get(_lock(path))) for path in there}


def _manifests(asked: Sequence[str], *texts: Mapping[str, Texts]) -> set[str]:
    """Paths of what is a manifest on either side, so that breaking one is no way out; what is named counts as one."""
    named = set(asked)
    return {path for one in texts for path, item in one.items() if path in named or is_manifest(item.manifest)}


def _planned(texts: Mapping[str, Texts], code: StepCode, current: bool) -> dict[str, Summary | InvalidManifest]:
    return dict(zip(texts, summaries(list(texts.values()), code, current=current), strict=True))


def _planned_then(texts: Mapping[str, Texts], code: _Code) -> dict[str, Summary | InvalidManifest]:
    try:
        return _planned(texts, code.old, False)
    except (KeyError, SyntaxError):
        # Step code from before a step was there: whatever was planned then, it was something else.
        return {path: InvalidManifest([]) for path in texts}


def _with_selection(change: Change) -> Change:
    """``select`` decides which variants are released, and no plan has it."""
    then, now = change.before, change.after
    if change.status not in ("unchanged", "renamed") or then is None or now is None or then.select == now.select:
        return change
    return replace(change, status="changed", selection=True)
