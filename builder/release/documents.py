"""What the documents of a release say of each other and of its files. Pure: bytes in, a list of checks out.

Nothing is believed because a document says so: each statement is held against the bytes it is about, or recomputed.
That they agree says nothing about who wrote them: that is what signatures are for.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from builder.digest import digest_bytes, digest_json
from builder.errors import IntegrityError
from builder.manifest.model import Verify
from builder.release import document
from builder.release.budgets import misses
from builder.release.contents import RECIPE, STEPS
from builder.release.evaluated import EVALUATION, disagreements
from builder.release.recipe import files_of_tar
from builder.release.release import Release
from builder.release.sbom import SBOM
from builder.trust.checks import Check

MODEL, LABELS, METADATA, METRICS = "model.tflite", "labels.txt", "metadata.json", "metrics.json"
CERTIFICATE, GOLDEN = "certificate.json", "golden/expected.json"
_NEEDED = (LABELS, METADATA, METRICS, CERTIFICATE, GOLDEN, STEPS, RECIPE)
READ = (*_NEEDED, EVALUATION)
"""The files that :func:`check_documents` has to be given; the last one as far as the release has it."""

LARGEST = 256 << 20
"""Bytes of a document that are read into memory at most."""

_UNLISTED = {METADATA, RECIPE, STEPS, SBOM}
"""What metadata.json cannot list: itself, and what is added to the release after it was written."""

_FIGURES = ("map", "map50", "map75", "ar1", "ar10", "ar100")


class _Disagrees(Exception):
    """Two documents of a release say different things; the text says which."""


@dataclass(frozen=True)
class _Documents:
    release: Release
    labels: list[str]
    metadata: Mapping[str, Any]
    metrics: Mapping[str, Any]
    certificate: Mapping[str, Any]
    golden: Mapping[str, Any]
    steps: Mapping[str, Any]
    manifest: bytes
    plan: Mapping[str, Any]
    evaluation: Mapping[str, Any] | None

    @property
    def model_digest(self) -> str:
        return self.release.files[MODEL][0]


def check_documents(release: Release, files: Mapping[str, bytes]) -> list[Check]:
    """One check for each thing that the documents in ``files`` (the READ ones) say of each other."""
    if missing := [name for name in (MODEL, *_NEEDED) if name not in release.files]:
        text = f"the release has no {', '.join(missing)}: it was made by an older tinsmith, or is incomplete"
        return [Check("documents", False, text)]
    try:
        documents = _read(release, files)
    except (_Disagrees, ValueError, KeyError, TypeError, AttributeError, RecursionError, IntegrityError) as error:
        return [Check("documents", False, f"cannot be read: {_text(error)}")]
    return [_checked(name, question, documents) for name, question in _QUESTIONS.items()]


def _checked(name: str, question: Callable[[_Documents], str | None], documents: _Documents) -> Check:
    try:
        return Check(name, True, question(documents) or "")
    except _Nothing as reason:
        return Check(name, None, str(reason))
    except _Disagrees as error:
        return Check(name, False, str(error))
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, OverflowError, RecursionError) as error:
        return Check(name, False, f"a document lacks what it should say: {_text(error)}")


class _Nothing(Exception):
    """There is nothing to check; the text says why."""


def _files(documents: _Documents) -> str:
    """metadata.json lists every file that was packaged with it, with its digest and size."""
    listed, there = documents.metadata["files"], documents.release.files
    other = [title for title, entry in listed.items() if there.get(title) != (entry.get("digest"), entry.get("size"))]
    unlisted = [title for title in there if title not in listed and title not in _UNLISTED]
    if other:
        raise _Disagrees(f"metadata.json tells of other files: {_some(other)}")
    if unlisted:
        raise _Disagrees(f"metadata.json does not list: {_some(unlisted)}")
    return f"{len(listed)} files as metadata.json lists them"


def _name(documents: _Documents) -> str:
    """The OCI manifest and metadata.json speak of the same release."""
    said, metadata = documents.release.annotations, documents.metadata
    pairs = {
        "name": (documents.release.name, metadata["name"]),
        "version": (documents.release.version, metadata["version"]),
        "licence": (said.get(document.LICENSES), metadata["license"]),
        "description": (said.get(document.DESCRIPTION), metadata["description"]),
        "quantization": (said.get(document.QUANTIZATION), metadata["quantization"]["type"]),
        "architecture": (said.get(document.ARCHITECTURE), metadata["architecture"]["name"]),
        "manifest": (said.get(document.MANIFEST), metadata["manifest_digest"]),
    }
    if differing := [what for what, (one, other) in pairs.items() if one != other]:
        raise _Disagrees(f"the OCI manifest and metadata.json differ in {', '.join(differing)}")
    return documents.release.ref


def _model(documents: _Documents) -> str:
    """Figures, certificate and golden answers are of the model in the release."""
    said = {
        METADATA: documents.metadata["metrics"]["model_digest"],
        METRICS: documents.metrics["model_digest"],
        CERTIFICATE: documents.certificate["model_digest"],
        GOLDEN: documents.golden["model_digest"],
    }
    if documents.evaluation is not None:
        said[EVALUATION] = documents.evaluation["model_digest"]
    if others := [name for name, digest in said.items() if digest != documents.model_digest]:
        raise _Disagrees(f"{', '.join(others)} tell of another model than {MODEL}")
    return documents.model_digest


def _labels(documents: _Documents) -> str:
    """One list of labels, in one order."""
    said = {METADATA: documents.metadata["labels"]["names"], GOLDEN: documents.golden["labels"]}
    if others := [name for name, names in said.items() if names != documents.labels]:
        raise _Disagrees(f"{', '.join(others)} have other labels, or another order, than {LABELS}")
    for stage in documents.metrics["stages"].values():
        if strange := set(stage["per_class"]) - set(documents.labels):
            raise _Disagrees(f"{METRICS} has figures of {_some(sorted(strange))}, which {LABELS} lacks")
    return f"{len(documents.labels)} names"


def _figures(documents: _Documents) -> str:
    """The figures stand in three documents and are the same."""
    stages = documents.metrics["stages"]
    told, (evaluated,) = documents.metadata["metrics"], documents.certificate["image_sets"].values()
    if told["stages"] != stages or told["images"] != documents.metrics["images"]:
        raise _Disagrees(f"{METADATA} has other figures than {METRICS}")
    if documents.metadata["operating_point"] != documents.metrics["operating_point"]:
        raise _Disagrees(f"{METADATA} advises another score than {METRICS}")
    short = {name: {figure: stage[figure] for figure in _FIGURES} for name, stage in stages.items()}
    if evaluated["stages"] != short:
        raise _Disagrees(f"{CERTIFICATE} has other figures than {METRICS}")
    if documents.metrics["size"] != documents.release.files[MODEL][1]:
        raise _Disagrees(f"{METRICS} has another size than {MODEL}")
    return f"{len(stages)} stages on {documents.metrics['images']} pictures"


def _pictures(documents: _Documents) -> str:
    """The certificate's pictures are as many as were scored, have its digest, and the golden ones are among them."""
    (evaluated,) = documents.certificate["image_sets"].values()
    images = evaluated["images"]
    lines = "".join(f"{int(image['id'])} {image['pixels']}\n" for image in images)
    if "sha256:" + hashlib.sha256(lines.encode()).hexdigest() != evaluated["digest"]:
        raise _Disagrees(f"the pictures in {CERTIFICATE} have another digest")
    if len(images) != documents.metrics["images"]:
        raise _Disagrees(f"{CERTIFICATE} names {len(images)} pictures, {METRICS} {documents.metrics['images']}")
    known = {(image["id"], image["file_name"], image["pixels"]) for image in images}
    golden = documents.golden["pictures"]
    if not golden or any((row["id"], row["file_name"], row["pixels"]) not in known for row in golden):
        raise _Disagrees(f"{GOLDEN} has pictures that {CERTIFICATE} does not name")
    return f"{len(images)} evaluated, {len(golden)} golden"


