"""What came of a canary."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from builder.digest import Digest
from builder.manifest.model import Manifest


@dataclass(frozen=True)
class Trial:
    """What was tried of the manifest ``of``, and judged.

    ``files`` are those that a release would have but for its recipe, by title, in the store; ``run`` is what its
    run.json would say. ``judged`` and ``not_judged`` name budgets and checks. ``predicted_bytes``: of the .tflite.
    ``sample``: how many pictures there are (``total``), were trained on (``train``), evaluated (``eval``) and
    ``not_opened``. ``covered``: share of the trained parameters that ``train.init`` gave, None without it.
    ``rejected``: pictures that are not used, each with ``file`` and ``reason``; no more than ``max_rejected`` allows.
    """

    of: Manifest
    files: Mapping[str, Digest]
    run: Mapping[str, Any]
    judged: tuple[str, ...]
    not_judged: tuple[str, ...]
    predicted_bytes: int
    sample: Mapping[str, int]
    covered: float | None
    rejected: tuple[Mapping[str, str], ...] = ()
