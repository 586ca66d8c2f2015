"""The ``tinsmith`` commands in scripts and pages, and whether the command line takes them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from typing import Any

import typer

from builder.cli.app import app
from tests.workflows.files import YAML

UsageError: Any = typer.BadParameter.__bases__[0]
"""Of the click that typer has, which newer ones carry in themselves."""
_COMMAND = re.compile(r"(?<![\w./@$-])tinsmith +(?=[a-z-])")
_END = re.compile(r"\s(?:[|<>;&]|[0-9]>).*|[;)].*", re.DOTALL)
_VARIABLE = re.compile(r"\$\{[^}]*\}|\$\w+|\$\([^)]*\)")


def commands(script: str) -> Iterator[list[str]]:
    """The words after each ``tinsmith`` of a shell script; what a variable holds is the word 1."""
    for line in script.replace("\\\n", " ").splitlines():
        line = re.sub(r"(^|\s)#.*", "", line)
        for match in _COMMAND.finditer(line):
            rest = _VARIABLE.sub("1", line[match.end() :])
            words = _split(_END.sub("", f"{rest} ").strip())
            more = ["1"] if "xargs" in line[: match.start()] else []
            yield [*words, *more]


def _split(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError:
        return shlex.split(command.removesuffix('"'))  # it stands at the end of a quoted text


def check(words: list[str]) -> None:
    """UsageError if the command line has no such verb or option, or needs more words."""
    command: Any = typer.main.get_command(app)
    rest = list(words)
    while hasattr(command, "commands"):
        name, *rest = rest
        if name not in command.commands:
            raise UsageError(f"no verb {name}")
        command = command.commands[name]
    command.make_context(words[0], rest)


def fenced(page: str, language: str) -> list[str]:
    """The blocks of that language in a Markdown page."""
    return re.findall(rf"^```{language}\n(.*?)^```", page, re.DOTALL | re.MULTILINE)


def inline(page: str) -> list[str]:
    """The code spans of a Markdown page."""
    return re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", page, flags=re.DOTALL | re.MULTILINE))


def scripts_in(document: Any) -> Iterator[str]:
    """Every shell script in a CI service's YAML: ``run``, ``script``, ``before_script``."""
    if isinstance(document, dict):
        for key, value in document.items():
            if key in ("run", "script", "before_script", "after_script"):
                yield value if isinstance(value, str) else "\n".join(value)
            else:
                yield from scripts_in(value)
    elif isinstance(document, list):
        for item in document:
            yield from scripts_in(item)


def parsed(text: str) -> Any:
    return YAML(typ="safe", pure=True).load(text)
