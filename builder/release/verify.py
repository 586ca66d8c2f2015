"""What can be said of a release without building it again: its digests, its provenance, whose signature that has."""

from __future__ import annotations

from collections.abc import Callable

from builder.digest import Digest, digest_bytes, hex_of
from builder.errors import IntegrityError
from builder.release.attached import signed_provenances, subject_of, unsigned_provenances
from builder.release.contents import RECIPE
from builder.release.layout import Layout
from builder.release.recipe import files_of_tar
from builder.release.release import Release
from builder.trust import dsse
from builder.trust.checks import Check
from builder.trust.origin import origin_of
from builder.trust.policy import Origin, Policy, decide
from builder.trust.statement import Statement, check_subject, parse_provenance


def verify_release(layout: Layout, release: Release, policy: Policy, origin: Origin | None = None) -> list[Check]:
    """Every check with how it went; a failed one does not end the others. ``origin`` is that of the layout if None.

    ``signature``: as ``decide``, but nothing is refused only because no rule is about it. ``files``: every file has the
    digest and size that the OCI manifest says. ``provenance``: what is attached is about this release and names the
    files in it. ``recipe``: the manifest that the provenance was given is the one in the release.
    """
    return [
        _checked("signature", lambda: _signature(layout, release, policy, origin)),
        *check_content(layout, release),
    ]


def check_content(layout: Layout, release: Release) -> list[Check]:
    """The checks of ``verify_release`` that need to know nobody."""
    return [
        _checked("files", lambda: _files(layout, release)),
        _checked("provenance", lambda: _provenance(layout, release)),
        _checked("recipe", lambda: _recipe(layout, release)),
    ]


def _checked(name: str, check: Callable[[], tuple[bool | None, str]]) -> Check:
    try:
        return Check(name, *check())
    except IntegrityError as error:
        return Check(name, False, f"{error.message} [{error.code}]")


def _files(layout: Layout, release: Release) -> tuple[bool, str]:
    layout.blob(release.config)
    for title in release.files:
        layout.read(release, title)
    total = sum(size for _, size in release.files.values())
    return True, f"{len(release.files)} files, {total:,} bytes, as {release.digest} says"


def _signature(layout: Layout, release: Release, policy: Policy, origin: Origin | None) -> tuple[bool | None, str]:
    place = origin or origin_of(layout.root)
    try:
        decision = decide(policy, subject_of(release), place, signed_provenances(layout, release))
    except IntegrityError as error:
        if error.code != "untrusted-name":
            raise
        return None, f"NOT verified: no rule in tinsmith.toml is about it, and {place.place} is not this project's own"
    return (True if decision.keys else None), decision.text


def _provenance(layout: Layout, release: Release) -> tuple[bool | None, str]:
    statements = _statements(layout, release)
    if not statements:
        return None, "none is attached"
    for statement in statements:
        named = statement.files()
        for title, (digest, _) in release.files.items():
            if named.get(title) != hex_of(digest):
                raise IntegrityError(f"the provenance does not name {title!a} as it is", code="wrong-subject")
    return True, f"{len(statements)} attached, about this release and each of its files"


def _recipe(layout: Layout, release: Release) -> tuple[bool | None, str]:
    statements = _statements(layout, release)
    if not statements or RECIPE not in release.files:
        return None, "no provenance to compare with"
    digest = _manifest_digest(layout.read(release, RECIPE))
    for statement in statements:
        try:
            stated = statement.predicate["buildDefinition"]["externalParameters"]["manifestDigest"]
        except (KeyError, TypeError):
            raise IntegrityError("the provenance names no manifest", code="malformed") from None
        if stated != digest:
            raise IntegrityError(
                f"the provenance is of manifest {str(stated)[:80]!a}, the release holds {digest}", code="wrong-recipe"
            )
    return True, f"the release holds the manifest {digest} that its provenance names"


def _statements(layout: Layout, release: Release) -> list[Statement]:
    """Of every provenance attached, signed or not; IntegrityError if one is not about ``release``."""
    what = f"the provenance of {release.ref}"
    payloads = [dsse.parse(data, what).payload for data in signed_provenances(layout, release)]
    statements: list[Statement] = []
    for payload in unsigned_provenances(layout, release):
        try:
            statements.append(parse_provenance(payload, what))
        except IntegrityError as error:
            if error.code != "wrong-type":
                raise
    statements += [parse_provenance(payload, what) for payload in dict.fromkeys(payloads)]
    for statement in statements:
        check_subject(statement, subject_of(release), what)
    return statements


def _manifest_digest(recipe: bytes) -> Digest:
    """Of manifest.json in the recipe, which is in canonical form. IntegrityError if the recipe is not sound."""
    files = files_of_tar(recipe)
    if "manifest.json" not in files:
        raise IntegrityError("the recipe holds no manifest", code="malformed")
    return digest_bytes(files["manifest.json"])
