"""Runs a benchmark's own script in a toolchain's environment, which is installed first if need be."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from builder.engine.virtualenv import ensure_environment
from builder.lock.toolchains import resolve_toolchain
from builder.resources import steps_folder, toolchain_folder
from builder.settings import cache_folder


def say(kind: str, detail: Mapping[str, Any]) -> None:
    print(detail.get("text", ""), file=sys.stderr)


def run(script: str | Path, *words: str, toolchain: str = "tf1.15") -> Any:
    """The JSON that the Python ``script`` (text or a file) prints as its last line; the step code can be imported."""
    source = [str(script)] if isinstance(script, Path) else ["-c", script]
    folder = ensure_environment(resolve_toolchain(toolchain), toolchain_folder(toolchain), cache_folder(), say)
    done = subprocess.run(
        [str(folder / "bin" / "python"), *source, *words],
        env={"PATH": f"{folder / 'bin'}:/usr/bin:/bin", "PYTHONPATH": str(steps_folder()), "LANG": "C.UTF-8",
             "TF_CPP_MIN_LOG_LEVEL": "2", "PYTHONDONTWRITEBYTECODE": "1", "PYTHONWARNINGS": "ignore"},
        # Of TensorFlow 1's warnings there are screens: they are shown only if it fails.
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    if done.returncode:
        sys.exit(f"{done.stderr[-3000:]}\nexit {done.returncode}")
    return json.loads(done.stdout.splitlines()[-1])
