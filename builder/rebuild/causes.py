"""Why two builds part: every difference, in the order in which one follows from another. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from builder.digest import digest_bytes
from builder.lock.listing import changes
from builder.rebuild.sides import Side

KINDS = {
    "manifest": "the manifest",
    "lock": "the lock",
    "toolchain": "a toolchain",
    "dataset": "the data",
    "weights": "the weights that training starts from",
    "code": "step code",
    "plan": "the plan",
    "threads": "the number of threads",
    "cpu-class": "the CPU class",
    "label": "name and version alone",
    "key": "the keys, though nothing that is written down differs",
    "output": "what a step left",
    "file": "a file of the release",
    "annotation": "what the release says of itself",
}

_SECTIONS = ("schema", "toolchain", "dataset", "model", "train", "quantization", "verify", "release")
_LABELS = ("name", "version")
_DERIVED = {*_LABELS, "manifest_digest", "manifest_without_verify", "dataset_digest", "toolchains"}
"""Parameters of steps that say what others say first."""
_PACKAGE = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", re.MULTILINE)


@dataclass(frozen=True)
class Cause:
    """``what`` differs: it is ``before`` on the one side, ``after`` on the other, None where it is not there.

    ``kind`` is one of KINDS; ``steps`` are those that it touches at first hand, where that is not plain; ``note`` adds
    a few words.
    """

    kind: str
    what: str
    before: Any
    after: Any
    steps: tuple[str, ...] = ()
    note: str = ""

    def __str__(self) -> str:
        touched = f", used by {', '.join(self.steps)}" if self.steps else ""
        note = f" ({self.note})" if self.note else ""
        return f"{_line(self.what)}: {_shown(self.before)} -> {_shown(self.after)}{touched}{note}"


def input_causes(one: Side, other: Side) -> list[Cause]:
    """All that differs in what the two builds were made of."""
    found = [*_manifest(one, other), *_lock(one, other), *_toolchains(one, other), *_data(one, other)]
    found += _code(one, other)
    both = one.files and other.files
    if not both or not any(cause.kind == "manifest" for cause in found):
        found += _plan(one, other)
    found += [*_threads(one, other), *_cpu_class(one, other), *_labels(one, other)]
    if not found and key_changes(one, other):
        note = "" if both else "a plan file has neither step code nor toolchains: compare manifests or releases"
        first = key_changes(one, other)[0]
        found = [Cause("key", first, _step(one, first)["key"], _step(other, first)["key"], note=note)]
    return found


def key_changes(one: Side, other: Side) -> list[str]:
    """The names of steps whose keys differ, or that one side alone has, in the order of the plans."""
    keys, others = (_keys(side) for side in (one, other))
    return [
        name for name in [*keys, *(name for name in others if name not in keys)] if keys.get(name) != others.get(name)
    ]


def _manifest(one: Side, other: Side) -> Iterator[Cause]:
    a, b = one.document("manifest.json"), other.document("manifest.json")
    if a is None or b is None:
        return
    later = sorted({*a, *b} - {*_SECTIONS, *_LABELS})
    for section in (*_SECTIONS, *later):
        for path, before, after in leaves(a.get(section), b.get(section), section):
            if path != "train.cpu_class":
                yield Cause("manifest", path, before, after)


def leaves(a: Any, b: Any, path: str) -> Iterator[tuple[str, Any, Any]]:
    """(dotted path, value, other value) of all values that differ."""
    if isinstance(a, dict) and isinstance(b, dict):
        for key in [*a, *(key for key in b if key not in a)]:
            yield from leaves(a.get(key), b.get(key), f"{path}.{key}")
    elif isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        for index, (left, right) in enumerate(zip(a, b, strict=True)):
            yield from leaves(left, right, f"{path}[{index}]")
    elif type(a) is not type(b) or a != b:
        yield path, a, b


def _lock(one: Side, other: Side) -> Iterator[Cause]:
    a, b = one.document("lock.json"), other.document("lock.json")
    if a is None or b is None:
        return
    tools, others = a["toolchains"], b["toolchains"]
    for name in [*tools, *(name for name in others if name not in tools)]:
        if name not in tools or name not in others:
            yield Cause(
                "lock", f"toolchains.{name}", tools.get(name, {}).get("digest"), others.get(name, {}).get("digest")
            )
            continue
        for key in ("python", "base_image", "image"):
            if tools[name].get(key) != others[name].get(key):
                yield Cause("lock", f"toolchains.{name}.{key}", tools[name].get(key), others[name].get(key))
    for kind in ("dataset", "init"):
        listed = kind in one.listings and kind in other.listings
        entry, second = a.get(kind), b.get(kind)
        for path, before, after in leaves(entry, second, kind):
            if not (listed and path.rpartition(".")[2] in ("digest", "files", "bytes")):
                yield Cause("lock", path, before, after)


def _toolchains(one: Side, other: Side) -> Iterator[Cause]:
    if not (one.files and other.files):
        seen = {step["toolchain"]: step["toolchain_digest"] for step in one.plan["steps"]}
        for step in other.plan["steps"]:
            name, digest = step["toolchain"], step["toolchain_digest"]
            if seen.get(name, digest) != digest:
                yield Cause("toolchain", name, seen[name], digest)
        return
    a, b = (
        {name: text for name, text in side.files.items() if name.startswith("toolchains/")} for side in (one, other)
    )
    shared = {name.split("/")[1] for name in a} & {name.split("/")[1] for name in b}
    for toolchain in sorted(shared):
        folder = f"toolchains/{toolchain}/"
        requirements = f"{folder}requirements.lock"
        yield from _packages(toolchain, a.get(requirements, b""), b.get(requirements, b""))
        names = {name for name in (*a, *b) if name.startswith(folder) and name != requirements}
        # The Dockerfile and the kernels decide what is built; the other files say where these came from.
        for name in sorted(names, key=lambda name: (name.endswith((".in", ".toml")), name)):
            if a.get(name) != b.get(name):
                yield Cause("toolchain", name.removeprefix("toolchains/"), _digest(a.get(name)), _digest(b.get(name)))


def _packages(toolchain: str, one: bytes, other: bytes) -> Iterator[Cause]:
    if one == other:
        return
    a, b = (dict(_PACKAGE.findall(text.decode("utf-8", "replace"))) for text in (one, other))
    differing = sorted(name for name in {*a, *b} if a.get(name) != b.get(name))
    for name in differing:
        yield Cause("toolchain", f"{toolchain}: package {name}", a.get(name), b.get(name))
    if not differing:
        note = "the same packages, with other hashes or conditions"
        yield Cause("toolchain", f"{toolchain}/requirements.lock", _digest(one), _digest(other), note=note)


def _data(one: Side, other: Side) -> Iterator[Cause]:
    for kind, word in (("dataset", "dataset"), ("init", "weights")):
        if kind in one.listings and kind in other.listings:
            for change in changes(one.listings[kind], other.listings[kind]):
                yield Cause(word, change.path, change.before, change.after)
    if one.files and other.files:
        return
    for step in one.plan["steps"]:
        inputs = {item["name"]: item.get("source") for item in _step(other, step["name"]).get("inputs", ())}
        for item in step["inputs"]:
            source = item.get("source")
            if source and inputs.get(item["name"], source) not in (source, None):
                yield Cause("dataset", f"{step['name']} input {item['name']}", source, inputs[item["name"]])


def _code(one: Side, other: Side) -> Iterator[Cause]:
    if not (one.files and other.files):
        return
    used: dict[str, list[str]] = {}
    for side in (one, other):
        for step in side.plan["steps"]:
            for name in step["code"]:
                users = used.setdefault(name, [])
                if step["name"] not in users:
                    users.append(step["name"])
    for name, steps in sorted(used.items()):
        before, after = (side.files.get(f"steps/{name}") for side in (one, other))
        if before != after:
            yield Cause("code", name, _digest(before), _digest(after), tuple(steps))


def _plan(one: Side, other: Side) -> Iterator[Cause]:
    """What the plans themselves say otherwise: of plan files all that there is, else what another planner made."""
    found: dict[str, Cause] = {}
    for name in [*_keys(one), *(name for name in _keys(other) if name not in _keys(one))]:
        a, b = _step(one, name), _step(other, name)
        if not a or not b:
            yield Cause("plan", f"step {name}", a.get("key"), b.get("key"))
            continue
        for path, before, after in _step_leaves(a, b):
            same = f"{path} {before!r} {after!r}"
            steps = found[same].steps if same in found else ()
            found[same] = Cause("plan", path, before, after, (*steps, name))
    yield from found.values()


def _step_leaves(a: Mapping[str, Any], b: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    for key in [*a["params"], *(key for key in b["params"] if key not in a["params"])]:
        if key not in (*_DERIVED, "cpu_class"):
            yield from leaves(a["params"].get(key), b["params"].get(key), f"params.{key}")
    for key in ("module", "toolchain", "memory_mb", "resumable"):
        if a.get(key) != b.get(key):
            yield key, a.get(key), b.get(key)
    wired, rewired = ({item["name"]: item.get("step", "data") for item in step["inputs"]} for step in (a, b))
    yield from leaves(wired, rewired, "inputs")


def _threads(one: Side, other: Side) -> Iterator[Cause]:
    for step in one.plan["steps"]:
        second = _step(other, step["name"])
        if second and step.get("threads") != second.get("threads"):
            before, after = (item.get("threads") or "any" for item in (step, second))
            yield Cause("threads", step["name"], before, after)


def _cpu_class(one: Side, other: Side) -> Iterator[Cause]:
    for step in one.plan["steps"]:
        before, after = step["params"].get("cpu_class"), _step(other, step["name"]).get("params", {}).get("cpu_class")
        if before and after and before != after:
            yield Cause("cpu-class", step["name"], before, after)


def _labels(one: Side, other: Side) -> Iterator[Cause]:
    for key in _LABELS:
        if one.plan[key] != other.plan[key]:
            yield Cause("label", key, one.plan[key], other.plan[key])


def _keys(side: Side) -> dict[str, str]:
    return {step["name"]: step["key"] for step in side.plan["steps"]}


def _step(side: Side, name: str) -> Mapping[str, Any]:
    return next((step for step in side.plan["steps"] if step["name"] == name), {})


def _digest(data: bytes | None) -> str | None:
    return None if data is None else digest_bytes(data)


def _shown(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, float | int | bool):
        return str(value).lower() if isinstance(value, bool) else str(value)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ", ".join(_shown(item) for item in value)[:300] + "]"
    return _line(str(value))


def _line(text: str) -> str:
    short = text if len(text) <= 300 else text[:299] + "…"
    return short if short.isprintable() else ascii(short)