def _evaluation(documents: _Documents) -> str:
    """What a report shows agrees with the figures, and with the pictures that are there."""
    if documents.evaluation is None:
        raise _Nothing(f"the release has no {EVALUATION}: it was made by an older tinsmith")
    (evaluated,) = documents.certificate["image_sets"].values()
    found = disagreements(
        documents.evaluation,
        documents.metrics,
        evaluated["images"],
        documents.golden["pictures"],
        documents.labels,
        documents.release.files,
    )
    if differing := list(found):
        raise _Disagrees(f"{EVALUATION} has {'; '.join(differing[:5])}")
    return f"{len(documents.evaluation['pictures'])} pictures to look at"


def _steps(documents: _Documents) -> str:
    """The recipe is the one that the release names, and what ran is its plan."""
    said, plan = documents.release.annotations, documents.plan
    if digest_bytes(documents.manifest) != said.get(document.MANIFEST):
        raise _Disagrees(f"the manifest in {RECIPE} is not the one that the release names")
    keys = {step["name"]: step["key"] for step in plan["steps"]}
    identity = {"name": plan["name"], "version": plan["version"], "keys": list(keys.values())}
    if digest_json(identity) != said.get(document.PLAN):
        raise _Disagrees(f"the plan in {RECIPE} is not the one that the release names")
    if strange := [name for name, step in documents.steps.items() if step["key"] != keys.get(name)]:
        raise _Disagrees(f"{STEPS} has steps that the plan does not: {_some(strange)}")
    packaged = documents.steps[plan["target"]]["outputs"]
    there = {title: digest for title, (digest, _) in documents.release.files.items() if title not in _UNLISTED}
    if {title: digest for title, digest in packaged.items() if title not in _UNLISTED} != there or packaged[
        METADATA
    ] != documents.release.files[METADATA][0]:
        raise _Disagrees(f"{STEPS} tells of other files than the release has")
    return f"{len(documents.steps)} steps"


