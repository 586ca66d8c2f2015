"""What every engine offers: run one step, stream its events, leave nothing behind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from builder.plan.step import Step, Toolchain

Emit = Callable[[str, Mapping[str, Any]], None]
"""``emit(kind, detail)``: kinds are ``progress``, ``message``, ``log``, ``error``, ``usage`` and those a step sends.

It may raise Interrupted, from any call, where the step is to be ended; ``usage`` comes every few seconds.
"""


@dataclass(frozen=True)
class Workspace:
    """The folders one run of a step sees.

    ``inputs`` maps input names to folders (read-only to the step); ``output`` is the one folder it may
    write; ``steps`` is the step code; ``nonce`` must come back in ``output/result.json``.
    """

    inputs: Mapping[str, Path]
    output: Path
    steps: Path
    nonce: str


class Engine(Protocol):
    """Runs steps. ``isolation`` says in one line what a step is kept from."""

    name: str

    @property
    def isolation(self) -> str: ...

    def prepare(self, toolchain: Toolchain, emit: Emit) -> None:
        """Make the toolchain ready (image or virtual environment), once. NoEngine if it cannot be."""

    def run(self, step: Step, workspace: Workspace, emit: Emit) -> Mapping[str, Any]:
        """Run ``step`` to its end. StepFailed if it fails; Interrupted is passed on after clean-up.

        Returned are facts of the run, which its result keeps: ``memory_mb``, the most that it used at once, in 2**20
        bytes, where the engine can tell.

        A return means only that the process ended well: the caller checks ``result.json``.
        """

    def close(self) -> None: ...
