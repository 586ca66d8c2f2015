"""A release as the catalogue lists it: its files staged and checked, what they say read."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from builder.catalogue.background import Background, background_of
from builder.catalogue.card import card_of
from builder.catalogue.facts import LARGEST, Facts, facts_of
from builder.catalogue.offers import Left, Offered
from builder.digest import hex_of
from builder.errors import IntegrityError
from builder.registry.offer import Offer
from builder.release.documents import CERTIFICATE, LABELS, METADATA, METRICS, MODEL
from builder.release.release import Blob, Release
from builder.report.boxes import LARGEST_SIDE
from builder.report.facts import EVALUATION, TRAINING
from builder.report.formats import Evaluation
from builder.trust.policy import Decision

PICTURE = "detections.png"
_NEEDED = (MODEL, LABELS, METADATA)
_STAGED = (*_NEEDED, METRICS, PICTURE, EVALUATION, TRAINING, CERTIFICATE)
_LARGEST_PICTURE = 64 << 20
_PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Entry:
    """``files`` maps titles to where their bytes lie; ``places`` are the repositories that have the release.

    ``picture`` is (width, height) in pixels of detections.png, None without one.
    """

    release: Release
    offer: Offer
    facts: Facts
    background: Background
    decision: Decision
    files: Mapping[str, Path]
    places: tuple[str, ...]
    picture: tuple[int, int] | None
    evaluation: Evaluation | None
    card: str
    """Markdown."""

    @property
    def size(self) -> int:
        """Bytes of the .tflite."""
        return self.release.files[MODEL][1]


def entries_of(offered: Iterable[Offered | Left], scratch: Path) -> tuple[list[Entry], list[Left]]:
    """What is offered, each release once, with its files in ``scratch``; and what is left out of it.

    The same name and version with other bytes than a place before it had counts as damaged.
    """
    found: dict[tuple[str, str], Entry] = {}
    left: list[Left] = []
    for item in offered:
        if isinstance(item, Left):
            left.append(item)
            continue
        release = item.offer.release
        what = f"{release.ref} from {item.place or item.offer.where}"
        known = found.get((release.name, release.version))
        try:
            if known is None:
                found[release.name, release.version] = _staged(item, scratch)
            elif known.release.digest == release.digest:
                found[release.name, release.version] = _also(known, item)
            else:
                raise IntegrityError(
                    f"{known.offer.where} has other bytes under this name and version", code="immutable"
                )
        except IntegrityError as error:
            left.append(Left(what, error, damaged=True))
    return list(found.values()), left


def _staged(item: Offered, scratch: Path) -> Entry:
    """IntegrityError if a file has other bytes than its digest says, or is not what it should be."""
    release = item.offer.release
    if missing := [title for title in _NEEDED if title not in release.files]:
        raise IntegrityError(f"the release has no {', '.join(missing)}")
    blobs = {title: Blob(*release.files[title]) for title in _STAGED if title in release.files}
    for title, blob in blobs.items():
        if title != MODEL and blob.size > (_LARGEST_PICTURE if title == PICTURE else LARGEST):
            raise IntegrityError(f"{title} has {blob.size:,} bytes, more than a catalogue reads")
    files = {title: scratch / hex_of(blob.digest) for title, blob in blobs.items()}
    item.fetch({files[title]: blob for title, blob in blobs.items() if not files[title].exists()})
    facts = facts_of(files[METADATA].read_bytes(), files[LABELS].read_bytes(), release)
    background = background_of(item.offer, item.decision)
    card, evaluation = card_of(release, background, files)
    return Entry(
        release=release,
        offer=item.offer,
        facts=facts,
        background=background,
        decision=item.decision,
        files=files,
        places=(item.place,) if item.place else (),
        picture=_pixels(files[PICTURE], release) if PICTURE in files else None,
        evaluation=evaluation,
        card=card,
    )


def _also(known: Entry, item: Offered) -> Entry:
    """``known``, which ``item`` offers, too: a signature and what a signer says win over none."""
    places = known.places if item.place is None or item.place in known.places else (*known.places, item.place)
    if item.decision.keys and not known.decision.keys:
        background = background_of(item.offer, item.decision)
        card, _ = card_of(known.release, background, known.files)
        known = replace(known, decision=item.decision, background=background, card=card)
    return replace(known, places=places)


def _pixels(path: Path, release: Release) -> tuple[int, int]:
    """Width and height of a PNG, as large as pages show. IntegrityError if it is none such. Source: PNG, IHDR."""
    with path.open("rb") as stream:
        head = stream.read(24)
    if len(head) == 24 and head.startswith(_PNG) and head[12:16] == b"IHDR":
        width, height = struct.unpack(">II", head[16:])
        if 0 < width <= LARGEST_SIDE and 0 < height <= LARGEST_SIDE:
            return width, height
    raise IntegrityError(f"{PICTURE} of {release.ref} is no PNG of at most {LARGEST_SIDE} pixels a side")
