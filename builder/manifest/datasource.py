"""Where files come from: a folder, an archive by address and hash, a commit of git, an OCI artifact."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from builder.manifest.fields import Name, Part, Problem, check_line, refuse, unique

_HOST = r"[A-Za-z0-9.-]+(?::[0-9]{1,5})?"
_PATH = r"(?:/[A-Za-z0-9._~%+,=-]+)+/?"
_HTTPS = re.compile(rf"https://{_HOST}{_PATH}")
_LOOPBACK = re.compile(rf"http://(?:localhost|127\.0\.0\.1|\[::1\])(?::[0-9]{{1,5}})?{_PATH}")
_OCI = re.compile(rf"{_HOST}(?:/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)+@sha256:[0-9a-f]{{64}}")
_OCI_MIRROR = re.compile(rf"{_HOST}(?:/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)+")


def check_address(url: str) -> str:
    """``url`` if it is a plain https address; http is for this machine itself, where nothing can listen in."""
    if not (_HTTPS.fullmatch(url) or _LOOPBACK.fullmatch(url)) or "/../" in url or "/./" in url:
        has_user = re.match(r"https?://[^/]*@", url)
        problem = "must not hold a user or password" if has_user else "is not an https address"
        raise refuse(Problem("invalid-value", f"the address {problem}", "https://host/path, with nothing after it"))
    return url


def _check_oci(reference: str) -> str:
    if not _OCI.fullmatch(reference):
        raise refuse(
            Problem("invalid-value", "oci is not a reference by digest", "host/repository@sha256:<64 hex digits>")
        )
    return reference


def _check_path(path: str) -> str:
    if path.startswith(("/", "~")) or "\\" in path or re.match(r"[A-Za-z]:", path):
        raise refuse(
            Problem(
                "invalid-value",
                "path must be relative to the manifest's folder, with forward slashes",
                "for a copy elsewhere on this machine: --source NAME=PATH",
            )
        )
    return check_line(path)


def check_inside(path: str) -> str:
    """``path`` if it is a path within the source."""
    if ".." in path.split("/"):
        raise refuse(Problem("invalid-value", "must lie within the source", "a path without '..'"))
    return _check_path(path)


def check_glob(pattern: str) -> str:
    """``pattern`` if it is a glob over paths within the source."""
    check_inside(pattern)
    if any("**" in part and part != "**" for part in pattern.split("/")):
        raise refuse(Problem("invalid-value", "'**' must stand alone between slashes", "such as **/*.jpg"))
    if re.search(r"\[[^\]]*/|\[!?\]|\[[^\]]*$", pattern):
        raise refuse(Problem("invalid-value", "a '[' without its ']' in one name", "such as [0-9]"))
    try:
        re.compile("".join(re.findall(r"\[[^\]]+\]", pattern)))
    except re.error:
        raise refuse(Problem("invalid-value", "a range in brackets runs backwards", "such as [0-9]")) from None
    if pattern.count("**") > 4 or len(pattern) > 200:
        raise refuse(Problem("out-of-range", "the glob is too long", "at most 200 characters and four '**'"))
    return pattern


Inside = Annotated[str, StringConstraints(max_length=1000), AfterValidator(check_inside)]
"""A file or folder within a source."""
Glob = Annotated[str, AfterValidator(check_glob)]
Globs = Annotated[tuple[Glob, ...], Field(max_length=100), AfterValidator(unique("glob"))]

_ORIGINS = ("path", "git", "url", "oci")
_WITNESS = {"git": "commit", "url": "sha256"}


class Source(Part):
    """A named set of files, from one origin: 'path', 'git' with 'commit', 'url' with 'sha256', or 'oci'."""

    name: Annotated[Name, Field(description="What --source NAME=PATH calls it, to take a local copy instead.")]
    path: Annotated[
        Annotated[str, AfterValidator(_check_path)] | None,
        Field(description="A folder, relative to the manifest's own."),
    ] = None
    git: Annotated[
        Annotated[str, AfterValidator(check_address)] | None, Field(description="Address of a git repository, https.")
    ] = None
    commit: Annotated[
        Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40}$")] | None,
        Field(description="The commit of 'git': 40 hex digits. A branch or tag may move."),
    ] = None
    url: Annotated[
        Annotated[str, AfterValidator(check_address)] | None,
        Field(description="Address of an archive, https: tar (plain, gz, bz2, xz) or zip."),
    ] = None
    sha256: Annotated[
        Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")] | None,
        Field(description="The hash of the archive at 'url': the 64 hex digits of sha256sum."),
    ] = None
    oci: Annotated[
        Annotated[str, AfterValidator(_check_oci)] | None,
        Field(description="An OCI artifact by digest, host/repository@sha256:…; its layers are files or tars."),
    ] = None
    mirrors: Annotated[
        tuple[Annotated[str, StringConstraints(max_length=1000)], ...],
        Field(max_length=20, description="Other addresses of the same files, of the same kind, tried in turn."),
        AfterValidator(unique("mirror")),
    ] = ()
    include: Annotated[
        Globs, Field(description="Globs of the files that count; all if empty. '**' is any folders.")
    ] = ()
    exclude: Annotated[Globs, Field(description="Globs of files that do not count though 'include' names them.")] = ()

    @model_validator(mode="after")
    def _one_origin(self) -> Source:
        given = [key for key in _ORIGINS if getattr(self, key) is not None]
        if not given:
            raise refuse(
                Problem("missing-key", "source needs 'path', 'git' with 'commit', 'url' with 'sha256', or 'oci'")
            )
        if len(given) > 1:
            raise refuse(Problem("conflict", f"source has both '{given[0]}' and '{given[1]}'", "keep one", (given[1],)))
        problems = []
        for origin, witness in _WITNESS.items():
            if origin in given and getattr(self, witness) is None:
                help = {"git": "the 40 hex digits of 'git rev-parse'; a branch or tag may move", "url": "see sha256sum"}
                message = f"source has '{origin}' but no '{witness}'"
                problems.append(Problem("missing-key", message, help[origin], (origin,)))
            if origin not in given and getattr(self, witness) is not None:
                message = f"'{witness}' belongs to '{origin}', not to '{given[0]}'"
                problems.append(Problem("conflict", message, "remove it", (witness,)))
        problems += self._mirrors(given[0])
        if problems:
            raise refuse(*problems)
        return self

    def _mirrors(self, origin: str) -> list[Problem]:
        if self.mirrors and origin == "path":
            return [Problem("no-effect", "a folder has no mirrors", "remove 'mirrors'", ("mirrors",))]
        fits = (
            _OCI_MIRROR.fullmatch
            if origin == "oci"
            else lambda text: _HTTPS.fullmatch(text) or _LOOPBACK.fullmatch(text)
        )
        form = "host/repository, without a digest" if origin == "oci" else "https://host/path, with nothing after it"
        return [
            Problem("invalid-value", f"mirrors[{index}] is not an address for '{origin}'", form, ("mirrors", index))
            for index, mirror in enumerate(self.mirrors)
            if not fits(mirror)
        ]
