"""The workflows of this repository as data, and the expressions in them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / ".github" / "workflows"
STATUS = re.compile(r"\b(always|cancelled|failure|success)\(\)")
_EXPRESSION = re.compile(r"\$\{\{(.*?)\}\}", re.DOTALL)
_TOKEN = re.compile(r"'(?:[^']|'')*'|&&|\|\||!=|==|!|[A-Za-z_][\w-]*|.", re.DOTALL)
_WORDS = {"&&": " and ", "||": " or ", "!": " not ", "true": "True", "false": "False", "null": "None"}


def load(path: Path) -> Any:
    """A YAML file as plain data; the key ``on`` stays a string."""
    return YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))


def workflows() -> dict[str, Any]:
    """File name -> workflow."""
    return {path.name: load(path) for path in sorted(FOLDER.iterdir())}


def steps(workflow: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every step, with the id of its job."""
    for name, job in workflow["jobs"].items():
        for step in job["steps"]:
            yield name, step


class Context:
    """An object of an expression: what it does not have is NOTHING."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values

    def __getattr__(self, name: str) -> Any:
        value = self._values.get(name)
        return NOTHING if value is None else context(value)


class _Nothing:
    """What GitHub calls null: false, empty, and so is all of it."""

    def __getattr__(self, name: str) -> _Nothing:
        return self

    def __bool__(self) -> bool:
        return False

    def __eq__(self, other: object) -> bool:
        return other is None or isinstance(other, _Nothing) or other == ""

    __hash__ = None  # type: ignore[assignment]

    def __str__(self) -> str:
        return ""


NOTHING = _Nothing()


def context(value: Any) -> Any:
    return Context(value) if isinstance(value, dict) else value


def value_of(expression: str, names: Mapping[str, Any]) -> Any:
    """What an expression gives, with and without its ``${{ }}``; as much of the language as our workflows use."""
    text = expression.strip()
    if match := re.fullmatch(r"\$\{\{(.*)\}\}", text, re.DOTALL):
        text = match[1]
    python = "".join(
        repr(token[1:-1].replace("''", "'")) if token.startswith("'") else _WORDS.get(token, token)
        for token in _TOKEN.findall(" ".join(text.split()))
    )
    functions = {"fromJSON": lambda text: context(json.loads(text))}
    return eval(python.strip(), {"__builtins__": {}}, {**functions, **{k: context(v) for k, v in names.items()}})


def filled(value: Any, names: Mapping[str, Any]) -> Any:
    """``value`` with its expressions computed: by itself an expression keeps its type, in a text it becomes text."""
    if isinstance(value, dict):
        return {key: filled(item, names) for key, item in value.items()}
    if not isinstance(value, str) or not _EXPRESSION.search(value):
        return value
    if re.fullmatch(r"\$\{\{(?:(?!\$\{\{).)*\}\}", value.strip(), re.DOTALL):
        return value_of(value, names)
    return _EXPRESSION.sub(lambda match: text_of(value_of(match[1], names)), value)


def text_of(value: Any) -> str:
    """As GitHub writes a value into a text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)
