"""Lays out a release from what its steps left: ``python -m builder.compile.assemble FOLDER OUTPUT``.

A compiled build carries this module, ``builder.release.document`` and ``builder.digest`` along as they are, and runs
them with nothing but Python's standard library.

FOLDER holds ``release.json`` (name, version, annotations, target, and the key of every step), ``results/STEP.json``
(the result file of every step), ``files`` (what the target left) and ``static`` (files of the release that were known
before). OUTPUT gets ``files``, an OCI image layout ``oci`` with the release, ``release.txt`` with its name and digest,
and ``SHA256SUMS`` of all the others.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from builder.digest import Digest, canonical_json, digest_bytes, hex_of, parse_digest
from builder.release.document import (
    ARTIFACT_TYPE,
    INDEX_TYPE,
    MANIFEST_TYPE,
    descriptor,
    release_document,
    steps_document,
)

STEPS = "steps.json"
_REF_NAME = "org.opencontainers.image.ref.name"


def assemble(folder: Path, output: Path) -> Digest:
    """Writes the release into ``output``, an empty folder; its digest. ValueError if the parts do not fit together."""
    about = json.loads((folder / "release.json").read_bytes())
    steps = {name: (parse_digest(key), _outputs(folder, name, key)) for name, key in about["steps"].items()}
    _, left = steps[about["target"]]
    files = {title: (folder / "files" / title).read_bytes() for title in left}
    for title, data in files.items():
        if digest_bytes(data) != left[title]:
            raise ValueError(f"{title} is not what the step {about['target']} left")
    known = {
        path.relative_to(folder / "static").as_posix(): path.read_bytes()
        for path in (folder / "static").rglob("*")
        if path.is_file()
    }
    for title, data in {**known, STEPS: steps_document(steps)}.items():
        if title in files:
            raise ValueError(f"two files of the release are called {title}")
        files[title] = data
    described = {title: (digest_bytes(data), len(data)) for title, data in files.items()}
    document, config = release_document(about["name"], about["version"], described, about["annotations"])
    digest = digest_bytes(document)
    written = {f"files/{title}": data for title, data in files.items()}
    written.update(_layout(f"{about['name']}:{about['version']}", document, [*files.values(), config]))
    written["release.txt"] = f"{about['name']}@{about['version']} {digest}\n".encode()
    written["SHA256SUMS"] = checksums({path: digest_bytes(data) for path, data in written.items()})
    for path, data in written.items():
        (output / path).parent.mkdir(parents=True, exist_ok=True)
        (output / path).write_bytes(data)
    return digest


def checksums(digests: Mapping[str, Digest]) -> bytes:
    """A list for ``sha256sum --check``, by path. It marks names that hold a backslash or a line break as it does."""
    lines = []
    for path, digest in sorted(digests.items()):
        quoted = path.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")
        lines.append(f"{chr(92) if quoted != path else ''}{hex_of(digest)}  {quoted}\n")
    return "".join(lines).encode()


def _outputs(folder: Path, step: str, key: str) -> dict[str, Digest]:
    """Path -> digest of what a step left, by the result of the very run that its key was given to."""
    result: dict[str, Any] = json.loads((folder / "results" / f"{step}.json").read_bytes())
    if result["nonce"] != hex_of(Digest(key)):
        raise ValueError(f"the result of step {step} is of another run")
    return {item["path"]: parse_digest(f"sha256:{item['sha256']}") for item in result["files"]}


def _layout(tag: str, document: bytes, blobs: list[bytes]) -> dict[str, bytes]:
    entry = {**descriptor(MANIFEST_TYPE, digest_bytes(document), len(document)), "artifactType": ARTIFACT_TYPE}
    index = {
        "schemaVersion": 2,
        "mediaType": INDEX_TYPE,
        "manifests": [{**entry, "annotations": {_REF_NAME: tag}}],
    }
    return {
        "oci/oci-layout": canonical_json({"imageLayoutVersion": "1.0.0"}),
        "oci/index.json": canonical_json(index),
        **{f"oci/blobs/sha256/{hex_of(digest_bytes(data))}": data for data in [document, *blobs]},
    }


if __name__ == "__main__":
    made = assemble(Path(sys.argv[1]), Path(sys.argv[2]))
    print((Path(sys.argv[2]) / "release.txt").read_text(), end="")
