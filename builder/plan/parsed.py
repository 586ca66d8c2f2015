"""What step code imports, remembered from one run to the next: parsing all of it takes a tenth of a second."""

from __future__ import annotations

import contextlib
import hashlib
import sys

from builder.plan.code import Modules, StepCode, imports_of
from builder.plan.kept import Kept

_WORD = f"imports 1 {sys.version} ".encode()


def with_imports(code: StepCode, kept: Kept) -> Modules:
    """``code`` with what each of its files imports, parsed if ``kept`` does not have it."""
    keys = {name: hashlib.sha256(_WORD + source).digest() for name, source in code.items()}
    known, new = kept.read(keys.values()), {}
    for name, key in keys.items():
        if key not in known:
            # A file that cannot be parsed is told of when a step needs it.
            with contextlib.suppress(SyntaxError, ValueError):
                new[key] = " ".join(sorted(imports_of(code[name]))).encode()
    kept.write(new)
    known |= new
    return Modules(code, {name: frozenset(known[key].decode().split()) for name, key in keys.items() if key in known})
