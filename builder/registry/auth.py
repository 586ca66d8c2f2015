"""What a registry wants to hear before it answers: nothing, a user's password (Basic), or a token (Bearer).

Sources: OCI distribution specification 1.1; the token and OAuth2 specifications of the Distribution project
(realm, service, scope); RFC 7235 (challenges).
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from builder.errors import StoreUnreachable
from builder.registry.address import check_address, is_loopback
from builder.registry.credentials import Credentials, Lookup
from builder.registry.wire import Answer, Wire

LARGEST_ANSWER = 1 << 20
_PARAMETER = re.compile(r'\s*,?\s*([A-Za-z][\w-]*)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))')
_SCHEME = re.compile(r"\s*,?\s*([A-Za-z][\w-]*)(?=\s|$)(?!\s*=)")


@dataclass(frozen=True)
class Access:
    """A repository, and whether it is to be written to."""

    repository: str
    write: bool = False

    @property
    def scope(self) -> str:
        return f"repository:{self.repository}:{'pull,push' if self.write else 'pull'}"


def challenges(text: str) -> dict[str, dict[str, str]]:
    """Scheme in lower case -> its parameters, from a WWW-Authenticate header."""
    found: dict[str, dict[str, str]] = {}
    place, text = 0, text[:8192]
    while scheme := _SCHEME.match(text, place):
        place = scheme.end()
        parameters: dict[str, str] = {}
        while parameter := _PARAMETER.match(text, place):
            value = parameter[2] if parameter[2] is not None else parameter[3]
            parameters[parameter[1].lower()] = re.sub(r"\\(.)", r"\1", value)
            place = parameter.end()
        found[scheme[1].lower()] = parameters
    return found


class Login:
    """The authorisation for one registry; may be used by several threads.

    Tokens are kept for each access, and bought anew when the registry refuses the one it was shown.
    """

    def __init__(self, wire: Wire, host: str, base: str, lookup: Lookup) -> None:
        self._wire, self._host, self._base, self._lookup = wire, host, base, lookup
        self._lock = threading.Lock()
        self._credentials: Credentials | None = None
        self._asked = False
        self._basic = False
        self._bearer: Mapping[str, str] | None = None
        self._tokens: dict[Access, tuple[str, float]] = {}

    def header(self, access: Access) -> str | None:
        """What to send; None where nothing is known to be wanted."""
        with self._lock:
            if self._basic and self._credentials is not None:
                return self._credentials.basic
            return self._known(access)

    def answer(self, refused: Answer, access: Access, sent: str | None) -> None:
        """Learns from a 401. StoreUnreachable if there is no login, or the registry refuses it."""
        found = challenges(refused.headers.get("www-authenticate", ""))
        with self._lock:
            if self._known(access) not in (None, sent):
                return  # another thread was faster
            if "bearer" in found and "realm" in found["bearer"]:
                self._bearer, self._basic = found["bearer"], False
                self._tokens.pop(access, None)
                token, seconds = self._buy(access, found["bearer"].get("scope", ""))
                self._tokens[access] = (f"Bearer {token}", time.monotonic() + seconds)
            elif "basic" in found:
                credentials = self._login()
                if credentials is None or credentials.is_token or sent == credentials.basic:
                    raise self.refused(asked=credentials is None)
                self._basic = True
            else:
                raise StoreUnreachable(f"{self._host} wants a login of a kind that is not known here")

    def refused(self, *, asked: bool) -> StoreUnreachable:
        what = "asks for a login" if asked else "refuses the login"
        return StoreUnreachable(f"{self._host} {what}", help=f"log in with: docker login {self._host}", code="login")

    def _known(self, access: Access) -> str | None:
        for each in (access, Access(access.repository, write=True)):
            token, end = self._tokens.get(each, ("", 0.0))
            if token and time.monotonic() < end:
                return token
        return None

    def _login(self) -> Credentials | None:
        if not self._asked:
            self._credentials, self._asked = self._lookup(self._host), True
        return self._credentials

    def _buy(self, access: Access, wanted: str) -> tuple[str, float]:
        """A token and the seconds it is good for."""
        assert self._bearer is not None
        realm = self._bearer["realm"]
        check_address(realm)
        if is_loopback(realm) and not is_loopback(self._base):
            raise StoreUnreachable(f"{self._host} sends logins to this machine itself, which is not followed")
        # The registry may want more than the usual scope, such as that of a mirrored repository.
        scopes = list(dict.fromkeys([access.scope, *_other_scopes(wanted, access)]))
        service = [("service", self._bearer["service"])] if "service" in self._bearer else []
        credentials = self._login()
        if credentials is not None and credentials.is_token:
            form = [("grant_type", "refresh_token"), ("refresh_token", credentials.secret), ("client_id", "tinsmith")]
            body = urlencode([*form, *service, ("scope", " ".join(scopes))]).encode()
            sent = {"Content-Type": "application/x-www-form-urlencoded"}
            method, url = "POST", realm
        else:
            query = urlencode([*service, *(("scope", scope) for scope in scopes)])
            url = f"{realm}{'&' if '?' in realm else '?'}{query}"
            method, body = "GET", None
            sent = {"Authorization": credentials.basic} if credentials is not None else {}

        def ask() -> tuple[int, bytes]:
            with self._wire.exchange(method, url, sent, body) as answer:
                return answer.status, answer.small(LARGEST_ANSWER)

        status, data = self._wire.persist(f"cannot get a token for {self._host}", ask)
        if status != 200:
            raise self.refused(asked=credentials is None)
        try:
            found = json.loads(data)
            token = found.get("token") or found["access_token"]
            seconds = found.get("expires_in", 60)
            if not isinstance(token, str) or not re.fullmatch(r"[\x21-\x7e]+", token):
                raise TypeError
            # As long as it says, and a little less for the way there; never for ever.
            return token, min(3600.0, max(10.0, float(seconds) * 0.9 if isinstance(seconds, (int, float)) else 60.0))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError) as error:
            raise StoreUnreachable(f"cannot use {self._host}: its token service gives no token") from error


def _other_scopes(wanted: str, access: Access) -> Iterator[str]:
    for scope in wanted.split()[:8]:
        kind, _, rest = scope.partition(":")
        if (kind, rest.rpartition(":")[0]) != ("repository", access.repository):
            yield scope
