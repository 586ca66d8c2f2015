"""Which files of step code a step uses: its module and, transitively, the siblings it imports."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from pathlib import Path

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
    found: set[str] = set()
    waiting = [f"{step}.py", *ENTRY]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found.add(name)
        waiting += [file for module in _imports(code[name]) if (file := f"{module}.py") in code]
    return tuple(sorted(found))


def _imports(source: bytes) -> set[str]:
    modules: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            modules.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            modules.add(node.module.partition(".")[0])
    return modules
