"""The hook's settings: the section ``tinsmith`` of the repository's own git configuration, on the server.

A push cannot change that file; what is pushed decides nothing that is set here.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from builder.changes import git
from builder.changes.manifests import DEFAULT
from builder.errors import UsageError
from builder.hook.place import Place
from builder.registry.reference import Remote, parse_reference
from builder.settings import BUILD_ENGINES
from builder.store.places import is_shared

SECTION = "tinsmith"


@dataclass(frozen=True)
class Settings:
    """``branches``: those that are built. ``store``: a folder, or the URL of a shared store. ``push``: host/prefix that
    releases go to, if anywhere. ``key``: file of the private key that signs. ``toml``: a tinsmith.toml for the builds.
    ``paths``: manifests and folders of them."""

    branches: tuple[str, ...]
    store: str | Path
    releases: Path
    push: str | None = None
    key: Path | None = None
    engine: str = "auto"
    toml: Path | None = None
    paths: tuple[str, ...] = (DEFAULT,)


def read(place: Place) -> Settings | None:
    """None if the repository has no such section. UsageError for settings that cannot be used."""
    done = git.run(["config", "--local", "-z", "--get-regexp", rf"^{SECTION}\."], git_dir=place.git_dir)
    if done.returncode not in (0, 1):
        raise UsageError(f"the configuration of {place.git_dir} cannot be read: {git.said(done)}")
    values: dict[str, list[str]] = {}
    for item in os.fsdecode(done.stdout).split("\0")[:-1]:
        name, _, value = item.partition("\n")
        values.setdefault(name.removeprefix(f"{SECTION}."), []).append(value)
    if "branch" not in values:
        return None
    last = {name: found[-1] for name, found in values.items() if found[-1]}
    return checked(
        Settings(
            branches=tuple(values["branch"]),
            store=_store(place, last.get("store")),
            releases=_path(place, last.get("releases")) or place.releases,
            push=last.get("push"),
            key=_path(place, last.get("key")),
            engine=last.get("engine", "auto"),
            toml=_path(place, last.get("settings")),
            paths=tuple(values.get("manifests", (DEFAULT,))),
        )
    )


def write(place: Place, settings: Settings) -> None:
    """Replaces the section; settings that are the default are left out. UsageError if git cannot write it."""
    checked(settings)
    values: dict[str, tuple[str, ...]] = {
        "branch": settings.branches,
        "store": (str(settings.store),) if settings.store != place.store else (),
        "releases": (str(settings.releases),) if settings.releases != place.releases else (),
        "push": (settings.push,) if settings.push else (),
        "key": (str(settings.key),) if settings.key else (),
        "engine": (settings.engine,) if settings.engine != "auto" else (),
        "settings": (str(settings.toml),) if settings.toml else (),
        "manifests": settings.paths if settings.paths != (DEFAULT,) else (),
    }
    for name, wanted in values.items():
        git.run(["config", "--local", "--unset-all", f"{SECTION}.{name}"], git_dir=place.git_dir)
        for value in wanted:
            done = git.run(["config", "--local", "--add", f"{SECTION}.{name}", value], git_dir=place.git_dir)
            if done.returncode != 0:
                raise UsageError(f"the configuration of {place.git_dir} cannot be written: {git.said(done)}")


def checked(settings: Settings) -> Settings:
    """``settings``, or UsageError with what is wrong with them."""
    if settings.push is not None:
        target(settings.push, "any")
    if settings.engine not in BUILD_ENGINES:
        raise UsageError(f"no engine is called {settings.engine!a}", help=f"one of: {', '.join(BUILD_ENGINES)}")
    for path in settings.paths:
        if path.startswith(("/", "-")) or ".." in path.split("/") or not path.isprintable() or not path:
            raise UsageError(f"{path!a} is no path within the repository")
    return settings


def target(push: str, name: str) -> str:
    """The repository of releases called ``name``. UsageError if ``push`` is not host/prefix."""
    found = parse_reference(f"{push.rstrip('/')}/{name}")
    if not isinstance(found, Remote) or found.tag is not None or found.which.digest or found.which.versions:
        raise UsageError(f"{push!a} is no place to push releases to", help="HOST/PREFIX, such as ghcr.io/team/models")
    return str(found)


def _store(place: Place, text: str | None) -> str | Path:
    """A folder, or the URL of a shared store."""
    return text if text and is_shared(text) else _path(place, text) or place.store


def _path(place: Place, text: str | None) -> Path | None:
    """Relative ones are relative to the git folder."""
    return place.git_dir / Path(text).expanduser() if text else None
