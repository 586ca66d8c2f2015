"""Programs that tinsmith is compared with, in an environment of their own that is made on first use."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from builder.digest import digest_file, digest_json
from builder.engine.virtualenv import ensure_environment
from builder.plan.step import Toolchain
from builder.settings import cache_folder

_FOLDER = Path(__file__).parent


def programs() -> Path:
    """The folder with ``doit`` and ``dvc``, at the versions of requirements.lock."""
    nothing = digest_json(None)
    peers = Toolchain("bench-peers", "3.11", "", digest_file(_FOLDER / "requirements.lock"), nothing, nothing)
    return ensure_environment(peers, _FOLDER, cache_folder(), _say) / "bin"


def environment(home: Path) -> dict[str, str]:
    """For a peer: it asks no network for news, and has no settings but those in ``home``."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "DVC_"))}
    return {
        **kept,
        "HOME": str(home),
        "PATH": f"{programs()}:{os.environ['PATH']}",
        "DVC_NO_ANALYTICS": "1",
        "DVC_GLOBAL_CONFIG_DIR": str(home),
        "DVC_SYSTEM_CONFIG_DIR": str(home),
        "DVC_SITE_CACHE_DIR": str(home / "site"),
    }


def _say(kind: str, detail: Mapping[str, Any]) -> None:
    print(detail.get("text", ""), file=sys.stderr)
