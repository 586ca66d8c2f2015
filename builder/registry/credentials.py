"""Logins as ``docker login`` keeps them: in its configuration file, or in the credential helper that this names.

Source: the Docker CLI's documentation of config.json (auths, credsStore, credHelpers) and the protocol of
docker-credential-helpers. What a helper prints is bounded in size and time, and never shown.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from builder.errors import StoreUnreachable

HELPER_SECONDS = 30.0
LARGEST = 1 << 20
DOCKER_HUB = "docker.io"
_HUB_KEY = "https://index.docker.io/v1/"
_HELPER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*", re.ASCII)


@dataclass(frozen=True)
class Credentials:
    """A user with a password, or a token that buys tokens (OAuth2 refresh token). Never printed."""

    user: str = field(repr=False)
    secret: str = field(repr=False)
    is_token: bool = False

    @property
    def basic(self) -> str:
        """The value of an Authorization header."""
        return "Basic " + base64.b64encode(f"{self.user}:{self.secret}".encode()).decode("ascii")


Lookup = Callable[[str], Credentials | None]
"""From a registry's ``host[:port]`` to the login for it."""


def anonymous(host: str) -> None:
    """A Lookup that knows nobody."""


def docker_credentials(host: str) -> Credentials | None:
    """The login that Docker's configuration has for ``host``; None if there is none.

    StoreUnreachable if the configuration or the helper it names cannot be read.
    """
    path = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker") / "config.json"
    try:
        with path.open("rb") as stream:
            data = stream.read(LARGEST + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise StoreUnreachable(f"{path} cannot be read: {error.strerror}") from error
    try:
        config = json.loads(data) if len(data) <= LARGEST else None
    except (ValueError, RecursionError):
        config = None
    if not isinstance(config, dict):
        raise StoreUnreachable(
            f"{path} is not Docker's configuration", help="correct it, or log in again: docker login"
        )
    keys = _keys(host)
    helper = _first(config.get("credHelpers"), keys) or config.get("credsStore")
    if helper:
        return _from_helper(helper, keys, path)
    return _from_auth(_first(config.get("auths"), keys), path)


def _keys(host: str) -> tuple[str, ...]:
    """The names that tools have for ``host``, the usual one first."""
    keys = (host, f"https://{host}", f"https://{host}/", f"https://{host}/v1/", f"https://{host}/v2/", f"http://{host}")
    return (_HUB_KEY, *keys) if host == DOCKER_HUB else keys


def _first(section: Any, keys: tuple[str, ...]) -> Any:
    if not isinstance(section, dict):
        return None
    return next((section[key] for key in keys if key in section), None)


def _from_auth(entry: Any, path: Path) -> Credentials | None:
    if not isinstance(entry, dict):
        return None
    user, secret = entry.get("username"), entry.get("password")
    if entry.get("auth"):
        try:
            user, _, secret = base64.b64decode(entry["auth"], validate=True).decode().partition(":")
        except (ValueError, TypeError, binascii.Error):
            raise StoreUnreachable(f"{path} has a damaged login", help="log in again: docker login") from None
    if isinstance(entry.get("identitytoken"), str) and entry["identitytoken"]:
        return Credentials("", entry["identitytoken"], is_token=True)
    if isinstance(user, str) and isinstance(secret, str) and user:
        return Credentials(user, secret.rstrip("\0"))
    return None


def _from_helper(helper: Any, keys: tuple[str, ...], path: Path) -> Credentials | None:
    if not isinstance(helper, str) or not _HELPER.fullmatch(helper):
        raise StoreUnreachable(f"{path} names a credential helper that cannot be: {str(helper)[:60]!a}")
    program = shutil.which(f"docker-credential-{helper}")
    if program is None:
        raise StoreUnreachable(
            f"docker-credential-{helper}, which {path} names, is not on PATH", help="install it, or log in again"
        )
    for key in keys[:3] if keys[0] != _HUB_KEY else keys[:1]:
        answer = _ask(program, key)
        if answer is not None:
            return answer
    return None


def _ask(program: str, key: str) -> Credentials | None:
    """One question to a helper. It runs in a process group of its own, of which nothing is left."""
    process = subprocess.Popen(
        [program, "get"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    assert process.stdin is not None and process.stdout is not None
    data = bytearray()

    def talk() -> None:
        assert process.stdin is not None and process.stdout is not None
        try:
            process.stdin.write(key.encode())
            process.stdin.close()
        except OSError:
            pass  # it does not read the question
        while len(data) <= LARGEST and (block := os.read(process.stdout.fileno(), 1 << 16)):
            data.extend(block)

    thread = threading.Thread(target=talk, daemon=True)
    thread.start()
    thread.join(HELPER_SECONDS)
    late = thread.is_alive()
    try:
        status = None if late or len(data) > LARGEST else process.wait(HELPER_SECONDS)
    except subprocess.TimeoutExpired:
        status = None
    _kill(process)
    thread.join(1.0)
    process.stdout.close()
    if status is None:
        problem = "prints too much" if len(data) > LARGEST else f"does not answer within {HELPER_SECONDS:g} s"
        raise StoreUnreachable(f"{Path(program).name} {problem}", help="log in again: docker login")
    if status != 0:
        return None  # it does not know the registry
    try:
        found = json.loads(bytes(data))
        user, secret = found["Username"], found["Secret"]
        if not isinstance(user, str) or not isinstance(secret, str):
            raise TypeError
    except (ValueError, KeyError, TypeError, RecursionError):
        raise StoreUnreachable(
            f"{Path(program).name} answers with no login", help="log in again: docker login"
        ) from None
    return Credentials("", secret, is_token=True) if user == "<token>" else Credentials(user, secret)


def _kill(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    if process.stdin is not None and not process.stdin.closed:
        with suppress(OSError):
            process.stdin.close()
