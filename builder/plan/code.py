"""Which files of step code a step uses: its module and, transitively, the siblings it imports."""

from __future__ import annotations

import ast
import functools
from collections.abc import Mapping
from pathlib import Path

from builder.digest import Digest, digest_bytes

StepCode = Mapping[str, bytes]
"""File name (``train.py``) -> its bytes, for every module of the step code folder."""

ENTRY = ("run.py", "contract.py")


def read_step_code(folder: Path) -> dict[str, bytes]:
    """Every module in ``folder``, by file name."""
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.py"))}


def modules_of(step: str, code: StepCode) -> tuple[str, ...]:
    """The sorted file names that step ``step`` may execute, its entry point among them.

    Imports are followed wherever they stand, also inside functions. KeyError if the step has no module.
    """
    return _reached(step, tuple(code.items()))


@functools.lru_cache(maxsize=1024)
def digest_of(source: bytes) -> Digest:
    """The digest of a module; each is asked for once a step and plan, and there are few."""
    return digest_bytes(source)


@functools.lru_cache(maxsize=256)
def _reached(step: str, code: tuple[tuple[str, bytes], ...]) -> tuple[str, ...]:
    modules = dict(code)
    found: set[str] = set()
    waiting = [f"{step}.py", *ENTRY]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found.add(name)
        waiting += [file for module in _imports(modules[name]) if (file := f"{module}.py") in modules]
    return tuple(sorted(found))


@functools.lru_cache(maxsize=1024)
def _imports(source: bytes) -> frozenset[str]:
    modules: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            modules.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            modules.add(node.module.partition(".")[0])
    return frozenset(modules)
