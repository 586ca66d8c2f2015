"""What a step sees inside a container, whether an engine starts it or a compiled Dockerfile."""

from __future__ import annotations

ROOT = "/tinsmith"
REQUEST = f"{ROOT}/request.json"
STEPS = f"{ROOT}/steps"
OUTPUT = f"{ROOT}/out"
HOME = "/tmp"
PATH = "/opt/toolchain/bin:/usr/local/bin:/usr/bin:/bin"
NOBODY = 65532
"""User and group of a step where nobody else is asked for."""


def input_folder(name: str) -> str:
    return f"{ROOT}/in/{name}"
