"""Every error that a user can meet: its code, its text, its way out and the exit status it ends with.

A library function raises one of these; only ``builder.cli`` prints them and exits. Anything else that
reaches the command line is a bug in tinsmith (exit status 1).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Span:
    """A place in a text file; line and column count from 1, length in characters."""

    file: str
    line: int
    column: int
    length: int = 1

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True)
class Diagnostic:
    """One problem in a manifest or lock."""

    code: str
    message: str
    span: Span
    help: str | None = None


class TinsmithError(Exception):
    """A problem that the user can act on.

    ``code`` is stable and machine-readable; ``help`` says what to do next.
    """

    exit_status = 4
    code = "error"

    def __init__(self, message: str, *, help: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.help = help
        if code is not None:
            self.code = code


class UsageError(TinsmithError):
    exit_status, code = 2, "usage"


class InvalidManifest(TinsmithError):
    """All that is wrong with a manifest or its lock, in file order."""

    exit_status, code = 3, "invalid-manifest"

    def __init__(self, diagnostics: Sequence[Diagnostic], source: str = "") -> None:
        self.diagnostics = tuple(diagnostics)
        self.source = source
        super().__init__(f"{len(self.diagnostics)} error(s)")


class ManyInvalid(InvalidManifest):
    """Several manifests with errors, each with its own text."""

    def __init__(self, errors: Sequence[InvalidManifest]) -> None:
        super().__init__([item for error in errors for item in error.diagnostics])
        self.errors = tuple(errors)


def refuse(invalid: Sequence[InvalidManifest]) -> None:
    """Raises what is wrong with some manifests as one error, if anything is."""
    if invalid:
        raise ManyInvalid(invalid) if len(invalid) > 1 else invalid[0]


class LockError(TinsmithError):
    exit_status, code = 3, "lock"


class DatasetError(TinsmithError):
    exit_status, code = 3, "dataset"


class StepFailed(TinsmithError):
    exit_status, code = 4, "step-failed"


class BudgetExceeded(TinsmithError):
    exit_status, code = 5, "budget"


class RebuildDiffers(TinsmithError):
    """What was built a second time has other bytes."""

    exit_status, code = 5, "rebuild-differs"


class VerificationFailed(TinsmithError):
    exit_status, code = 5, "verification"


class NoEngine(TinsmithError):
    exit_status, code = 6, "no-engine"


class IntegrityError(TinsmithError):
    exit_status, code = 7, "integrity"


class StoreUnreachable(TinsmithError):
    exit_status, code = 8, "store"


class Interrupted(TinsmithError):
    exit_status, code = 130, "interrupted"
