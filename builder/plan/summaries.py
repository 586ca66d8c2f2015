"""The summaries of many manifest files, most of which were seen before."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import builder
from builder import resources
from builder.errors import InvalidManifest
from builder.kernels import kernel_sources
from builder.plan.code import StepCode
from builder.plan.kept import user_kept
from builder.plan.parsed import with_imports
from builder.plan.summary import Summary, Texts
from builder.plan.written import FORMAT, read

PLANNER = (
    *("manifest", "lock", "plan", "predict", "cost"),
    *("digest.py", "errors.py", "kernels.py", "resources.py", "whole.py", "words.py"),
)
"""What of tinsmith decides what a summary says."""
_PACKAGES = ("pydantic/version.py", "ruamel/yaml/__init__.py")
"""Where the packages that read manifests name their versions."""
_TOOLCHAIN = ("toolchain.toml", "Dockerfile", "requirements.lock")


def summaries(texts: Sequence[Texts], code: StepCode, *, current: bool = True) -> list[Summary | InvalidManifest]:
    """What ``summarize`` gives, or raises as InvalidManifest, for each of ``texts``, in their order.

    Those made before are kept in the user's cache folder, by the content of all that decides them.
    """
    kept = user_kept()
    keys = list(_keys(texts, code, current))
    stored = kept.read(keys)
    answers: list[Summary | InvalidManifest | None] = [_read(stored.get(key)) for key in keys]
    missing = [at for at, answer in enumerate(answers) if answer is None]
    if missing:
        from builder.plan.outcomes import outcomes  # all of pydantic, the manifest's types and so on

        new: dict[bytes, bytes] = {}
        made = outcomes([texts[at] for at in missing], with_imports(code, kept), current)
        for at, outcome in zip(missing, made, strict=True):
            if isinstance(outcome, bytes):
                new[keys[at]] = outcome
            answers[at] = outcome if isinstance(outcome, InvalidManifest) else read(outcome)
        kept.write(new)
    return [answer for answer in answers if answer is not None]


def _read(data: bytes | None) -> Summary | None:
    try:
        return read(data) if data is not None else None
    except (ValueError, TypeError):
        return None


def _keys(texts: Sequence[Texts], code: StepCode, current: bool) -> Iterator[bytes]:
    common = hashlib.sha256(f"summary {FORMAT} {sys.version} ".encode())
    for name, data in (*_planner(), *sorted(code.items()), *(_toolchains() if current else ())):
        common.update(f"{name} {len(data)} ".encode())
        common.update(data)
    for item in texts:
        key = common.copy()
        key.update(b"manifest %d " % len(item.manifest))
        key.update(item.manifest)
        if item.lock is not None:
            key.update(b"lock ")
            key.update(item.lock)
        yield key.digest()


def _planner() -> Iterator[tuple[str, bytes]]:
    root = Path(builder.__file__).parent
    for name in PLANNER:
        paths = [root / name] if name.endswith(".py") else sorted((root / name).glob("*.py"))
        yield from ((f"{name}/{path.name}", path.read_bytes()) for path in paths)
    for name in _PACKAGES:
        package, *inside = name.split("/")
        spec = importlib.util.find_spec(package)
        for folder in spec.submodule_search_locations or () if spec is not None else ():
            path = Path(folder, *inside)
            if path.is_file():
                yield name, path.read_bytes()


def _toolchains() -> Iterator[tuple[str, bytes]]:
    for folder in sorted(path.parent for path in resources.docker_folder().glob("*/toolchain.toml")):
        for name in _TOOLCHAIN:
            if (folder / name).is_file():
                yield f"{folder.name}/{name}", (folder / name).read_bytes()
        yield from ((f"{folder.name}/kernels/{name}", data) for name, data in kernel_sources(folder).items())
