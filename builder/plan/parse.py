"""A plan read back from the plain data of ``make.plan_document``, which nobody vouches for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from builder.digest import parse_digest
from builder.lock.model import Lock
from builder.plan.code import ENTRY, StepCode
from builder.plan.identity import plan_digest, step_key
from builder.plan.step import Plan, Step, StepInput

MOST_STEPS = 200
MOST_MEMORY_MB = 1 << 16
MOST_THREADS = 1024

_STEP = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_WORD = re.compile(r"[A-Za-z0-9_]{1,63}")
_MODULE = re.compile(r"[A-Za-z0-9_]{1,63}\.py")


def parse_plan(document: Any, lock: Lock, code: StepCode) -> Plan:
    """The plan that ``document`` describes, to run as it is written.

    Every name in it is safe to be a file's. Toolchains are those of ``lock``. All keys, and the plan's digest, are
    computed again from what the steps say and from ``code``: ValueError if one is another than the written one, as for
    anything else that no planner writes.
    """
    steps: dict[str, Step] = {}
    try:
        if not 0 < len(document["steps"]) <= MOST_STEPS:
            raise ValueError(f"{len(document['steps'])} steps")
        for item in document["steps"]:
            step = _step(item, lock, steps)
            if step.name in steps:
                raise ValueError(f"two steps are called {step.name}")
            missing = [name for name in (ENTRY[0], f"{step.module}.py", *step.code) if name not in code]
            if missing:
                raise ValueError(f"the code of step {step.name} lacks {missing[0]}")
            if step_key(step, code, {name: other.key for name, other in steps.items()}) != step.key:
                raise ValueError(f"the key of step {step.name} is not that of what it says")
            steps[step.name] = step
        name, version, target = (str(document[key]) for key in ("name", "version", "target"))
        if target not in steps:
            raise ValueError(f"there is no step {target!a:.80}")
        plan = Plan(name, version, tuple(steps.values()), target, parse_digest(document["digest"]))
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"not a plan: {error!r:.200}") from error
    if plan_digest(name, version, [step.key for step in plan.steps]) != plan.digest:
        raise ValueError("the digest of the plan is not that of its steps")
    return plan


def _step(item: Mapping[str, Any], lock: Lock, before: Mapping[str, Step]) -> Step:
    toolchain = lock.toolchain(item["toolchain"])
    if item["toolchain_digest"] != toolchain.digest:
        raise ValueError(f"toolchain {toolchain.name} is another one than the lock has")
    threads = item["threads"]
    if not isinstance(item["params"], dict) or not isinstance(item["resumable"], bool):
        raise ValueError("a step with odd parameters")
    return Step(
        name=_matching(_STEP, item["name"]),
        module=_matching(_WORD, item["module"]),
        toolchain=toolchain,
        params=item["params"],
        inputs=tuple(_input(part, before) for part in item["inputs"]),
        code=tuple(_matching(_MODULE, name) for name in item["code"]),
        key=parse_digest(item["key"]),
        threads=None if threads is None else _number(threads, MOST_THREADS),
        memory_mb=_number(item["memory_mb"], MOST_MEMORY_MB),
        resumable=item["resumable"],
    )


def _input(part: Mapping[str, Any], before: Mapping[str, Step]) -> StepInput:
    name = _matching(_WORD, part["name"])
    if "step" not in part:
        return StepInput(name, source=parse_digest(part["source"]))
    if part["step"] not in before:
        raise ValueError(f"input {name} is of no step before")
    return StepInput(name, step=part["step"])


def _matching(pattern: re.Pattern[str], text: Any) -> str:
    if not isinstance(text, str) or not pattern.fullmatch(text):
        raise ValueError(f"a name of {text!a:.80}")
    return text


def _number(value: Any, most: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= most:
        raise ValueError(f"a number of {value!a:.40}")
    return value
