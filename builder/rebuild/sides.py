"""What ``tinsmith why`` compares: a release, a manifest with its lock, or a plan file, each as far as it says."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from builder.digest import Digest, is_digest
from builder.errors import UsageError
from builder.lock.check import locked
from builder.lock.listing import parse_listing
from builder.manifest.load import load
from builder.plan.code import read_step_code
from builder.plan.make import make_plan
from builder.rebuild.recipe import recipe_of
from builder.rebuild.steps import Recorded, steps_of
from builder.release.layout import Layout
from builder.release.recipe import recipe_files
from builder.resources import docker_folder, steps_folder

LARGEST_PLAN = 1 << 26


@dataclass(frozen=True)
class Side:
    """``plan`` is a plan document (``plan --json``); None or empty is what this side does not say.

    ``files``: all files of a recipe, by name; ``listings``: kind (dataset, init) -> path -> SHA-256. ``steps`` is what
    the steps left, ``released`` title -> digest; ``model`` reads the .tflite.
    """

    label: str
    plan: Mapping[str, Any]
    files: Mapping[str, bytes] = field(default_factory=dict)
    listings: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    steps: Mapping[str, Recorded] | None = None
    released: Mapping[str, Digest] | None = None
    annotations: Mapping[str, str] = field(default_factory=dict)
    digest: Digest | None = None
    model: Callable[[], bytes] | None = None

    def document(self, name: str) -> dict[str, Any] | None:
        """The JSON document ``name`` of the recipe."""
        found: dict[str, Any] | None = json.loads(self.files[name]) if name in self.files else None
        return found


def side_of(ref: str, layout: Layout, listing: Callable[[Digest], bytes | None]) -> Side:
    """The side called ``ref``: FILE.yaml, FILE.json, or a release; ``FILE#NAME`` is one of several models in a file.

    ``listing`` gives the list of a source's files by its digest, where it is known. UsageError if there is nothing
    such; errors otherwise as for loading each.
    """
    file, _, name = ref.partition("#")
    if file.endswith((".yaml", ".yml")):
        return _of_manifest(ref, Path(file), name, listing)
    if file.endswith(".json"):
        return _of_plan(ref, Path(file), name)
    return _of_release(ref, layout)


def _of_release(ref: str, layout: Layout) -> Side:
    release = layout.find(ref)
    recipe = recipe_of(layout, release)
    return Side(
        label=release.ref,
        plan=json.loads(recipe.files["plan.json"]),
        files=recipe.files,
        listings=_listings(recipe.files),
        steps=steps_of(layout, release),
        released={title: digest for title, (digest, _) in release.files.items()},
        annotations=release.annotations,
        digest=release.digest,
        model=lambda: layout.read(release, "model.tflite"),
    )


def _of_manifest(ref: str, path: Path, name: str, listing: Callable[[Digest], bytes | None]) -> Side:
    family = load(path)
    manifest = _chosen(ref, name, {item.name: item for item in family.manifests})
    lock, code = locked(family, path), read_step_code(steps_folder())
    unlisted: Mapping[str, bytes] = defaultdict(lambda: b"[]")
    files = recipe_files(manifest, lock, make_plan(manifest, lock, code), code, docker_folder(), unlisted)
    for kind, source in (("dataset.json", lock.dataset), ("init.json", lock.init)):
        files.pop(kind, None)
        if source is not None and (known := listing(source.digest)) is not None:
            files[kind] = known
    return Side(label=ref, plan=json.loads(files["plan.json"]), files=files, listings=_listings(files))


def _of_plan(ref: str, path: Path, name: str) -> Side:
    try:
        if path.stat().st_size > LARGEST_PLAN:
            raise UsageError(f"{path} is larger than {LARGEST_PLAN:,} bytes")
        document = json.loads(path.read_bytes())
        plans = document if isinstance(document, list) else [document]
        plan = _chosen(ref, name, {str(item["name"]): item for item in plans})
        for step in plan["steps"]:
            sound = isinstance(step["params"], dict) and is_digest(step["key"]) and is_digest(step["toolchain_digest"])
            texts = [step["name"], step["module"], step["toolchain"], *step["code"]]
            if not sound or not all(isinstance(text, str) and text.isprintable() for text in texts):
                raise ValueError("an odd step")
            step["inputs"] = [{key: str(item[key]) for key in ("name", "step", "source") if key in item} for item in
                              step["inputs"]]  # fmt: skip
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UsageError(
            f"{path} is not a plan: {error!r:.200}", help="write one: tinsmith plan FILE.yaml --json"
        ) from (error)
    return Side(label=ref, plan=plan)


def _chosen(ref: str, name: str, models: Mapping[str, Any]) -> Any:
    if not name and len(models) == 1:
        return next(iter(models.values()))
    if name not in models:
        known = ", ".join(f"{ref.partition('#')[0]}#{known}" for known in models)
        raise UsageError(f"{ref} names none of the models in it", help=f"one of: {known}")
    return models[name]


def _listings(files: Mapping[str, bytes]) -> dict[str, dict[str, str]]:
    return {kind: parse_listing(files[f"{kind}.json"]) for kind in ("dataset", "init") if f"{kind}.json" in files}
