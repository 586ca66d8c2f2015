"""Where a lock lies."""

from __future__ import annotations

from pathlib import Path


def lock_path(manifest_path: Path) -> Path:
    """``raccoon.lock`` beside ``raccoon.yaml``."""
    return manifest_path.with_suffix(".lock")
