"""Which files a release has beside those that its target step leaves: whoever makes a release asks here."""

from __future__ import annotations

from collections.abc import Mapping

from builder.lock.model import Lock
from builder.plan.step import Plan
from builder.release.recipe import tar_of
from builder.release.sbom import SBOM, sbom

RECIPE = "recipe.tar"
STEPS = "steps.json"
"""What every step left; known only when all have run."""


def static_files(lock: Lock, plan: Plan, recipe: Mapping[str, bytes]) -> dict[str, bytes]:
    """Title -> bytes of the files that are known before anything is built; ``recipe`` as ``recipe_files`` gives it."""
    return {RECIPE: tar_of(recipe), SBOM: sbom(lock, plan, recipe)}
