"""What a second build found, as a statement that travels with the release.

Sources: in-toto attestation framework, Statement v1 and the predicate test-result v0.1. Every step is a test; the tier
is an annotation of the plan, since the predicate has no place for it. Where a key is known the statement lies in a DSSE
envelope.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from builder.digest import canonical_json
from builder.errors import IntegrityError
from builder.rebuild.check import Checked
from builder.release.layout import Layout
from builder.release.release import Attachment, Release
from builder.trust import dsse
from builder.trust.keys import PublicKey, SigningKey
from builder.trust.statement import PAYLOAD_TYPE, STATEMENT

SIGNED_TYPE = "application/vnd.in-toto.test-result+dsse"
RECORD_FILE = "reproducibility.json"
PREDICATE = "https://in-toto.io/attestation/test-result/v0.1"

_TIERS = ("A", "B")
_LARGEST = 1 << 20


@dataclass(frozen=True)
class Record:
    """A statement read back: the tier that was reached, None if none was; which steps failed; where trainings ran.

    ``signers``: the ids of the trusted keys that signed it; ``signed``: whether it lies in an envelope at all, which
    anybody can make.
    """

    tier: str | None
    failed: tuple[str, ...]
    trainings: tuple[str, ...]
    signers: tuple[str, ...] = ()
    signed: bool = False

    @property
    def source(self) -> str:
        """Who says so."""
        if self.signers:
            return f"signed by {', '.join(key[:12] for key in self.signers)}"
        return "says a record that nobody trusted signed" if self.signed else "says an unsigned record"

    def __str__(self) -> str:
        tier = f"tier {self.tier}" if self.tier else "no tier"
        failed = f", other bytes from {', '.join(self.failed)}" if self.failed else ", the same bytes from every step"
        return f"{tier}{failed}" + "".join(f"; {training}" for training in self.trainings)


def attach_record(layout: Layout, release: Release, checked: Checked, key: SigningKey | None = None) -> Attachment:
    """Attaches what ``checked`` says to ``release``, signed by ``key`` if there is one."""
    payload = statement(release, checked)
    if key is None:
        return layout.attach(release, PAYLOAD_TYPE, RECORD_FILE, payload)
    return layout.attach(release, SIGNED_TYPE, RECORD_FILE, dsse.sign(PAYLOAD_TYPE, payload, [key]))


def statement(release: Release, checked: Checked) -> bytes:
    """The in-toto Statement of a second build, in canonical JSON."""
    plan = {"name": "plan", "digest": _digest(checked.plan.digest)}
    toolchains = {step.step.toolchain.name: step.step.toolchain.digest for step in checked.steps}
    keys = {step.step.name: step.step.key for step in checked.steps}
    return canonical_json(
        {
            "_type": STATEMENT,
            "subject": [{"name": release.ref, "digest": _digest(release.digest)}],
            "predicateType": PREDICATE,
            "predicate": {
                "result": "PASSED" if checked.tier == "B" else "FAILED",
                "configuration": [
                    {**plan, "annotations": {"tier": checked.tier or "none"}},
                    *({"name": f"toolchain/{name}", "digest": _digest(it)} for name, it in sorted(toolchains.items())),
                    *(
                        {"name": f"training/{name}", "digest": _digest(keys[name]), "annotations": vars(conditions)}
                        for name, conditions in checked.conditions.items()
                    ),
                ],
                "passedTests": [step.step.name for step in checked.steps if step.same],
                "failedTests": [step.step.name for step in checked.steps if not step.same],
            },
        }
    )


def records(layout: Layout, release: Release, trusted: Iterable[PublicKey] = ()) -> list[Record]:
    """What second builds of ``release`` found, whoever says so; ``signers`` are those of the ``trusted`` keys.

    IntegrityError for a statement that cannot be read.
    """
    keys = tuple(trusted)
    small = (item for item in layout.attachments(release) if item.title == RECORD_FILE and item.size <= _LARGEST)
    found = (record_of(item.artifact_type, layout.read_attachment(item), release, keys) for item in small)
    return [record for record in found if record is not None]


def record_of(artifact_type: str, data: bytes, release: Release, keys: Sequence[PublicKey]) -> Record | None:
    """The record in an attachment called ``RECORD_FILE``, None if that is of another type. Errors as ``records``."""
    if artifact_type == SIGNED_TYPE:
        envelope = dsse.parse(data, f"{RECORD_FILE} of {release.ref}")
        known = envelope.payload_type == PAYLOAD_TYPE
        signers = tuple(key.id for key in dsse.signers(envelope, keys)) if known else ()
        return replace(parse_statement(envelope.payload, release), signers=signers, signed=True)
    return parse_statement(data, release) if artifact_type == PAYLOAD_TYPE else None


def parse_statement(data: bytes, release: Release) -> Record:
    """The record in ``data``. IntegrityError if it is none, or one of another release."""
    try:
        document = json.loads(data)
        if (document["_type"], document["predicateType"]) != (STATEMENT, PREDICATE):
            raise ValueError("not the result of a test")
        if [subject["digest"] for subject in document["subject"]] != [_digest(release.digest)]:
            raise ValueError("of another release")
        predicate = document["predicate"]
        by_name = {item["name"]: item.get("annotations", {}) for item in predicate["configuration"]}
        tier = by_name["plan"]["tier"]
        return Record(
            tier=tier if tier in _TIERS else None,
            failed=tuple(_line(name) for name in predicate["failedTests"]),
            trainings=tuple(_training(name, said) for name, said in by_name.items() if name.startswith("training/")),
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise IntegrityError(f"a {RECORD_FILE} of {release.ref} cannot be read: {str(error)[:200]}") from error


def _training(name: str, said: dict[str, Any]) -> str:
    words = [f"CPU class {said['cpu_class']}", f"{said['threads']} threads", str(said["cpu"])]
    return _line(f"{name.removeprefix('training/')} with {', '.join(words)}")


def _line(text: Any) -> str:
    if not isinstance(text, str) or len(text) > 300 or not text.isprintable():
        raise ValueError("a text of it is no line")
    return text


def _digest(digest: str) -> dict[str, str]:
    return {"sha256": digest.removeprefix("sha256:")}
