"""A registry's API: manifests, blobs, tags, referrers. Every answer is bounded, and hashed where a digest is known.

Source: OCI distribution specification 1.1.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from builder.digest import Digest, digest_bytes, is_digest
from builder.errors import IntegrityError, StoreUnreachable
from builder.registry.address import LOOPBACK, joined, origin
from builder.registry.auth import Access, Login
from builder.registry.credentials import DOCKER_HUB, Lookup, docker_credentials
from builder.registry.wire import Answer, Body, Limits, Result, Unfinished, Wire
from builder.release.document import INDEX_TYPE, MANIFEST_TYPE
from builder.release.release import LARGEST_DOCUMENT, Blob, parse_referrers

DOCKER_MANIFEST_TYPE = "application/vnd.docker.distribution.manifest.v2+json"
_ACCEPT = ", ".join((MANIFEST_TYPE, INDEX_TYPE, DOCKER_MANIFEST_TYPE))
_MOST_PAGES = 1000
_LARGEST_LIST = 64 << 20
"""Bytes of all pages of a list."""
_NEXT = re.compile(r'<([^<>]{1,4000})>\s*;(?:[^,]*;)?\s*rel="?next"?', re.IGNORECASE)


class Registry:
    """The registry at ``host[:port]``, for ``threads`` threads at once. A context manager.

    Every method raises StoreUnreachable if the registry cannot be reached, refuses the login, or has not what is asked
    for, and IntegrityError if it gives other bytes than a digest says.
    """

    def __init__(
        self, host: str, *, lookup: Lookup = docker_credentials, limits: Limits | None = None, threads: int = 4
    ) -> None:
        self.host = host
        self.wire = Wire(limits or Limits(), threads)
        name = host if host.endswith("]") else host.rpartition(":")[0] or host
        scheme = "http" if name.strip("[]") in LOOPBACK else "https"
        self.base = f"{scheme}://{'registry-1.docker.io' if host == DOCKER_HUB else host}/v2"
        self._login = Login(self.wire, host, self.base, lookup)

    def __enter__(self) -> Registry:
        return self

    def __exit__(self, *_: object) -> None:
        self.wire.close()

    @contextmanager
    def ask(
        self,
        method: str,
        url: str,
        access: Access,
        headers: Mapping[str, str] | None = None,
        body: Callable[[], Body] | bytes | None = None,
        *,
        small: bool = True,
    ) -> Iterator[Answer]:
        """One exchange, with the login that it takes. ``body`` gives a fresh body each time it is called."""
        for last in (False, True):
            sent = dict(headers or {})
            authorization = self._login.header(access) if origin(url) == origin(self.base) else None
            if authorization is not None:
                sent["Authorization"] = authorization
            with self.wire.exchange(method, url, sent, body() if callable(body) else body, small=small) as answer:
                if answer.status == 401 and origin(answer.url) == origin(self.base):
                    if last:
                        raise self._login.refused(asked=False)
                    self._login.answer(answer, access, authorization)
                    continue
                yield answer
                return

    def url(self, repository: str, *words: str) -> str:
        return "/".join((self.base, repository, *words))

    def persist(self, what: str, attempt: Callable[[], Result], reached: Callable[[], int] = lambda: 0) -> Result:
        """See ``Wire.persist``."""
        return self.wire.persist(what, attempt, reached)

    def ping(self) -> None:
        """Whether there is a registry at all, and takes the login if it asks for one."""

        def attempt() -> None:
            with self.wire.exchange("GET", f"{self.base}/", {}) as answer:
                if answer.status not in (200, 401):
                    raise StoreUnreachable(f"{self.host} is no registry: status {answer.status}")

        self.persist(f"cannot reach {self.host}", attempt)

    def manifest(self, repository: str, reference: str) -> bytes | None:
        """The manifest or index of a tag or digest; None if there is none."""
        url = self.url(repository, "manifests", reference)

        def attempt() -> bytes | None:
            with self.ask("GET", url, Access(repository), {"Accept": _ACCEPT}) as answer:
                if answer.status == 404:
                    return None
                if answer.status != 200:
                    raise self.failed(f"cannot read {repository}:{reference}", answer)
                data = answer.small(LARGEST_DOCUMENT)
                said = answer.headers.get("docker-content-digest", "")
            for expected in (reference, said):
                if is_digest(expected) and digest_bytes(data) != expected:
                    raise IntegrityError(f"{url} has other bytes than its digest says: {digest_bytes(data)}")
            return data

        return self.persist(f"cannot read {url}", attempt)

    def tagged(self, repository: str, tag: str) -> bytes | None:
        """The manifest or index of ``tag``; None only if the list of tags agrees that there is none.

        StoreUnreachable if the two contradict each other, also when asked again.
        """
        for _ in range(self.wire.limits.attempts):
            data = self.manifest(repository, tag)
            if data is not None or tag not in self.tags(repository):
                return data
            self.wire.pause(self.wire.limits.first_wait)  # somebody may have written it between the two
        raise StoreUnreachable(
            f"{self.host}/{repository}:{tag} is listed and cannot be read",
            help="try again; the registry may be damaged",
        )

    def put_manifest(self, repository: str, reference: str, data: bytes, media_type: str) -> None:
        """Writes a manifest or index under its digest or a tag."""
        url, digest = self.url(repository, "manifests", reference), digest_bytes(data)

        def attempt() -> None:
            with self.ask("PUT", url, Access(repository, write=True), {"Content-Type": media_type}, data) as answer:
                said = answer.headers.get("docker-content-digest", digest)
                if answer.status == 201 and said == digest:
                    return
                if answer.status == 201 or (answer.status == 400 and "DIGEST_INVALID" in self.said(answer)):
                    raise Unfinished("other bytes arrived than were sent")
                raise self.failed(f"cannot write {repository}:{reference}", answer)

        self.persist(f"cannot write {url}", attempt)

    def has_blob(self, repository: str, digest: Digest, size: int) -> bool:
        """Whether the registry says that it has the blob, whole."""
        url = self.url(repository, "blobs", digest)

        def attempt() -> bool:
            with self.ask("HEAD", url, Access(repository, write=True)) as answer:
                if answer.status == 200:
                    return answer.length in (None, size)
                if answer.status == 404:
                    return False
                raise self.failed(f"cannot look for {digest} in {repository}", answer)

        return self.persist(f"cannot reach {url}", attempt)

    def small_blob(self, repository: str, blob: Blob) -> bytes:
        """A blob that fits into memory, checked."""
        url = self.url(repository, "blobs", blob.digest)

        def attempt() -> bytes:
            with self.ask("GET", url, Access(repository)) as answer:
                if answer.status == 404:
                    raise Unfinished("the registry has it not")
                if answer.status != 200:
                    raise self.failed(f"cannot read {url}", answer)
                data = answer.small(blob.size)
            if digest_bytes(data) != blob.digest:
                raise IntegrityError(f"{url} has other bytes than its digest says: {digest_bytes(data)}")
            return data

        return self.persist(f"cannot read {url}", attempt)

    def tags(self, repository: str) -> list[str]:
        """Every tag, in the registry's order; none if there is no such repository."""
        url, found, read = self.url(repository, "tags", "list") + "?n=1000", dict[str, None](), 0
        for _ in range(_MOST_PAGES):
            data, following = self._page(url, repository)
            if data is None:
                return []
            before, read = len(found), read + len(data)
            if read > _LARGEST_LIST:
                break
            found.update(dict.fromkeys(_names(data, url)))
            if following is None or len(found) == before:
                return list(found)
            url = self._following(url, following)
        raise StoreUnreachable(f"{repository} has more tags than are read", help="name a version")

    def referrers(self, repository: str, digest: Digest) -> list[Blob] | None:
        """The OCI manifests that refer to ``digest``; None if the registry has not this part of the API."""
        url, found, read = self.url(repository, "referrers", digest), dict[str, Blob](), 0
        for _ in range(_MOST_PAGES):
            data, following = self._page(url, repository, referrers=True)
            if data is None:
                return None
            before, read = len(found), read + len(data)
            if read > _LARGEST_LIST:
                break
            found.update({blob.digest: blob for blob in parse_referrers(data)})
            if following is None or len(found) == before:
                return list(found.values())
            url = self._following(url, following)
        raise StoreUnreachable(f"{repository} has more referrers than are read")

    def _following(self, url: str, link: str) -> str:
        target = joined(url, link)
        if origin(target) != origin(self.base):
            raise StoreUnreachable(f"{self.host} continues a list on another host")
        return target

    def _page(self, url: str, repository: str, *, referrers: bool = False) -> tuple[bytes | None, str | None]:
        """A page of a list, None if there is no such list; and where the next one is."""

        def attempt() -> tuple[bytes | None, str | None]:
            with self.ask("GET", url, Access(repository), {"Accept": INDEX_TYPE} if referrers else {}) as answer:
                if answer.status in (404, 405, 501) or (referrers and answer.status in (400, 403)):
                    return None, None
                if answer.status != 200:
                    raise self.failed(f"cannot read {url}", answer)
                if referrers and INDEX_TYPE not in answer.headers.get("content-type", ""):
                    return None, None  # some answer with a page for people
                data = answer.small(LARGEST_DOCUMENT)
                following = _NEXT.search(answer.headers.get("link", "")[:8192])
            return data, following[1] if following else None

        return self.persist(f"cannot read {url}", attempt)

    def said(self, answer: Answer) -> str:
        """What a registry says of an error, fit to be printed."""
        try:
            data = answer.small(1 << 16)
            first = json.loads(data)["errors"][0]
            text = f"{first.get('code', '')} {first.get('message', '')}"
        except (Unfinished, StoreUnreachable, ValueError, LookupError, TypeError, AttributeError, RecursionError):
            return ""
        return re.sub(r"[^\x20-\x7e]+", " ", text).strip()[:200]

    def failed(self, what: str, answer: Answer) -> StoreUnreachable:
        said = self.said(answer)
        text = f"{what}: {self.host} answers with status {answer.status}" + (f" ({said})" if said else "")
        if answer.status in (401, 403):
            return StoreUnreachable(
                text, help=f"log in with an account that may do this: docker login {self.host}", code="login"
            )
        return StoreUnreachable(text)


def _names(data: bytes, url: str) -> list[str]:
    try:
        names = json.loads(data)["tags"] or []
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise TypeError
        return names
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise StoreUnreachable(f"{url} gives no list of tags") from error
