"""What a report is about: a release, or a build that was not released, as far as reports need to know them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from builder.digest import Digest, digest_bytes, digest_json
from builder.errors import IntegrityError
from builder.release.contents import RECIPE
from builder.release.document import MANIFEST, PLAN
from builder.release.layout import Layout
from builder.release.make import read_run, run_facts
from builder.release.produce import Made
from builder.release.recipe import LARGEST_RECIPE, files_of_tar
from builder.release.release import Release
from builder.store.base import Store
from builder.versions import newest, parse_version

INGEST = "ingest"
MANIFEST_FILE, PLAN_FILE = "manifest.json", "plan.json"


@dataclass(frozen=True)
class Subject:
    """``digest`` is the release's, None if it was not released. All that is read is untrusted.

    ``files``: title -> (digest, bytes); ``read`` gives the bytes of one of them, checked. ``manifest`` is the manifest
    as plain data, None if it is not known, ``plan`` the digest of the plan, ``order`` the names of its steps. ``run``
    is run.json. ``misses``: budgets that were missed, a line each, None if nobody judged it yet. ``cached``: the steps
    that this build took from the store, None if that is not known. A ``canary`` says that the chain works, no more;
    ``unjudged`` are the budgets that say nothing of it. ``ingested`` reads what ingest reported, None where that is not
    known: it is no part of a release. The plan stands for it in the identity.
    """

    name: str
    version: str
    digest: Digest | None
    files: Mapping[str, tuple[Digest, int]]
    read: Callable[[str], bytes]
    manifest: Mapping[str, Any] | None = None
    plan: str | None = None
    order: tuple[str, ...] = ()
    run: Mapping[str, Any] | None = None
    misses: tuple[str, ...] | None = None
    cached: frozenset[str] | None = None
    canary: bool = False
    unjudged: frozenset[str] = frozenset()
    annotations: Mapping[str, str] = field(default_factory=dict)
    ingested: Callable[[], bytes] | None = None

    @property
    def ref(self) -> str:
        return f"{self.name}@{self.version}"

    @property
    def title(self) -> str:
        return f"{self.name} {self.version}" + (", canary" if self.canary else "")

    @property
    def identity(self) -> Digest:
        """Of all that a report says: but for what was cached, which is the first report's to tell."""
        files = {title: digest for title, (digest, _) in self.files.items()}
        said = [self.name, self.version, self.digest, self.plan, list(self.misses or ()), self.canary]
        return digest_json([said, files, self.run])


def of_made(made: Made, layout: Layout, store: Store) -> Subject:
    """The subject of a build of this process, released or not."""
    trial, plan, results = made.trial, made.plan, made.results
    manifest = made.variant.manifest if trial is None else trial.of
    reported = [item.digest for item in results[INGEST].artifacts if item.path == "report.json"]
    common: dict[str, Any] = {
        "ingested": (lambda: store.read(reported[0])) if reported else None,
        "name": manifest.name,
        "version": manifest.version,
        "manifest": manifest.model_dump(mode="json"),
        "plan": plan.digest,
        "order": tuple(step.name for step in plan.steps),
        "misses": tuple(made.candidate.misses),
        "cached": made.cached,
        "canary": trial is not None,
        "unjudged": frozenset(trial.not_judged if trial is not None else ()),
    }
    if made.built is not None:
        release = made.built.release
        return Subject(
            digest=release.digest, files=release.files, read=lambda title: layout.read(release, title),
            run=made.built.run, annotations=release.annotations, **common,
        )  # fmt: skip
    files = {item.path: (item.digest, item.size) for item in results[plan.target].artifacts}
    return Subject(
        digest=None, files=files, read=lambda title: store.read(files[title][0]),
        run=run_facts(results, made.candidate.figures), **common,
    )  # fmt: skip


def of_release(layout: Layout, release: Release) -> Subject:
    """The subject of a release of ``layout``. IntegrityError if its recipe or its run.json is not sound."""
    manifest: Mapping[str, Any] | None = None
    order: tuple[str, ...] = ()
    if RECIPE in release.files:
        manifest, order = _recipe(layout, release)
    return Subject(
        name=release.name,
        version=release.version,
        digest=release.digest,
        files=release.files,
        read=lambda title: layout.read(release, title),
        manifest=manifest,
        plan=release.annotations.get(PLAN),
        order=order,
        run=read_run(layout, release),
        annotations=release.annotations,
    )


def last_release(layout: Layout, name: str, version: str) -> Release | None:
    """The newest release of ``name`` in ``layout`` that is older than ``version``; None if there is none."""
    own = parse_version(version)
    if own is None:
        return None
    lower = []
    for release in layout.releases():
        if release.name == name and (known := parse_version(release.version)) is not None and known < own:
            lower.append((release.version, release))
    return newest(lower)


def _recipe(layout: Layout, release: Release) -> tuple[dict[str, Any] | None, tuple[str, ...]]:
    """The manifest in the recipe of ``release``, and the order of its steps."""
    from builder.report.formats import parse_object  # which a build with nothing to do need not load

    if release.files[RECIPE][1] > LARGEST_RECIPE:
        raise IntegrityError(f"the {RECIPE} of {release.ref} is larger than {LARGEST_RECIPE:,} bytes")
    files = files_of_tar(layout.read(release, RECIPE))
    if MANIFEST_FILE not in files:
        return None, ()
    if digest_bytes(files[MANIFEST_FILE]) != release.annotations.get(MANIFEST):
        raise IntegrityError(f"the manifest in the {RECIPE} of {release.ref} is not the one that the release names")
    manifest = parse_object(files[MANIFEST_FILE], f"the manifest of {release.ref}")
    plan = parse_object(files.get(PLAN_FILE, b"{}"), f"the plan of {release.ref}")
    steps = plan.get("steps")
    names = [step.get("name") for step in steps if isinstance(step, dict)] if isinstance(steps, list) else []
    return manifest, tuple(name for name in names if isinstance(name, str))
