"""``tinsmith.toml``: settings of a project (the folder or one above it) and of a user (XDG configuration folder)."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from builder.errors import UsageError
from builder.manifest.diagnose import nearest

FILE = "tinsmith.toml"
CHOSEN = "TINSMITH_SETTINGS"
"""The variable that names the project's file, so that none is looked for; empty: there is none."""
_LARGEST = 1 << 20

Pattern = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._:/*?-]+$", max_length=256)]
"""A glob: ``*`` and ``?`` stand for anything but a slash, ``**`` for any folders."""


class Section(BaseModel):
    """Unknown keys and inexact types are errors."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")


class Sign(Section):
    """``key``: the file of the private key that releases are signed with. ``builder``: URI of who builds, for
    provenance."""

    key: Annotated[str, Field(min_length=1, max_length=4096)] | None = None
    builder: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9+.-]*:[!-~]+$", max_length=256)] | None = None


class Trust(Section):
    """Which releases may come from where, and whose signature they need. See ``builder.trust.policy``."""

    names: Annotated[list[Pattern], Field(min_length=1, max_length=256)]
    registries: Annotated[list[Pattern], Field(min_length=1, max_length=256)] | None = None
    keys: Annotated[list[str], Field(min_length=1, max_length=64)]
    index_keys: Annotated[list[str], Field(min_length=1, max_length=64)] | None = None
    threshold: Annotated[int, Field(ge=1, le=64)] = 1
    index: bool = True


Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_.:-]*$", max_length=128)]
Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]
SCHEDULER = r"^((tcp|tls)://[!-~]+:[0-9]{1,5}|wss?://[!-~]+)$"
"""The address of a Dask scheduler."""


class Cluster(Section):
    """``scheduler``: the Dask scheduler that builds with ``--engine dask`` and workers go to. ``demand``: resources
    that steps demand of a worker, by the step's name."""

    scheduler: Annotated[str, StringConstraints(pattern=SCHEDULER, max_length=256)] | None = None
    demand: Annotated[dict[Name, dict[Name, Amount]], Field(max_length=256)] = {}


class Settings(Section):
    sign: Sign = Sign()
    cluster: Cluster = Cluster()
    trust: Annotated[list[Trust], Field(max_length=256)] = []


@dataclass(frozen=True)
class Configuration:
    """A settings file as read; paths in ``settings`` are relative to the folder of ``path``."""

    path: Path
    settings: Settings

    def file(self, name: str) -> Path:
        return self.path.parent / Path(name).expanduser()


def configurations(folder: Path | None = None) -> tuple[Configuration, ...]:
    """Those that hold for work in ``folder`` (the current one if None): the project's first, then the user's.

    UsageError with file, line and all that is wrong in the first file that has an error.
    """
    paths = [path for path in (project_file(folder or Path.cwd()), user_file()) if path is not None and path.is_file()]
    return tuple(Configuration(path, read_settings(path)) for path in dict.fromkeys(paths))


def scheduler_address(chosen: str | None) -> str:
    """``chosen``, or else the scheduler of ``configurations()``. UsageError if there is none, or it is no address."""
    found = chosen or next(
        (one.settings.cluster.scheduler for one in configurations() if one.settings.cluster.scheduler), None
    )
    if found is None:
        raise UsageError(
            "no scheduler is named",
            help="--scheduler tcp://HOST:8786, TINSMITH_SCHEDULER, or [cluster] scheduler in tinsmith.toml",
        )
    if not re.fullmatch(SCHEDULER, found):
        raise UsageError(f"{found!a:.200} is no address of a scheduler", help="tcp://HOST:8786, or tls://HOST:8786")
    return found


def project_file(folder: Path) -> Path | None:
    """The file that TINSMITH_SETTINGS names, else the nearest ``tinsmith.toml`` in ``folder`` or above it.

    UsageError if the variable names no file: who sets it must not be left with other rules.
    """
    chosen = os.environ.get(CHOSEN)
    if chosen:
        if not Path(chosen).is_file():
            raise UsageError(f"{CHOSEN} names {chosen}, which is no file")
        return Path(chosen).absolute()
    if chosen is not None:
        return None
    place = folder.absolute()
    return next((path for parent in (place, *place.parents) if (path := parent / FILE).is_file()), None)


def user_file() -> Path:
    """Where a user's own settings lie, if there are any."""
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "tinsmith" / FILE


def read_settings(path: Path) -> Settings:
    """The settings in the file at ``path``. UsageError as for ``configurations``."""
    try:
        with path.open("rb") as stream:
            data = stream.read(_LARGEST + 1)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    if len(data) > _LARGEST:
        raise UsageError(f"{path} is larger than {_LARGEST:,} bytes")
    return parse_settings(data, str(path))


def parse_settings(data: bytes, file: str) -> Settings:
    """The settings in ``data``; ``file`` is what errors call it."""
    try:
        text = data.decode("utf-8")
        values = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{file} is not TOML: {error}") from error
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        wrong = [_told(text, file, item) for item in error.errors(include_url=False, include_input=False)]
        raise UsageError("\n".join(message for message, _ in wrong), help=wrong[0][1]) from error


def _told(text: str, file: str, item: Any) -> tuple[str, str | None]:
    """One problem with its place, and a way out."""
    path = tuple(part for part in item["loc"] if part != "[key]")  # pydantic's mark of a key that is wrong itself
    name = ".".join(str(part) for part in path if not isinstance(part, int))
    place = f"{file}:{_line(text, path)}"
    if item["type"] != "extra_forbidden":
        return f"{place}: {name}: {item['msg']}", None
    known = _known(path[:-1])
    near = nearest(str(path[-1]), known)
    help = f"did you mean '{near}'?" if near else "known: " + ", ".join(known)
    return f"{place}: no setting is called '{name}'", help


def _known(section: Sequence[str | int]) -> list[str]:
    models: dict[str, type[BaseModel]] = {"sign": Sign, "trust": Trust, "cluster": Cluster}
    return list((models[str(section[0])] if section else Settings).model_fields)


def _line(text: str, path: Sequence[str | int]) -> int:
    """The line of the key at ``path``, as well as it can be found without positions from the parser; from 1.

    That of the innermost table or key around it where it has no line of its own.
    """
    keys = tuple(part for part in path if isinstance(part, str))
    number = path[1] if len(path) > 1 and isinstance(path[1], int) else 0
    table: tuple[str, ...] = ()
    found, depth, seen = 1, 0, -1
    for index, line in enumerate(text.splitlines(), 1):
        if header := _TABLE.match(line):
            here = table = _parts(header[1])
            seen += table == keys[:1]
        elif key := _KEY.match(line):
            here = (*table, *_parts(key[1]))
        else:
            continue
        if len(here) > depth and here == keys[: len(here)] and (table[:1] != keys[:1] or max(seen, 0) == number):
            found, depth = index, len(here)
    return found


_TABLE = re.compile(r"\s*\[\[?\s*([^\]#]+?)\s*\]")
_KEY = re.compile(r"\s*([A-Za-z0-9_\"'.:-]+)\s*=")


def _parts(keys: str) -> tuple[str, ...]:
    return tuple(part.strip(" \t\"'") for part in keys.split("."))
