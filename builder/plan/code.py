"""Which files of step code a step uses: its module and, transitively, the siblings it imports."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator, Mapping
from pathlib import Path

from builder.digest import canonical_json, digest_bytes

StepCode = Mapping[str, bytes]
"""File name (``train.py``) -> its bytes, for every module of the step code folder."""

ENTRY = ("run.py", "contract.py")


def read_step_code(folder: Path) -> dict[str, bytes]:
    """Every module in ``folder``, by file name."""
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.py"))}


class Modules(Mapping[str, bytes]):
    """Step code that is asked about many times: what it once said of itself it knows.

    ``imports``: of some of its files what ``imports_of`` gives, where that is known already.
    """

    def __init__(self, code: StepCode, imports: Mapping[str, frozenset[str]] | None = None) -> None:
        self._code = dict(code)
        self._imports = dict(imports or {})
        self._reached: dict[str, tuple[str, ...]] = {}
        self._digests: dict[tuple[str, ...], bytes] = {}

    def __getitem__(self, name: str) -> bytes:
        return self._code[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._code)

    def __len__(self) -> int:
        return len(self._code)

    def reached(self, step: str) -> tuple[str, ...]:
        """See ``modules_of``."""
        if step not in self._reached:
            found: set[str] = set()
            waiting = [f"{step}.py", *ENTRY]
            while waiting:
                name = waiting.pop()
                if name in found:
                    continue
                found.add(name)
                waiting += [file for module in self.imports(name) if (file := f"{module}.py") in self._code]
            self._reached[step] = tuple(sorted(found))
        return self._reached[step]

    def imports(self, name: str) -> frozenset[str]:
        """What the file ``name`` imports."""
        if name not in self._imports:
            self._imports[name] = imports_of(self._code[name])
        return self._imports[name]

    def digests(self, files: tuple[str, ...]) -> bytes:
        """``files`` -> digest, as canonical JSON. KeyError if one is not there."""
        if files not in self._digests:
            self._digests[files] = canonical_json({name: digest_bytes(self._code[name]) for name in files})
        return self._digests[files]


def modules_of(step: str, code: StepCode) -> tuple[str, ...]:
    """The sorted file names that step ``step`` may execute, its entry point among them.

    Imports are followed wherever they stand, also inside functions. KeyError if the step has no module.
    """
    return Modules(code).reached(step)


_BLOCKS = ("body", "orelse", "finalbody", "handlers", "cases")
"""Where statements stand in statements. Expressions hold none, and are most of a module."""


@functools.lru_cache(maxsize=1024)
def imports_of(source: bytes) -> frozenset[str]:
    """The top-level names of the modules that ``source`` imports."""
    modules: set[str] = set()
    waiting: list[ast.AST] = [ast.parse(source)]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            modules.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            modules.add(node.module.partition(".")[0])
        else:
            for block in _BLOCKS:
                waiting += getattr(node, block, ())
    return frozenset(modules)
