"""What names a step's result and a plan: the one place where keys are made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from builder.digest import Digest, canonical_json, digest_bytes, digest_json
from builder.plan.code import Modules, StepCode
from builder.plan.step import KEY_FORMAT, Step


def step_key(step: Step, code: StepCode, keys: Mapping[str, Digest]) -> Digest:
    """The key of ``step``, whatever its ``key`` says; ``keys`` are those of the steps before it, by name.

    Everything that decides the output bytes is in it. Host, time, engine, retries and the memory limit stay out.
    KeyError if the code or a step that it needs is not there.
    """
    modules = code if isinstance(code, Modules) else Modules(code)
    rest = canonical_json(
        {
            "format": KEY_FORMAT,
            "step": step.module,
            "toolchain": step.toolchain.digest,
            "params": step.params,
            "inputs": {
                item.name: {"source": item.source} if item.step is None else {"key": keys[item.step]}
                for item in step.inputs
            },
            "threads": step.threads,
        }
    )
    # One JSON object with "code", its first key in order: that part is the same for thousands of plans.
    return digest_bytes(b'{"code":' + modules.digests(step.code) + b"," + rest[1:])


def plan_digest(name: str, version: str, keys: Sequence[Digest]) -> Digest:
    """The digest of a plan whose steps have ``keys``, in their order."""
    return digest_json({"name": name, "version": version, "keys": list(keys)})
