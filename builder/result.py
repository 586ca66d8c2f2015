"""The proof that a step succeeded: its result file, with the nonce of this very run and the hash of every output."""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath

from builder.errors import StepFailed

RESULT = "result.json"


def believed(step: str, output: Path, nonce: str) -> list[tuple[str, str]]:
    """(path below ``output``, sha256 in hex) of each file that the step says it left; the hashes are not checked here.

    StepFailed if there is no result of the run with this ``nonce``, or a file lies outside ``output``.
    """
    result = output / RESULT
    if not result.is_file() or result.is_symlink():
        raise StepFailed(f"step {step} ended without a result", code="no-result")
    try:
        document = json.loads(result.read_bytes())
        files = [(str(item["path"]), str(item["sha256"])) for item in document["files"]]
    except (ValueError, KeyError, TypeError) as error:
        raise StepFailed(f"step {step} left a result that cannot be read: {error}", code="no-result") from error
    if document.get("nonce") != nonce:
        raise StepFailed(f"step {step} left the result of another run", code="no-result")
    root = output.resolve()
    for name, _ in files:
        path = root / name
        plain = str(PurePosixPath(name)) == name and ".." not in PurePosixPath(name).parts
        if not plain or path.is_symlink() or root not in path.resolve().parents:
            raise StepFailed(f"step {step} named an output outside its folder: {name}")
    return files
