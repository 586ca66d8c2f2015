"""Walks a plan: look each step up, run what is missing, take its outputs into the store."""

from __future__ import annotations

import secrets
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from builder import checkpoints
from builder.cost.work import work
from builder.engine.base import Emit, Engine, Workspace
from builder.errors import IntegrityError, StepFailed, TinsmithError
from builder.plan.code import StepCode
from builder.plan.step import Plan, Step
from builder.result import believed
from builder.store.base import Artifact, BuildStore, StepResult, Store
from builder.store.workspaces import CHECKPOINTS

T = TypeVar("T")
U = TypeVar("U")

_TRANSFERS = 8
_FEW = 2
"""Files that are no reason to start threads."""
_MEASURES = "measure"
"""The step that gives other figures each time it runs."""


def build(
    plan: Plan,
    *,
    code: StepCode,
    sources: Callable[[str], Path],
    store: BuildStore,
    engine: Callable[[], Engine],
    emit: Emit,
) -> dict[str, StepResult]:
    """The result of every step of ``plan``, by step name.

    ``sources`` gives the folder of locked files by their content's digest, checked; it and ``engine`` are called only
    when a step has to run. What ran stays in the store whatever happens later; a stopped training goes on from its last
    checkpoint in the next build.
    """
    results: dict[str, StepResult] = {}
    if count := store.sweep({step.key for step in plan.steps}):
        emit("message", {"text": f"removed the checkpoints of {count} training(s) stopped long ago"})
    for step in plan.steps:
        found = store.lookup(step.key)
        if found is None:
            with store.claimed(step.key) as folder:
                # Another build may have finished it while this one waited for the claim.
                found = store.lookup(step.key)
                if found is None:
                    if step.resumable:
                        place = folder / "out" / CHECKPOINTS
                        text = f"curves while it runs: tensorboard --logdir {place}"
                        emit("message", {"step": step.name, "key": step.key, "text": text})
                    with failing(step, emit), checkpoints.kept(step, folder, store, emit):
                        found = run_step(step, folder, code, sources, results, store, engine(), emit)
                    found = record(found, store)
                    checkpoints.drop(step, store)
                    shutil.rmtree(folder)
                    emit("finished", {"step": step.name, "key": step.key, "seconds": found.run["seconds"]})
        else:
            emit("cached", {"step": step.name, "key": step.key})
        results[step.name] = found
    return results


def record(result: StepResult, store: Store) -> StepResult:
    """The result that ``store`` has from now on: ``result``, or one that was faster, on another machine.

    IntegrityError if that has other bytes, but for figures of a machine: then the first ones stay.
    """
    try:
        store.record(result)
    except IntegrityError:
        first = store.lookup(result.key) if result.step == _MEASURES else None
        if first is None:
            raise
        return first
    return result


@contextmanager
def failing(step: Step, emit: Emit) -> Iterator[None]:
    """Says so if ``step`` is stopped, or ends in an error; that is passed on."""
    try:
        yield
    except BaseException as error:
        stopped = isinstance(error, KeyboardInterrupt)
        code = "interrupted" if stopped else error.code if isinstance(error, TinsmithError) else "error"
        emit("failed", {"step": step.name, "key": step.key, "code": code})
        raise


def run_step(
    step: Step,
    folder: Path,
    code: StepCode,
    sources: Callable[[str], Path],
    results: Mapping[str, StepResult],
    store: BuildStore,
    engine: Engine,
    emit: Emit,
) -> StepResult:
    """Runs ``step`` in the scratch folder ``folder`` and takes its outputs into ``store``, without recording them.

    ``results`` are those of the steps that it needs, by name.
    """
    emit("preparing", {"step": step.name, "key": step.key, "toolchain": step.toolchain.name})
    engine.prepare(step.toolchain, emit)
    output = _fresh_output(folder, step)
    resumed = any((output / CHECKPOINTS).glob("*.checkpoint"))
    begun = time.monotonic()
    inputs = _inputs(step, folder, sources, results, store)
    steps = _step_code(step, folder, code)
    nonce = secrets.token_hex(16)
    emit("started", {"step": step.name, "key": step.key, "engine": engine.name})
    started = time.monotonic()
    facts = engine.run(step, Workspace(inputs=inputs, output=output, steps=steps, nonce=nonce), emit)
    ended = time.monotonic()
    artifacts = _take(step, output, nonce, store)
    run = {
        "engine": engine.name,
        "isolation": engine.isolation,
        "seconds": round(ended - started, 3),
        # In which inputs came out of the store and outputs went into it.
        "moving_seconds": round(time.monotonic() - ended + started - begun, 3),
        "work": work(step),
        **facts,
    }
    if resumed:
        run["resumed"] = True  # ``seconds`` are those of the rest alone
    return StepResult(step.key, step.name, artifacts, run)


def _fresh_output(folder: Path, step: Step) -> Path:
    """The output folder, empty but for the checkpoints that a stopped resumable step left."""
    output = folder / "out"
    output.mkdir(exist_ok=True)
    for item in output.iterdir():
        real = item.is_dir() and not item.is_symlink()
        if item.name == CHECKPOINTS and step.resumable and real:
            continue
        shutil.rmtree(item) if real else item.unlink()
    return output


def _inputs(
    step: Step,
    folder: Path,
    sources: Callable[[str], Path],
    results: Mapping[str, StepResult],
    store: BuildStore,
) -> dict[str, Path]:
    """Input folders by name. Outputs of earlier steps are copied, and so verified, out of the store."""
    root = folder / "in"
    if root.exists():
        shutil.rmtree(root)
    folders: dict[str, Path] = {}
    for item in step.inputs:
        if item.step is None:
            assert item.source is not None, "an input is of a step or of a source"
            folders[item.name] = sources(item.source)
            continue
        folders[item.name] = root / item.name
        folders[item.name].mkdir(parents=True)

        def fetch(artifact: Artifact, into: Path = folders[item.name]) -> None:
            store.copy_to(artifact.digest, into / artifact.path)

        _at_once(fetch, results[item.step].artifacts)
    return folders


def _at_once(transfer: Callable[[T], U], files: Sequence[T]) -> list[U]:
    """``transfer`` of each of ``files``, some at a time: for a shared store most of it is waiting."""
    if len(files) <= _FEW:
        return list(map(transfer, files))
    with ThreadPoolExecutor(_TRANSFERS) as pool:
        return list(pool.map(transfer, files))


def _step_code(step: Step, folder: Path, code: StepCode) -> Path:
    """A folder with only the modules that the step's key covers, so that it cannot use any other."""
    steps = folder / "steps"
    if steps.exists():
        shutil.rmtree(steps)
    steps.mkdir()
    for name in step.code:
        (steps / name).write_bytes(code[name])
    return steps


def _take(step: Step, output: Path, nonce: str, store: BuildStore) -> tuple[Artifact, ...]:
    """The step's outputs, moved into the store after its result file has been believed.

    StepFailed if there is no result of this very run, or a file is not as the result says.
    """

    def take(file: tuple[str, str]) -> Artifact:
        name, sha256 = file
        path = output / name
        digest = store.write(path)
        if digest != f"sha256:{sha256}":
            raise StepFailed(f"step {step.name}: {name} changed after it was written")
        return Artifact(name, digest, path.stat().st_size)

    return tuple(_at_once(take, believed(step.name, output, nonce)))
