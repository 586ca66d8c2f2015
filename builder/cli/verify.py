from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from builder.cli.options import DEFAULT_RELEASES, EngineName, Json, Progress, ReleaseFolder, ReleaseRef

if TYPE_CHECKING:
    from builder.trust.checks import Check
    from builder.verify import Verified

_STATES = {True: "ok", False: "FAILED", None: "-"}


def verify(
    release: ReleaseRef,
    engine: EngineName = "auto",
    releases: ReleaseFolder = DEFAULT_RELEASES,
    progress: Progress = "auto",
    as_json: Json = False,
) -> None:
    """Check a release: its bytes, who vouches for it, its documents, and what its model answers.

    The golden pictures of the release are run again on this machine. Exit status 7: bytes, trust or documents are
    refused, and nothing was run; 5: the model answers something else than the release says.

    Example: tinsmith verify raccoon-025@1.0.0
    """
    import functools

    from builder.cli.load import reporter
    from builder.configuration import configurations
    from builder.engine.select import choose
    from builder.errors import IntegrityError, VerificationFailed
    from builder.release.layout import Layout
    from builder.trust.policy import load_policy
    from builder.verify import verify as verified

    layout, policy = Layout(releases), load_policy(configurations())
    found = layout.find(release)
    with reporter(progress) as emit:
        chosen = functools.cache(lambda: choose(engine))
        try:
            result = verified(layout, found, policy, chosen, emit)
        finally:
            if chosen.cache_info().currsize:
                chosen().close()
    print(json.dumps(_document(result), indent=2, sort_keys=True) if as_json else _table(result))
    if not result.failed:
        return
    names = ", ".join(check.name for check in result.failed)
    if any(check.ok is False for check in result.refused):
        raise IntegrityError(
            f"{found.ref} is refused: {names}",
            help="its table says why; get it again from where it was published, or do not use it",
        )
    raise VerificationFailed(
        f"{found.ref} does not behave as it says: {names}",
        help="another runtime can be the reason: the report of --json names both",
    )


def _table(result: Verified) -> str:
    checks = [*result.refused, *result.behaviour]
    width = max(len(check.name) for check in checks)
    lines = [f"{result.release.ref}  {result.release.digest}"]
    lines += [f"{check.name:{width}}  {_STATES[check.ok]:6}  {_printable(check.detail)}" for check in checks]
    if result.golden is not None:
        runtime, why = result.golden["runtime"], result.golden["tolerance"]["why"]
        bits = "the same bits as when it was built" if result.golden["exact"] else f"within tolerance ({why})"
        if not result.failed:
            lines.append(f"run by {runtime['name']} {runtime['version']}: {bits}")
    return "\n".join(lines)


def _document(result: Verified) -> dict[str, Any]:
    return {
        "release": result.release.ref,
        "digest": result.release.digest,
        "ok": not result.failed,
        "refused": [_row(check) for check in result.refused],
        "behaviour": [_row(check) for check in result.behaviour],
        "golden": result.golden,
    }


def _printable(text: str) -> str:
    """``text`` without control characters: documents of a release are quoted in it."""
    return "".join(sign if sign.isprintable() else "?" for sign in text)


def _row(check: Check) -> dict[str, Any]:
    return {"name": check.name, "ok": check.ok, "detail": check.detail}
