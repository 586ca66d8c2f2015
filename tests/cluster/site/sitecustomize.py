"""First on PYTHONPATH, it changes what a worker of a test cluster is; everything else of it stays as released.

TINSMITH_TEST_POISON makes a machine with bad memory: of whatever is uploaded as a blob, one bit is another; its size
stays, and its name, which was made of the right bytes. TINSMITH_TEST_REPLAY=STORE takes the work out of steps: see
``tests.cluster.replay``.
"""

import os
import sys
from collections.abc import Callable, Iterator
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

_BLOBS = "blobs/sha256/"


def _poison(obstore: Any) -> None:
    put = obstore.put

    def spoiling(store: Any, name: str, data: Any, **words: Any) -> Any:
        return put(store, name, _spoilt(data) if name.startswith(_BLOBS) else data, **words)

    obstore.put = spoiling


def _spoilt(data: Any) -> Any:
    if isinstance(data, (bytes, bytearray, memoryview)):
        whole = bytearray(data)
        if whole:
            whole[len(whole) // 2] ^= 4
        return bytes(whole)
    return _spoilt_first(iter(data))


def _spoilt_first(blocks: Iterator[bytes]) -> Iterator[bytes]:
    for number, block in enumerate(blocks):
        yield block if number else _spoilt(block)


def _replay(select: Any) -> None:
    from tests.cluster.replay import ReplayEngine

    select.choose = lambda *_: ReplayEngine.from_environment()


class _Changing(MetaPathFinder):
    """Loads the module ``name`` as ever, then calls ``change`` with it."""

    def __init__(self, name: str, change: Callable[[ModuleType], None]) -> None:
        self._name, self._change = name, change

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if name != self._name:
            return None
        sys.meta_path.remove(self)
        spec = PathFinder.find_spec(name, path)
        assert spec is not None and spec.loader is not None, name
        load, change = spec.loader.exec_module, self._change

        def exec_module(module: ModuleType) -> None:
            load(module)
            change(module)

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


if os.environ.get("TINSMITH_TEST_POISON"):
    sys.meta_path.insert(0, _Changing("obstore", _poison))
if os.environ.get("TINSMITH_TEST_REPLAY"):
    sys.meta_path.insert(0, _Changing("builder.engine.select", _replay))
