"""First on PYTHONPATH, it makes a machine with bad memory: in what is uploaded as a blob, one bit is another.

The size stays, and so does the name, which was made of the right bytes.
"""

import sys
from collections.abc import Iterator
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

_BLOBS = "blobs/sha256/"


def _spoilt(data: Any) -> Any:
    if isinstance(data, (bytes, bytearray, memoryview)):
        return bytes([*bytes(data[:1]), bytes(data)[1] ^ 4]) + bytes(data[2:]) if len(data) > 1 else data
    return _spoilt_first(iter(data))


def _spoilt_first(blocks: Iterator[bytes]) -> Iterator[bytes]:
    for number, block in enumerate(blocks):
        yield block if number else _spoilt(block)


class _Spoiling(MetaPathFinder, Loader):
    """Loads obstore as ever, then puts another ``put`` in place of its own."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if name != "obstore":
            return None
        sys.meta_path.remove(self)
        spec = PathFinder.find_spec(name, path)
        if spec is None or spec.loader is None:
            return spec
        run = spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            run(module)
            put = module.put

            def spoiling(store: Any, name: str, data: Any, **words: Any) -> Any:
                return put(store, name, _spoilt(data) if name.startswith(_BLOBS) else data, **words)

            module.put = spoiling  # type: ignore[attr-defined]

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


sys.meta_path.insert(0, _Spoiling())
