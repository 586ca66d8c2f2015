"""Arguments and options that several verbs share, declared once."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from builder.errors import UsageError
from builder.settings import RELEASES, STORE

if TYPE_CHECKING:
    from builder.manifest.family import Family

Manifests = Annotated[
    list[Path], typer.Argument(metavar="MANIFEST...", help="Manifest files.", show_default=False, parser=Path)
]
Places = Annotated[
    list[Path],
    typer.Argument(
        metavar="MANIFEST_OR_FOLDER...", help="Manifests, and folders of them.", show_default=False, parser=Path
    ),
]
Sources = Annotated[
    list[str] | None,
    typer.Option("--source", metavar="NAME=PATH", help="A local copy of a named data source."),
]
StoreFolder = Annotated[
    str,
    typer.Option(
        "--store", metavar="FOLDER_OR_URL", envvar="TINSMITH_STORE",
        help="Step results and blobs: a folder, or s3://BUCKET/PREFIX or file:///FOLDER that machines share.",
    ),
]  # fmt: skip
ReleaseFolder = Annotated[
    Path, typer.Option("--releases", envvar="TINSMITH_RELEASES", help="OCI image layout of releases.")
]
EngineName = Annotated[str, typer.Option("--engine", envvar="TINSMITH_ENGINE", help="auto, docker or local.")]
BuildEngine = Annotated[str, typer.Option("--engine", envvar="TINSMITH_ENGINE", help="auto, docker, local or dask.")]
Scheduler = Annotated[
    str | None,
    typer.Option("--scheduler", envvar="TINSMITH_SCHEDULER", metavar="ADDRESS", help="Of Dask: tcp://HOST:8786."),
]
Progress = Annotated[str, typer.Option("--progress", help="auto, tty, plain, quiet or json.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]
ReleaseRef = Annotated[str, typer.Argument(metavar="RELEASE", help="name, name@version or a digest.")]

DEFAULT_STORE = str(STORE)
DEFAULT_RELEASES = RELEASES


def pairs(option: str, values: list[str] | None) -> dict[str, str]:
    """``NAME=VALUE`` strings as a dict. UsageError for any other form."""
    found = {}
    for value in values or []:
        name, equals, rest = value.partition("=")
        if not (name and equals and rest):
            raise UsageError(f"{option} takes NAME=VALUE, not '{value}'")
        found[name] = rest
    return found


def source_paths(values: list[str] | None, families: Iterable[Family]) -> dict[str, Path]:
    """Folders by source name. UsageError for a name that none of ``families`` has: it would be passed over."""
    return named_paths(
        values, {source.name for family in families for item in family.manifests for source in item.sources}
    )


def named_paths(values: list[str] | None, names: Iterable[str]) -> dict[str, Path]:
    """As ``source_paths``, for sources of these ``names``."""
    known = sorted(names)
    found = {name: Path(path) for name, path in pairs("--source", values).items()}
    for name in found:
        if name not in known:
            raise UsageError(
                f"--source: no data source is called '{name}'", help=f"sources: {', '.join(known) or 'none'}"
            )
    return found


def one_of(option: str, value: str, choices: tuple[str, ...]) -> str:
    if value not in choices:
        raise UsageError(f"{option} takes one of {', '.join(choices)}, not '{value}'")
    return value