def _budgets(documents: _Documents) -> str:
    """The figures meet the budgets of the recipe, all but that of latency, which belongs to one machine."""
    try:
        budgets = Verify.model_validate(json.loads(documents.manifest)["verify"])
    except ValidationError:
        raise _Nothing("the recipe has budgets that this tinsmith does not know") from None
    budgets = budgets.model_copy(update={"max_latency_ms": None})
    if missed := misses(budgets, documents.metrics, {"latency_ms": {"median": 0.0}, "cpu": ""}):
        raise _Disagrees("; ".join(missed))
    return "the figures meet the budgets of the recipe"


_QUESTIONS: dict[str, Callable[[_Documents], str]] = {
    "listed files": _files,
    "name": _name,
    "model": _model,
    "labels": _labels,
    "figures": _figures,
    "pictures": _pictures,
    "evaluation": _evaluation,
    "steps": _steps,
    "budgets": _budgets,
}


def _read(release: Release, files: Mapping[str, bytes]) -> _Documents:
    recipe = files_of_tar(files[RECIPE])
    manifest, plan = recipe["manifest.json"], recipe["plan.json"]
    metadata, metrics, certificate, golden, steps = (
        _object(name, files[name]) for name in (METADATA, METRICS, CERTIFICATE, GOLDEN, STEPS)
    )
    evaluation = _object(EVALUATION, files[EVALUATION]) if EVALUATION in files else None
    labels = files[LABELS].decode("utf-8").splitlines()
    return _Documents(
        release, labels, metadata, metrics, certificate, golden, steps, manifest, _object("plan.json", plan), evaluation
    )


def _object(name: str, data: bytes) -> dict[str, Any]:
    value = json.loads(data)
    if not isinstance(value, dict):
        raise _Disagrees(f"{name} is no JSON object")
    return value


def _some(names: list[str], most: int = 5) -> str:
    return ", ".join(ascii(name)[1:-1] for name in names[:most]) + (" …" if len(names) > most else "")


def _text(error: Exception) -> str:
    return ascii(f"{type(error).__name__}: {error}")[1:-1][:200]
