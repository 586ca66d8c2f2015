"""The OCI documents of a release: a pure function of its files and what is said about them.

Nothing here knows a time, a host or an engine, so the digest of ``release_document`` names the release wherever it is
built. Only the standard library is used: a build that has no tinsmith carries this module along (builder/compile).

Sources: OCI image specification 1.1 (manifest, image index, artifact guidance), OCI distribution specification 1.1
(referrers tag schema), CNCF ModelPack model specification 0.0.7 (media types, model config).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from builder.digest import Digest, canonical_json, digest_bytes, hex_of

ARTIFACT_TYPE = "application/vnd.cncf.model.manifest.v1+json"
CONFIG_TYPE = "application/vnd.cncf.model.config.v1+json"
MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
INDEX_TYPE = "application/vnd.oci.image.index.v1+json"
EMPTY_TYPE = "application/vnd.oci.empty.v1+json"
EMPTY = b"{}"

TITLE = "org.opencontainers.image.title"
VERSION = "org.opencontainers.image.version"
DESCRIPTION = "org.opencontainers.image.description"
LICENSES = "org.opencontainers.image.licenses"
AUTHORS = "org.opencontainers.image.authors"
ARCHITECTURE = "dev.tinsmith.architecture"
QUANTIZATION = "dev.tinsmith.quantization"
MANIFEST = "dev.tinsmith.manifest"
PLAN = "dev.tinsmith.plan"
_FILE_PATH = "org.cncf.model.filepath"

_WEIGHT, _WEIGHT_CONFIG, _CODE, _DOC = (
    f"application/vnd.cncf.model.{kind}.v1.raw" for kind in ("weight", "weight.config", "code", "doc")
)
_WEIGHT_CONFIGS = ("labels.txt", "metadata.json")


def release_document(
    name: str, version: str, files: Mapping[str, tuple[Digest, int]], annotations: Mapping[str, str]
) -> tuple[bytes, bytes]:
    """(OCI manifest, its config) of a release, both in canonical JSON.

    ``files`` maps titles to (digest, size in bytes).
    """
    layers = [
        {**descriptor(_layer_type(title), digest, size), "annotations": {TITLE: title, _FILE_PATH: title}}
        for title, (digest, size) in sorted(files.items())
    ]
    config = canonical_json(_model_config(name, version, annotations, [layer["digest"] for layer in layers]))
    document = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "artifactType": ARTIFACT_TYPE,
        "config": descriptor(CONFIG_TYPE, digest_bytes(config), len(config)),
        "layers": layers,
        "annotations": {**annotations, TITLE: name, VERSION: version},
    }
    return canonical_json(document), config


def attachment_document(subject: Mapping[str, Any], artifact_type: str, title: str, data: bytes) -> bytes:
    """OCI manifest of one file that says something about the manifest that ``subject`` describes."""
    layer = descriptor(artifact_type, digest_bytes(data), len(data))
    return canonical_json(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "artifactType": artifact_type,
            "config": descriptor(EMPTY_TYPE, digest_bytes(EMPTY), len(EMPTY)),
            "layers": [{**layer, "annotations": {TITLE: title}}],
            "subject": dict(subject),
            "annotations": {TITLE: title},
        }
    )


def referrers_document(entries: Sequence[Mapping[str, Any]]) -> bytes:
    """OCI index of the manifests that refer to one, as ``attachment_entry`` describes them, in the order of digests."""
    ordered = sorted(entries, key=lambda entry: str(entry["digest"]))
    return canonical_json({"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": [dict(item) for item in ordered]})


def attachment_entry(document: bytes, artifact_type: str, title: str) -> dict[str, Any]:
    """The descriptor of an attachment's OCI manifest, as it stands in ``referrers_document``."""
    entry = descriptor(MANIFEST_TYPE, digest_bytes(document), len(document))
    return {**entry, "artifactType": artifact_type, "annotations": {TITLE: title}}


def referrers_tag(digest: Digest) -> str:
    """The tag under which the referrers of ``digest`` are listed where there is no referrers API."""
    return f"sha256-{hex_of(digest)}"


def steps_document(steps: Mapping[str, tuple[Digest, Mapping[str, Digest]]]) -> bytes:
    """steps.json: what every step that the release depends on left, from step name to (key, {path: digest})."""
    return canonical_json(
        {name: {"key": key, "outputs": dict(outputs)} for name, (key, outputs) in sorted(steps.items())}
    )


def descriptor(media_type: str, digest: Digest, size: int) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": digest, "size": size}


def _layer_type(title: str) -> str:
    if title.endswith(".tflite") or title.startswith("checkpoint/"):
        return _WEIGHT
    if title in _WEIGHT_CONFIGS:
        return _WEIGHT_CONFIG
    return _CODE if title.endswith(".tar") else _DOC


def _model_config(name: str, version: str, annotations: Mapping[str, str], layers: Sequence[str]) -> dict[str, Any]:
    """ModelPack's description of a model. Its ``createdAt`` stays out: a release has no time of its own."""
    model = {"format": "tflite"}
    for key, annotation in (("architecture", ARCHITECTURE), ("precision", QUANTIZATION)):
        if annotation in annotations:
            model[key] = annotations[annotation]
    about: dict[str, Any] = {"name": name, "version": version}
    if LICENSES in annotations:
        about["licenses"] = [annotations[LICENSES]]
    if AUTHORS in annotations:
        about["authors"] = annotations[AUTHORS].split(", ")
    if DESCRIPTION in annotations:
        about["description"] = annotations[DESCRIPTION]
    return {"descriptor": about, "config": model, "modelfs": {"type": "layers", "diffIds": list(layers)}}
