"""What the page of a model shows, put into words: versions, files, commands, where it comes from. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from builder.catalogue.entry import PICTURE, Entry
from builder.catalogue.models import Drift, Model, Step
from builder.catalogue.slugs import slug
from builder.catalogue.wording import Delta, delta, kilobytes, machine, megabytes, milliseconds, share, some
from builder.digest import digest_bytes, hex_of
from builder.release.document import MANIFEST, PLAN
from builder.release.documents import CERTIFICATE, LABELS, METADATA, METRICS, MODEL
from builder.report.formats import Latency

CARD = "card.md"
SUMS = "SHA256SUMS"
DOWNLOADS = (MODEL, LABELS, METADATA, METRICS, CERTIFICATE)
"""Files of a release that the site has for each version, those that it has."""


@dataclass(frozen=True)
class File:
    title: str
    link: str
    size: str
    sha256: str


@dataclass(frozen=True)
class Version:
    """A version on its model's page. ``folder`` is where its files lie, from that page."""

    entry: Entry
    version: str
    anchor: str
    folder: str
    newest: bool
    day: str
    size: str
    map: str
    map50: str
    latency: str
    cpu: str
    size_delta: Delta | None
    map_delta: Delta | None
    map50_delta: Delta | None
    latency_delta: Delta | None
    changes: tuple[str, ...]
    files: tuple[File, ...]
    pull: str
    rebuild: str
    origin: tuple[tuple[str, str], ...]


def version(step: Step, model: Model) -> Version:
    entry, drift = step.entry, step.drift
    facts, latency, provenance = entry.facts, entry.background.latency, entry.background.provenance
    folder = slug(entry.release.version)
    return Version(
        entry=entry,
        version=entry.release.version,
        anchor=f"v-{folder}",
        folder=folder,
        newest=entry is model.newest,
        day=provenance.finished[:10] if provenance else "–",
        size=megabytes(entry.size),
        map=share(facts.released.map),
        map50=share(facts.released.map50),
        latency=milliseconds(latency.latency_ms.median) if latency else "–",
        cpu=machine(latency),
        size_delta=_size_delta(drift.size) if drift else None,
        map_delta=delta(drift.map, ".3f", more_is_better=True, least=5e-4) if drift else None,
        map50_delta=delta(drift.map50, ".3f", more_is_better=True, least=5e-4) if drift else None,
        latency_delta=_latency_delta(drift.latency, latency) if drift else None,
        changes=tuple(_changes(drift, facts.metrics.images)) if drift else (),
        files=tuple(_files(entry, folder)),
        pull=pull_command(entry),
        rebuild=rebuild_command(entry),
        origin=tuple(_origin(entry)),
    )


def _size_delta(change: int) -> Delta | None:
    if abs(change) < 100_000:
        return delta(change / 1e3, ".1f", " kB", more_is_better=False, least=0.05)
    return delta(change / 1e6, ".3f", " MB", more_is_better=False, least=0.0)


def _latency_delta(change: float | None, latency: Latency | None) -> Delta | None:
    """Two measurements of the same model differ by a tenth, and more on a busy machine."""
    noise = 0.1 * latency.latency_ms.median if latency else 0.0
    return delta(change, ".2g", " ms", more_is_better=False, least=5e-4, noise=noise)


def _changes(drift: Drift, images: int) -> list[str]:
    """What an app or a reader of the figures has to know."""
    found = []
    if drift.added:
        found.append(f"new classes: {some(drift.added)}")
    if drift.removed:
        found.append(f"classes gone: {some(drift.removed)}")
    if drift.reordered:
        found.append("classes in another order")
    if drift.input:
        found.append("takes another input")
    for what, pair in (("quantization", drift.quantization), ("licence", drift.license)):
        if pair:
            found.append(f"{what}: {pair[0]} → {pair[1]}")
    if drift.test_set:
        found.append(f"tested on other pictures ({images:,}): mAP does not compare")
    return found


def _files(entry: Entry, folder: str) -> list[File]:
    found = [(title, *entry.release.files[title]) for title in DOWNLOADS if title in entry.files]
    card = entry.card.encode()
    found.insert(3, (CARD, digest_bytes(card), len(card)))
    return [File(title, f"{folder}/{title}", kilobytes(size), hex_of(digest)) for title, digest, size in found]


def sums(files: Sequence[File]) -> bytes:
    """As ``sha256sum --check`` reads it."""
    return "".join(f"{file.sha256}  {file.title}\n" for file in files).encode()


