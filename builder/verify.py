"""Is a release what it says? Its bytes, its documents, who vouches for it, and what its model answers.

All of it from the release alone, in any engine, with only the litert toolchain. The figures over the whole evaluation
split are not measured again: for that the data is needed, and ``rebuild`` does it.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builder.digest import digest_file
from builder.engine.base import Emit, Engine
from builder.errors import IntegrityError, StepFailed
from builder.onestep import outputs_of
from builder.release import documents
from builder.release.checks import Check
from builder.release.layout import Layout
from builder.release.release import Blob, Release

Trust = Callable[[Layout, Release], Sequence[Check]]

_DIED = ("step-failed", "out-of-memory")
"""What a step ends with that died of the model it ran, in place of saying what is wrong with it."""


@dataclass(frozen=True)
class Verified:
    """What was found. ``refused``: bytes, documents and trust; ``behaviour``: what the model answers; ``golden`` is
    the report of the ``recheck`` step, None if the golden pictures were not run."""

    release: Release
    refused: tuple[Check, ...]
    behaviour: tuple[Check, ...]
    golden: dict[str, Any] | None

    @property
    def failed(self) -> list[Check]:
        return [check for check in (*self.refused, *self.behaviour) if check.ok is False]


def trust_checks(layout: Layout, release: Release) -> Sequence[Check]:
    """The one place where signatures and provenance come in (``builder.trust``)."""
    return [Check("signature", None, "not checked")]


def verify(
    layout: Layout, release: Release, engine: Callable[[], Engine], emit: Emit, trust: Trust = trust_checks
) -> Verified:
    """Every check of ``release``. ``engine`` is asked for only if its bytes and documents are as they should be:
    a file that is not what it is said to be is not run."""
    refused = [_hashed(layout, release)]
    if refused[0].ok:
        refused += documents.check_documents(release, dict(_documents(layout, release)))
    refused += trust(layout, release)
    if any(check.ok is False for check in refused):
        return Verified(release, tuple(refused), (Check("golden pictures", None, "not run: see above"),), None)
    try:
        report = _run_again(layout, release, engine(), emit)
    except StepFailed as error:
        if error.code.startswith("golden-"):
            return Verified(release, (*refused, Check("golden files", False, error.message)), (), None)
        if error.code not in _DIED:
            raise
        return Verified(release, tuple(refused), (Check("golden pictures", False, error.message),), None)
    behaviour = tuple(Check(str(row["name"]), bool(row["ok"]), str(row["text"])) for row in report["checks"])
    return Verified(release, tuple(refused), behaviour, report)


def _hashed(layout: Layout, release: Release) -> Check:
    """Every blob of the release, read again: sizes and digests."""
    blobs = {title: Blob(*item) for title, item in release.files.items()}
    blobs["the model config"] = release.config
    wrong = []
    for title, blob in sorted(blobs.items()):
        path = layout.blob_path(blob.digest)
        if not path.is_file():
            wrong.append(f"{title} is missing")
        elif path.stat().st_size != blob.size:
            wrong.append(f"{title} has {path.stat().st_size} bytes, not {blob.size}")
        elif digest_file(path) != blob.digest:
            wrong.append(f"{title} has other bytes")
    if wrong:
        return Check("bytes", False, "; ".join(wrong))
    size = sum(blob.size for blob in blobs.values())
    return Check("bytes", True, f"{len(release.files)} files, {size / 1e6:.3f} MB, hashed again")


def _documents(layout: Layout, release: Release) -> Iterator[tuple[str, bytes]]:
    for title in documents.READ:
        if title in release.files:
            if release.files[title][1] > documents.LARGEST:
                raise IntegrityError(f"{title} of {release.ref} is larger than {documents.LARGEST:,} bytes")
            yield title, layout.read(release, title)


def _run_again(layout: Layout, release: Release, engine: Engine, emit: Emit) -> dict[str, Any]:
    """report.json of the step ``recheck``."""
    needed = {documents.MODEL, documents.METADATA, documents.LABELS}
    with tempfile.TemporaryDirectory(prefix="tinsmith-") as scratch:
        for title in release.files:
            if title in needed or title.startswith("golden/"):
                path = Path(scratch) / title
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(layout.read(release, title))
        with outputs_of("recheck", {}, {"release": Path(scratch)}, engine, emit) as output:
            report: dict[str, Any] = json.loads((output / "report.json").read_bytes())
    return report
