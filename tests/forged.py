"""Releases whose documents agree with files that were changed: what someone can publish who has no key."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from builder.digest import digest_bytes
from builder.release.layout import Layout
from builder.release.release import Release

LATER = ("metadata.json", "recipe.tar", "steps.json", "sbom.json")


def sealed(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """``files`` with metadata.json and steps.json telling of just these files."""
    made = dict(files)
    metadata = json.loads(files["metadata.json"])
    metadata["files"] = {
        title: {"digest": digest_bytes(data), "size": len(data)} for title, data in files.items() if title not in LATER
    }
    made["metadata.json"] = json.dumps(metadata).encode()
    steps = json.loads(files["steps.json"])
    steps["package"]["outputs"] = {
        title: digest_bytes(data) for title, data in made.items() if title not in LATER or title == "metadata.json"
    }
    made["steps.json"] = json.dumps(steps).encode()
    return made


def republished(layout: Layout, release: Release, changed: Mapping[str, bytes], target: Path) -> Layout:
    """A layout in ``target`` with ``release``, its files ``changed``; every digest and list in it is right."""
    files = {title: layout.read(release, title) for title in release.files}
    made = Layout(target)
    made.add(release.name, release.version, sealed({**files, **changed}), release.annotations)
    return made
