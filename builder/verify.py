"""Is a release what it says? Its bytes, who vouches for it, its documents, and what its model answers.

All of it from the release and what is attached to it, in any engine, with only the litert toolchain. The figures over
the whole evaluation split are not measured again: for that the data is needed, and ``rebuild`` does it.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builder.engine.base import Emit, Engine
from builder.errors import IntegrityError, StepFailed
from builder.onestep import outputs_of
from builder.release import documents
from builder.release.layout import Layout
from builder.release.release import Release
from builder.release.verify import verify_release
from builder.trust.checks import Check
from builder.trust.policy import Policy

_DIED = ("step-failed", "out-of-memory")
"""What a step ends with that died of the model it ran, in place of saying what is wrong with it."""


@dataclass(frozen=True)
class Verified:
    """What was found. ``refused``: bytes, trust and documents; ``behaviour``: what the model answers; ``golden`` is
    the report of the ``recheck`` step, None if the golden pictures were not run."""

    release: Release
    refused: tuple[Check, ...]
    behaviour: tuple[Check, ...]
    golden: dict[str, Any] | None

    @property
    def failed(self) -> list[Check]:
        return [check for check in (*self.refused, *self.behaviour) if check.ok is False]


def verify(layout: Layout, release: Release, policy: Policy, engine: Callable[[], Engine], emit: Emit) -> Verified:
    """Every check of ``release``. ``engine`` is asked for only if bytes, trust and documents are as they should be:
    a file that is not what it is said to be is not run."""
    refused = verify_release(layout, release, policy)
    if all(check.ok for check in refused if check.name == "files"):
        refused += documents.check_documents(release, dict(_documents(layout, release)))
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
