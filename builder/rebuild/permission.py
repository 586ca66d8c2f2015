"""May what came with a release run on this machine? Step code runs isolated; making a toolchain does not, quite."""

from __future__ import annotations

from collections.abc import Iterator

from builder.configuration import configurations
from builder.engine.base import Engine
from builder.engine.isolation import strongest
from builder.errors import IntegrityError, LockError
from builder.lock.toolchains import lock_toolchain
from builder.plan.step import Toolchain
from builder.rebuild.recipe import Recipe
from builder.release.attached import signed_provenances, subject_of
from builder.release.layout import Layout
from builder.release.release import Release
from builder.trust.origin import origin_of
from builder.trust.policy import decide, load_policy


def vouched(layout: Layout, release: Release) -> bool:
    """Does somebody whom tinsmith.toml trusts vouch for ``release``? IntegrityError if its rules refuse it.

    Lying among the project's own releases is not enough: it may have been pulled there without a signature.
    """
    policy, envelopes = load_policy(configurations()), signed_provenances(layout, release)
    decision = decide(policy, subject_of(release), origin_of(layout.root), envelopes, allow_unsigned=True)
    return bool(decision.keys)


def check_permitted(layout: Layout, release: Release, recipe: Recipe, engine: Engine, *, trusted: bool) -> None:
    """IntegrityError if running ``recipe`` would reach beyond the steps' isolation and nobody vouches for ``release``.

    ``trusted``: the user does.
    """
    if vouched(layout, release) or trusted:
        return
    reason = next(unisolated(recipe, engine), None)
    if reason is not None:
        raise IntegrityError(
            f"{release.ref} comes from outside, and {reason}",
            help="if you trust who made it: --trust-recipe",
            code="untrusted-recipe",
        )


def unisolated(recipe: Recipe, engine: Engine) -> Iterator[str]:
    """What of ``recipe`` would run without the isolation that steps have, a reason each."""
    if engine.name == "local" and not (strongest().network and strongest().files == "all"):
        yield f"the local engine cannot isolate its steps here: {engine.isolation}"
    for toolchain in {step.toolchain.name: step.toolchain for step in recipe.plan.needed()}.values():
        # An image of one's own is run like any step, and nothing of it is built.
        if toolchain.image is None and not shipped(toolchain, any_base=engine.name == "local"):
            how = "installed with the rights of this user" if engine.name == "local" else "built with network access"
            yield f"its toolchain {toolchain.name}, which is not one that this tinsmith has, would be {how}"


def shipped(toolchain: Toolchain, *, any_base: bool) -> bool:
    """Is it a toolchain of this tinsmith? The local engine uses no base image, so ``any_base`` will do there."""
    try:
        own = lock_toolchain(toolchain.name, toolchain.base_image if any_base else None)
    except LockError:
        return False
    return own.digest == toolchain.digest
