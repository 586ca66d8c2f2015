"""Who may release what: the ``[[trust]]`` rules of ``tinsmith.toml``, and what they say of one release.

    [[trust]]
    names = ["raccoon-*"]              # of releases
    registries = ["ghcr.io/team/*"]    # where they may come from; left out: anywhere
    keys = ["keys/team.pub"]           # files beside tinsmith.toml, or keys themselves
    threshold = 1                      # how many of them have to have signed
    index_keys = ["keys/ci.pub"]       # who may sign the index of versions; left out: any one of keys
    index = true                       # must a registry have a signed index?

In a file the first rule that covers a release decides. Where both the project's file and the user's cover it, both
have to agree, so that no project can weaken what its user decided.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from builder.configuration import Configuration, Trust
from builder.errors import IntegrityError, UsageError
from builder.lock.globs import counts
from builder.trust import dsse
from builder.trust.document import malformed
from builder.trust.keys import PublicKey, load_public, read_key_file
from builder.trust.statement import PAYLOAD_TYPE, Subject, check_subject, parse_provenance

MOST_ENVELOPES = 16

_HOW = "put the publisher's public key under [[trust]] in tinsmith.toml; see docs/trust.md"


@dataclass(frozen=True)
class Origin:
    """Where a release comes from.

    ``own``: the layout that this project builds into, see ``builder.trust.origin``; ``folder``: another layout;
    ``registry``: ``place`` is host/repository, with no tag or digest.
    """

    kind: Literal["own", "folder", "registry"]
    place: str


@dataclass(frozen=True)
class Rule:
    """A ``[[trust]]`` section with its keys read; ``file`` is where it stands."""

    file: str
    names: tuple[str, ...]
    registries: tuple[str, ...] | None
    keys: tuple[PublicKey, ...]
    index_keys: tuple[PublicKey, ...]
    threshold: int
    index: bool

    def names_it(self, name: str) -> bool:
        return any(counts(name, (pattern,), ()) for pattern in self.names)

    def covers(self, name: str, origin: Origin) -> bool:
        """A rule with registries is about what comes from them; among the project's own releases is what was pulled
        from there."""
        if not self.names_it(name):
            return False
        if self.registries is None or origin.kind == "own":
            return True
        return origin.kind == "registry" and any(counts(origin.place, (item,), ()) for item in self.registries)


@dataclass(frozen=True)
class Policy:
    """The rules of each file, in order; a file without any is left out."""

    files: tuple[tuple[Rule, ...], ...] = ()

    def names_it(self, name: str) -> bool:
        """Is any rule about releases called ``name``, from wherever?"""
        return any(rule.names_it(name) for rules in self.files for rule in rules)

    def keys_for(self, name: str) -> tuple[PublicKey, ...]:
        """Every key of a rule about releases called ``name``, once."""
        rules = (rule for file in self.files for rule in file if rule.names_it(name))
        return tuple({key.id: key for rule in rules for key in rule.keys}.values())

    def covering(self, name: str, origin: Origin) -> tuple[Rule, ...]:
        """The rules that a release called ``name`` has to satisfy: at most one a file.

        IntegrityError (``wrong-origin``) if a file has rules for the name, but none for this registry.
        """
        found = []
        for rules in self.files:
            rule = next((rule for rule in rules if rule.covers(name, origin)), None)
            if rule is not None:
                found.append(rule)
            elif elsewhere := [rule for rule in rules if rule.names_it(name)]:
                known = ", ".join(sorted({place for rule in elsewhere for place in rule.registries or ()}))
                raise IntegrityError(
                    f"{elsewhere[0].file} has releases called {name} come from {known}, not from {origin.place}",
                    help="pull from there, or add this registry to the rule",
                    code="wrong-origin",
                )
        return tuple(found)

    def choices(self, name: str, origin: Origin) -> tuple[tuple[Rule, ...], ...]:
        """As ``covering``, of each file the rules of which one has to be satisfied.

        More than one only for the project's own releases: which registry one of them came from is not known there.
        """
        if origin.kind != "own":
            return tuple((rule,) for rule in self.covering(name, origin))
        named = (tuple(rule for rule in rules if rule.names_it(name)) for rules in self.files)
        return tuple(_until_any(rules) for rules in named if rules)


def _until_any(rules: tuple[Rule, ...]) -> tuple[Rule, ...]:
    """``rules`` as far as the first that is about releases from anywhere: those after it decide nothing."""
    last = next((number for number, rule in enumerate(rules) if rule.registries is None), len(rules))
    return rules[: last + 1]


@dataclass(frozen=True)
class Decision:
    """Why a release is let in: ``keys`` of the policy signed it, or it is ``own``, or was ``asked`` for unsigned."""

    how: Literal["signed", "own", "asked"]
    keys: tuple[PublicKey, ...]
    text: str


def load_policy(found: Iterable[Configuration]) -> Policy:
    """The policy in settings files, with every key read. UsageError for a key that cannot be."""
    files = (tuple(_rule(item, section) for section in item.settings.trust) for item in found)
    return Policy(tuple(rules for rules in files if rules))


def decide(
    policy: Policy, release: Subject, origin: Origin, envelopes: Sequence[bytes], *, allow_unsigned: bool = False
) -> Decision:
    """Whether ``policy`` lets ``release`` in; ``envelopes`` are the provenances found beside it.

    A release that no rule covers is let in from the project's own layout, and with ``allow_unsigned``, which does
    nothing for a release that a rule covers. IntegrityError: ``wrong-origin``, ``untrusted-name`` (no rule),
    ``unsigned``, ``wrong-key``, ``wrong-type`` or ``wrong-subject``.
    """
    files = policy.choices(release.name, origin)
    if files:
        keys = {key.id: key for rules in files for key in _signers_by_one(rules, release, envelopes)}
        names = ", ".join(key.id[:12] for key in keys.values())
        return Decision("signed", tuple(keys.values()), f"provenance signed by {names}")
    if origin.kind == "own":
        return Decision("own", (), "in this project's own releases, which no rule in tinsmith.toml is about")
    if allow_unsigned:
        return Decision("asked", (), "NOT verified: no rule in tinsmith.toml is about it, let in by --allow-unsigned")
    raise IntegrityError(
        f"nothing says whose signature {release.ref} from {origin.place} needs",
        help=f"{_HOW}; to take it as it is: --allow-unsigned",
        code="untrusted-name",
    )


def _signers_by_one(rules: Sequence[Rule], release: Subject, envelopes: Sequence[bytes]) -> tuple[PublicKey, ...]:
    """As ``_signers`` for the first of ``rules`` that is satisfied; if none is, the closest refusal."""
    refusals: list[IntegrityError] = []
    for rule in rules:
        try:
            return _signers(rule, release, envelopes)
        except IntegrityError as error:
            refusals.append(error)
    raise min(refusals, key=_closeness)


def _signers(rule: Rule, release: Subject, envelopes: Sequence[bytes]) -> tuple[PublicKey, ...]:
    """The keys of ``rule`` that signed one provenance of ``release``.

    Signatures of the same payload count together, whatever envelopes they lie in. Of several provenances the first
    that satisfies the rule counts; if none does, the refusal is that of the one that came closest.
    """
    what = f"the provenance of {release.ref}"
    if len(envelopes) > MOST_ENVELOPES:
        raise malformed(what, f"there are more than {MOST_ENVELOPES}")
    merged: dict[tuple[str, bytes], list[dsse.Signature]] = {}
    refusals: list[IntegrityError] = []
    for data in envelopes:
        try:
            envelope = dsse.parse(data, what)
        except IntegrityError as error:
            refusals.append(error)
            continue
        merged.setdefault((envelope.payload_type, envelope.payload), []).extend(envelope.signatures)
    for (payload_type, payload), signatures in merged.items():
        envelope = dsse.Envelope(payload_type, payload, tuple(signatures))
        try:
            found = dsse.verify(envelope, PAYLOAD_TYPE, rule.keys, rule.threshold, what)
            check_subject(parse_provenance(payload, what), release, what)
            return found
        except IntegrityError as error:
            refusals.append(error)
    if not refusals:
        raise IntegrityError(
            f"{release.ref} is not signed, and {rule.file} wants it to be",
            help="the publisher signs it with: tinsmith sign RELEASE --key FILE",
            code="unsigned",
        )
    raise min(refusals, key=_closeness)


_CLOSEST = ("wrong-subject", "wrong-key", "wrong-type", "unsigned", "malformed")


def _closeness(error: IntegrityError) -> int:
    return _CLOSEST.index(error.code)


def _rule(found: Configuration, section: Trust) -> Rule:
    keys = tuple(_key(found, text) for text in section.keys)
    if section.threshold > len({key.id for key in keys}):
        raise UsageError(
            f"{found.path}: a rule for {', '.join(section.names[:3])} wants {section.threshold} signatures, but names "
            f"{len({key.id for key in keys})} different key(s)",
            help="name more keys, or lower threshold",
        )
    return Rule(
        file=str(found.path),
        names=tuple(section.names),
        registries=tuple(section.registries) if section.registries is not None else None,
        keys=keys,
        index_keys=tuple(_key(found, text) for text in section.index_keys) if section.index_keys is not None else keys,
        threshold=section.threshold,
        index=section.index,
    )


def _key(found: Configuration, text: str) -> PublicKey:
    if text.lstrip().startswith("-----BEGIN"):
        return load_public(text.encode(), f"a key in {found.path}")
    path = found.file(text)
    return load_public(read_key_file(path), str(path))
