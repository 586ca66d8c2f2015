"""Is a layout the one that this project builds into? Only from there is a release taken that no rule is about."""

from __future__ import annotations

import os
from pathlib import Path

from builder.settings import RELEASES
from builder.trust.policy import Origin


def origin_of(layout: Path) -> Origin:
    """``own`` for ``releases`` in the current folder and for what TINSMITH_RELEASES names, ``folder`` for any other.

    A folder is not the project's own because somebody pointed a flag to it.
    """
    own = [RELEASES, *(Path(chosen) for chosen in [os.environ.get("TINSMITH_RELEASES")] if chosen)]
    ours = layout.resolve() in [path.resolve() for path in own]
    return Origin("own" if ours else "folder", str(layout.absolute()))
