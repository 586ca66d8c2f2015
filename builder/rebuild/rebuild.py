"""Builds a release again as its recipe says, and holds it against what was released, digest by digest."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from builder.build import build
from builder.digest import Digest, digest_bytes
from builder.engine.base import Emit, Engine
from builder.errors import IntegrityError
from builder.lock.listing import FileChange, changes
from builder.plan.announced import announced
from builder.rebuild.compare import ComparedStep, compare_steps, outputs_of
from builder.rebuild.recipe import Recipe
from builder.rebuild.steps import Recorded
from builder.release.document import MANIFEST, release_document
from builder.release.make import files_of, said_of
from builder.release.release import Release
from builder.store.base import BuildStore, StepResult


@dataclass(frozen=True)
class Rebuilt:
    """What came of it: each step compared, the files of the release that differ, the digest that it has now.

    ``contents`` are the files as they were built, by title.
    """

    release: Release
    steps: tuple[ComparedStep, ...]
    files: tuple[FileChange, ...]
    digest: Digest
    contents: Mapping[str, bytes]

    @property
    def same(self) -> bool:
        return self.digest == self.release.digest and all(step.same for step in self.steps)


def rebuild(
    release: Release,
    recipe: Recipe,
    recorded: Mapping[str, Recorded],
    *,
    sources: Callable[[str], Path],
    store: BuildStore,
    engine: Callable[[], Engine],
    emit: Emit,
) -> Rebuilt:
    """Runs the steps that ``release`` depends on, in the order and with the parameters that ``recipe`` has.

    ``recorded`` is what its steps left: see ``steps_of``. IntegrityError if it is of other steps; otherwise as for
    ``build``, where ``sources`` and ``store`` are explained. All data is looked at before anything runs.
    """
    plan = recipe.plan
    needed = plan.needed()
    if {step.name: step.key for step in needed} != {name: item.key for name, item in recorded.items()}:
        raise IntegrityError(f"the steps.json of {release.ref} is of other steps than its plan", code="recipe")
    folders = {item.source: sources(item.source) for step in needed for item in step.inputs if item.source is not None}
    again = replace(plan, steps=needed)
    emit("plan", announced(
        plan.name, plan.version, [(recipe.manifest, again)], cached=lambda key: store.lookup(key) is not None
    ))  # fmt: skip
    results = build(
        again,
        code=recipe.code,
        sources=folders.__getitem__,
        store=store,
        engine=engine,
        emit=_telling(recorded, store, emit),
    )
    contents = _contents(release, recipe, results, store)
    described = {title: (digest_bytes(data), len(data)) for title, data in contents.items()}
    document, _ = release_document(release.name, release.version, described, _annotations(release, recipe))
    return Rebuilt(
        release,
        tuple(compare_steps(needed, _outputs(recorded), {name: outputs_of(item) for name, item in results.items()})),
        tuple(changes(_digests(release.files), _digests(described))),
        digest_bytes(document),
        contents,
    )


def _outputs(recorded: Mapping[str, Recorded]) -> dict[str, Mapping[str, Digest]]:
    return {name: item.outputs for name, item in recorded.items()}


def _digests(files: Mapping[str, tuple[Digest, int]]) -> dict[str, Digest]:
    return {title: digest for title, (digest, _) in files.items()}


def _telling(recorded: Mapping[str, Recorded], store: BuildStore, emit: Emit) -> Emit:
    """``emit``, with a word on each step that ends: a training that differs is better known before the next one."""

    def told(kind: str, detail: Mapping[str, Any]) -> None:
        emit(kind, detail)
        if kind not in ("finished", "cached") or detail.get("step") not in recorded:
            return
        known = recorded[detail["step"]]
        result = store.lookup(known.key)
        if result is not None:
            same = outputs_of(result) == known.outputs
            emit("message", {"text": "the same bytes as released" if same else "OTHER bytes than released"})

    return told


def _contents(
    release: Release, recipe: Recipe, results: Mapping[str, StepResult], store: BuildStore
) -> dict[str, bytes]:
    """The files of the release as they are now.

    What tinsmith itself adds to a release has grown with its versions: what the release has not is left out.
    """
    files = files_of(recipe.lock, recipe.plan, recipe.files, results, store)
    of_step = outputs_of(results[recipe.plan.target])
    return {title: data for title, data in files.items() if title in of_step or title in release.files}


def _annotations(release: Release, recipe: Recipe) -> dict[str, str]:
    """As for ``_contents``; the manifest's digest is that of its text, which has no fields of later versions."""
    said = {**said_of(recipe.manifest, recipe.plan), MANIFEST: recipe.manifest_digest}
    return {key: value for key, value in said.items() if key in release.annotations}
