"""A terminal for tests: a pseudo-terminal with a program in it, and the screen that its output leaves."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

_CONTROL = re.compile(r"\x1b\[(\??)([0-9;]*)([A-Za-z])")


class Screen:
    """Just what rich uses of a terminal: line ends, wrapping, cursor up, erase line, colours, hiding the cursor.

    Any other command fails the test. ``lines`` is all that was written, also what has scrolled out of sight.
    """

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self.lines = [""]
        self.row = self.column = 0
        self.cursor = True
        self.coloured = False

    def feed(self, text: str) -> None:
        position = 0
        while position < len(text):
            sign = text[position]
            if sign == "\x1b":
                found = _CONTROL.match(text, position)
                assert found, f"an unknown command: {text[position : position + 20]!r}"
                self._command(*found.groups())
                position = found.end()
                continue
            position += 1
            if sign == "\n":
                self._down()
            elif sign == "\r":
                self.column = 0
            else:
                assert sign.isprintable(), f"a control character: {sign!r}"
                self._put(sign)

    @property
    def text(self) -> str:
        return "\n".join(line.rstrip() for line in self.lines)

    @property
    def shown(self) -> list[str]:
        return self.lines[-self.height :]

    def _put(self, sign: str) -> None:
        if self.column == self.width:
            self._down()
            self.column = 0
        line = self.lines[self.row].ljust(self.column)
        self.lines[self.row] = line[: self.column] + sign + line[self.column + 1 :]
        self.column += 1

    def _down(self) -> None:
        self.row += 1
        if self.row == len(self.lines):
            self.lines.append("")

    def _command(self, private: str, parameters: str, letter: str) -> None:
        if letter == "m":
            colours = ("3", "4", "9", "10")
            self.coloured = self.coloured or any(
                len(code) > 1 and code.startswith(colours) for code in parameters.split(";")
            )
        elif letter == "A":
            self.row = max(self.row - int(parameters or 1), len(self.lines) - self.height, 0)
        elif letter == "K":
            assert parameters == "2"
            self.lines[self.row] = ""
        elif private and parameters == "25":
            self.cursor = letter == "h"
        else:
            raise AssertionError(f"an unknown command: {private}{parameters}{letter}")


def run_in_terminal(
    words: Sequence[str | Path],
    *,
    width: int,
    height: int,
    env: Mapping[str, str],
    cwd: Path,
    interrupt_at: str | None = None,
    kill: signal.Signals = signal.SIGINT,
    seconds: float = 300.0,
) -> tuple[int, str]:
    """Exit status and all that ``words`` wrote to a terminal of this size; ``kill`` is sent once it shows a text."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
    with subprocess.Popen(words, stdin=slave, stdout=slave, stderr=slave, env=env, cwd=cwd) as process:
        os.close(slave)
        data, end = b"", time.monotonic() + seconds
        while True:
            if not select.select([master], [], [], max(0.0, end - time.monotonic()))[0]:
                process.kill()
                raise AssertionError(f"not over after {seconds} s:\n{data.decode('utf-8', 'replace')}")
            try:
                more = os.read(master, 1 << 16)
            except OSError:  # Linux's end of file of a pseudo-terminal
                more = b""
            if not more:
                break
            data += more
            if interrupt_at is not None and interrupt_at.encode() in data:
                interrupt_at = None
                process.send_signal(kill)
    os.close(master)
    return process.returncode, data.decode()
