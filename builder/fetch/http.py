"""HTTP as fetching needs it: https, or http to this machine itself; redirects that stay so; bounded patience."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TypeVar
from urllib.parse import urljoin, urlsplit

import requests

from builder.errors import StoreUnreachable

LOOPBACK = ("localhost", "127.0.0.1", "::1")
CONNECT_SECONDS, READ_SECONDS = 15, 60
ATTEMPTS = 4
MOST_REDIRECTS = 5
LONGEST_WAIT = 30.0
_AGAIN = (408, 425, 429, 500, 502, 503, 504)
_REDIRECTS = (301, 302, 303, 307, 308)

Result = TypeVar("Result")


class Unfinished(Exception):
    """The transfer broke off, or the server asks to come again later (``wait`` seconds)."""

    def __init__(self, message: str, wait: float = 0.0) -> None:
        super().__init__(message)
        self.wait = wait


def get(session: requests.Session, url: str, headers: Mapping[str, str]) -> requests.Response:
    """The answer to a GET, not yet read. Unfinished if it is worth trying again, StoreUnreachable if it is not.

    A status of 401 is an answer too. Headers of authorisation are not sent on to another host.
    """
    sent = dict(headers)
    for _ in range(MOST_REDIRECTS + 1):
        parts = urlsplit(url)
        if parts.scheme != "https" and parts.hostname not in LOOPBACK:
            raise StoreUnreachable(f"{url} is not an https address", help="addresses must be https")
        try:
            answer = session.get(
                url, headers=sent, stream=True, allow_redirects=False, timeout=(CONNECT_SECONDS, READ_SECONDS)
            )
        except (requests.ConnectionError, requests.Timeout) as error:
            raise Unfinished(_reason(error)) from error
        except (requests.RequestException, ValueError) as error:
            raise StoreUnreachable(f"cannot fetch {url}: {_reason(error)}") from error
        if answer.status_code in _REDIRECTS and "location" in answer.headers:
            target = urljoin(url, answer.headers["location"])
            if urlsplit(target).netloc != parts.netloc:
                sent.pop("Authorization", None)
            answer.close()
            url = target
            continue
        if answer.status_code in _AGAIN:
            answer.close()
            raise Unfinished(f"status {answer.status_code}", _retry_after(answer))
        if answer.status_code in (200, 206, 401, 416):
            return answer
        answer.close()
        raise StoreUnreachable(f"cannot fetch {url}: status {answer.status_code}", help=_HELP)
    raise StoreUnreachable(f"cannot fetch {url}: more than {MOST_REDIRECTS} redirects", help=_HELP)


_HELP = "check the address, add one under 'mirrors', or give a local copy: --source NAME=PATH"


def persist(url: str, attempt: Callable[[], Result], sleep: Callable[[float], None] = time.sleep) -> Result:
    """What ``attempt`` gives, tried again while it is Unfinished. StoreUnreachable after ATTEMPTS without progress."""
    for number in range(1, ATTEMPTS + 1):
        try:
            return attempt()
        except Unfinished as error:
            if number == ATTEMPTS:
                raise StoreUnreachable(f"cannot fetch {url}: {error}, {ATTEMPTS} times", help=_HELP) from error
            sleep(min(LONGEST_WAIT, max(error.wait, 0.5 * 2**number)))
    raise AssertionError("the last attempt returns or raises")


def _retry_after(answer: requests.Response) -> float:
    try:
        return max(0.0, float(answer.headers.get("retry-after", "0")))
    except ValueError:
        return 0.0


def _reason(error: Exception) -> str:
    text = str(error)
    for word in ("timed out", "refused", "reset", "resolve", "certificate verify failed"):
        if word in text:
            return f"connection {word}" if word in ("refused", "reset") else word
    return text.splitlines()[0][:200] if text else type(error).__name__