def pull_command(entry: Entry) -> str:
    release = entry.release
    ref = f"{entry.places[0]}:{release.version}" if entry.places else release.ref
    return f"tinsmith pull {ref} models/{slug(release.name)} --only model"


def rebuild_command(entry: Entry) -> str:
    ref = entry.release.ref
    first = f"tinsmith pull {entry.places[0]}:{entry.release.version}\n" if entry.places else ""
    return f"{first}tinsmith rebuild {ref}"


def _origin(entry: Entry) -> list[tuple[str, str]]:
    """Where a release comes from, as pairs of what and which."""
    release, provenance = entry.release, entry.background.provenance
    said = release.annotations
    rows = [("Release", str(release.digest)), ("Model", str(release.files[MODEL][0]))]
    rows += [(what, said[key]) for what, key in (("Manifest", MANIFEST), ("Plan", PLAN)) if key in said]
    rows += [(f"Toolchain {name}", digest) for name, digest in sorted(entry.facts.toolchains.items())]
    if entry.decision.keys:
        rows += [("Signed by", key.id) for key in entry.decision.keys]
    else:
        rows.append(("Signature", "not checked: no rule asked for one"))
    if provenance is not None:
        by = f"{provenance.builder}, tinsmith {provenance.tinsmith}" if provenance.tinsmith else provenance.builder
        rows += [("Built", f"{provenance.finished.replace('T', ' ').removesuffix('Z')} UTC"), ("Builder", by)]
        rows += [(f"Base image of {name}", digest) for name, digest in provenance.images]
    rows += [("Built twice", text) for text in entry.background.twice]
    rows += [("Repository", place) for place in entry.places]
    return rows


@dataclass(frozen=True)
class ClassRow:
    number: int
    name: str
    boxes: str
    ap: str
    ap50: str


def class_rows(entry: Entry) -> list[ClassRow]:
    """One a class, in the order of the labels."""
    measured = entry.facts.released.per_class
    rows = []
    for number, name in enumerate(entry.facts.labels.names):
        one = measured.get(name)
        figures = (f"{one.boxes:,}", share(one.ap), share(one.ap50)) if one else ("–", "–", "–")
        rows.append(ClassRow(number, name, *figures))
    return rows


_STAGES = {
    "frozen": "trained graph, TensorFlow 1",
    "tflite_tf1": "model.tflite in TensorFlow 1",
    "tflite_litert": "model.tflite in LiteRT, as on phones",
}


def stage_rows(entry: Entry) -> list[tuple[str, str, str]]:
    """(what, mAP, mAP@0.5) of each stage and, beside them, of constant answers."""
    metrics = entry.facts.metrics
    constant = metrics.constant_baseline
    order = [*_STAGES, *sorted(metrics.stages.keys() - _STAGES.keys())]
    stages = [(_STAGES.get(name, name), metrics.stages[name]) for name in order if name in metrics.stages]
    rows = [(name, share(stage.map), share(stage.map50)) for name, stage in stages]
    rows.append(("one constant box, for comparison", share(constant.map), share(constant.map50)))
    several = constant.several_boxes
    return [*rows, ("several constant boxes, for comparison", share(several.map), share(several.map50))]


def alt_of_picture(entry: Entry) -> str:
    facts = entry.facts
    return (
        f"Test pictures with the boxes that {entry.release.ref} finds ({some(facts.labels.names)}) "
        "beside those that were annotated."
    )


def described(entry: Entry, folder: str, newest: bool) -> dict[str, object]:
    """A version in catalogue.json; ``folder`` is where its files lie, from the site's root."""
    shown = (*DOWNLOADS, PICTURE) if newest else DOWNLOADS
    facts, latency = entry.facts, entry.background.latency
    return {
        "version": entry.release.version,
        "digest": entry.release.digest,
        "task": facts.task,
        "license": facts.license,
        "quantization": facts.quantization.type,
        "classes": list(facts.labels.names),
        "size": entry.size,
        "map": facts.released.map,
        "map50": facts.released.map50,
        "test_set": facts.tested_on,
        "latency": latency.model_dump(mode="json") if latency else None,
        "signed_by": [key.id for key in entry.decision.keys],
        "places": list(entry.places),
        "files": {
            title: {"path": f"{folder}/{title}", "digest": entry.release.files[title][0],
                    "size": entry.release.files[title][1]}
            for title in shown if title in entry.files
        },
    }  # fmt: skip
