"""Runs one step by itself, outside of any build, on a release: in the engine and toolchain of a build's steps."""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from builder.digest import digest_file, digest_json
from builder.engine.base import Emit, Engine, Workspace
from builder.errors import StepFailed
from builder.lock.toolchains import resolve_toolchain
from builder.plan.code import modules_of, read_step_code
from builder.plan.make import LITERT
from builder.plan.step import Step, StepInput
from builder.resources import steps_folder
from builder.result import believed


@contextmanager
def outputs_of(
    module: str, params: Mapping[str, Any], inputs: Mapping[str, Path], engine: Engine, emit: Emit
) -> Iterator[Path]:
    """The folder that the step ``module`` writes from the folders ``inputs``, in the litert toolchain.

    It is this tinsmith's step code and toolchain, not those of a release's recipe. The folder is removed afterwards.
    StepFailed if the step fails, or its outputs are not those that it says it left.
    """
    code = read_step_code(steps_folder())
    nonce = secrets.token_hex(16)
    step = Step(
        name=module,
        module=module,
        toolchain=resolve_toolchain(LITERT),
        params=params,
        inputs=tuple(StepInput(name) for name in sorted(inputs)),
        code=modules_of(module, code),
        key=digest_json({"alone": module, "nonce": nonce}),
    )
    engine.prepare(step.toolchain, emit)
    with tempfile.TemporaryDirectory(prefix="tinsmith-") as scratch:
        output, steps = Path(scratch) / "out", Path(scratch) / "steps"
        output.mkdir()
        steps.mkdir()
        for name in step.code:
            (steps / name).write_bytes(code[name])
        engine.run(step, Workspace(inputs, output, steps, nonce), emit)
        for name, sha256 in believed(module, output, nonce):
            if digest_file(output / name) != f"sha256:{sha256}":
                raise StepFailed(f"step {module}: {name} changed after it was written")
        yield output
