"""Runs the test step ``slow`` as a build would, in a process of its own that a test can interrupt or kill.

Arguments: engine, cache folder, workspace folder, nonce. Prints a line when the step runs.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from builder.engine.base import Engine
from builder.engine.local import LocalEngine
from tests.engine.conftest import TOOLCHAIN_FOLDER, Bench, base_image, docker_engine, tiny_toolchain
from tests.fakes import Events


def emit(kind: str, detail: Mapping[str, Any]) -> None:
    if kind == "message":
        print(detail.get("text"), flush=True)


def main(name: str, cache: str, root: str, nonce: str) -> int:
    engine: Engine
    if name == "docker":
        engine = docker_engine()
        toolchain = tiny_toolchain(base_image(engine))
    else:
        engine = LocalEngine(cache=Path(cache), folders=lambda _: TOOLCHAIN_FOLDER)
        toolchain = tiny_toolchain("none")
    bench = Bench(engine, toolchain, Path(root), Events())
    engine.prepare(toolchain, emit)
    try:
        engine.run(bench.step("slow"), replace(bench.workspace(), nonce=nonce), emit)
    except KeyboardInterrupt:
        return 130
    finally:
        engine.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
