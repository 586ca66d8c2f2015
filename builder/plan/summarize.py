"""One manifest file to its summary."""

from __future__ import annotations

from pathlib import Path

from builder.lock.check import Shipped, check_text
from builder.lock.file import parse_lock
from builder.lock.place import lock_path
from builder.lock.toolchains import lock_toolchain
from builder.manifest.load import loads
from builder.manifest.source import decode
from builder.plan.code import StepCode
from builder.plan.make import make_plan
from builder.plan.summary import PlanLine, Summary, Texts, step_lines
from builder.predict.manifest import predicted


def summarize(texts: Texts, code: StepCode, *, current: bool = True, shipped: Shipped = lock_toolchain) -> Summary:
    """The summary of ``texts``, its steps running ``code``. InvalidManifest if manifest or lock is not sound.

    ``current``: refuse also a lock whose toolchains are others than those ``shipped`` with this tinsmith, as a build
    does. Of an older commit the lock says what the toolchains were then.
    """
    text = decode(texts.manifest, texts.path)
    family = loads(text, texts.path)
    lock = parse_lock(texts.lock, str(lock_path(Path(texts.path)))) if texts.lock is not None else None
    checked = check_text(family, lock, text, texts.path, current=current, shipped=shipped)
    plans = [make_plan(manifest, checked, code) for manifest in family.manifests]
    lines = (
        PlanLine(plan.name, plan.digest, step_lines(plan), predicted(manifest))
        for plan, manifest in zip(plans, family.manifests, strict=True)
    )
    select = family.select.model_dump_json() if family.select is not None else None
    return Summary(family.name, family.version, tuple(lines), select)
