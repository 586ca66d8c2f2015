"""Results as they lie in a store: one JSON document with its own digest in it."""

from __future__ import annotations

import json
from pathlib import PurePosixPath
from typing import Any

from builder.digest import Digest, canonical_json, digest_json, is_digest, parse_digest
from builder.errors import IntegrityError
from builder.store.base import Artifact, StepResult

MOST_BYTES = 16 << 20
"""Of a document; no step leaves so many files that it has more."""


def key_named(name: str) -> Digest | None:
    """Of which step the document called ``name`` is the result; None for what is no result's name."""
    digest = f"sha256:{name.removesuffix('.json')}"
    return Digest(digest) if name.endswith(".json") and is_digest(digest) else None


def packed(result: StepResult) -> bytes:
    document = {
        "key": result.key,
        "step": result.step,
        "artifacts": [vars(item) for item in result.artifacts],
        "run": result.run,
    }
    return canonical_json({**document, "digest": digest_json(document)})


def unpacked(data: bytes, key: Digest) -> StepResult | None:
    """The result of ``key`` in ``data``, or None for a document of an older tinsmith. ValueError with what is wrong."""
    try:
        document = json.loads(data)
        digest = document.pop("digest", None)
        if digest is None:
            return None
        if digest != digest_json(document):
            raise ValueError("it has other contents than its digest says")
        artifacts = tuple(_artifact(item) for item in document["artifacts"])
        result = StepResult(parse_digest(document["key"]), str(document["step"]), artifacts, dict(document["run"]))
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"it has another form ({error})") from error
    if result.key != key:
        raise ValueError(f"it is the result of {result.key}")
    return result


def other_bytes(result: StepResult) -> IntegrityError:
    """What to say where a key already has a result with other bytes than ``result``."""
    return IntegrityError(
        f"step {result.step} ran twice with key {result.key} and gave other bytes",
        help="the step is not reproducible, or not on this machine; please report it",
    )


MISSING = "missing-blob"
"""The code of the error for a blob that is not there, for which, unlike for wrong bytes, nobody is to blame."""


def missing(digest: Digest) -> IntegrityError:
    return IntegrityError(f"the store has no blob {digest}", help="build again to make it anew", code=MISSING)


def damaged_blob(digest: Digest, where: str) -> IntegrityError:
    return IntegrityError(
        f"the stored blob {digest} has other bytes than its name says",
        help=f"it was moved to {where}; build again to make it anew",
    )


def damaged_result(key: Digest, reason: object, where: str) -> IntegrityError:
    return IntegrityError(
        f"the stored result of {key} is damaged: {reason}",
        help=f"it was moved to {where}; build again: the step will run once more",
    )


def _artifact(item: dict[str, Any]) -> Artifact:
    path, size = item["path"], item["size"]
    # Outputs are laid out by these paths for the steps that need them.
    if not (isinstance(path, str) and path and "\0" not in path and path == str(PurePosixPath(path)) != "."):
        raise ValueError(f"it names a file {path!a:.100}")
    if path.startswith("/") or ".." in PurePosixPath(path).parts:
        raise ValueError(f"it names a file outside the output: {path!a:.100}")
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise ValueError(f"it says that {path!a:.100} has {size!a:.30} bytes")
    return Artifact(path, parse_digest(item["digest"]), size)
