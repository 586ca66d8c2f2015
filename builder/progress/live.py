"""All steps of a build in a terminal, redrawn in place, with messages above; what is there at the end stays."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, TextIO

from builder.progress.board import Board
from builder.progress.events import Event
from builder.progress.glyphs import glyphs_for
from builder.progress.lines import Line
from builder.progress.screen import screen, text_of
from builder.progress.told import indented, news_of

if TYPE_CHECKING:  # rich takes a tenth of a second to import: see Live._start
    from rich import live as rich_live
    from rich.console import Console

_REDRAWS_A_SECOND = 5
_MESSAGES_A_REDRAW = 50
_LONGEST_LIST = 200
"""Lines that are left at the end, whatever the height."""


class Live:
    """Redraws at its own pace, however fast events come; between two redraws the newest messages are kept.

    Nothing is drawn, and no library loaded, before a step begins or a cluster is asked. ``forced``: draw even if
    ``stream`` is no terminal.
    """

    def __init__(self, stream: TextIO, *, forced: bool = False, clock: Callable[[], float] = time.time) -> None:
        self._stream, self._forced, self._clock = stream, forced, clock
        self._glyphs = glyphs_for(getattr(stream, "encoding", None), os.environ)
        self._board = Board()
        self._messages: deque[str] = deque(maxlen=_MESSAGES_A_REDRAW)
        self._dropped = 0
        self._lock = threading.Lock()
        self._drawn: _Drawn | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._redraw, name="progress", daemon=True)

    def show(self, event: Event) -> None:
        with self._lock:
            self._board.add(event)
            if text := news_of(event, self._board):
                self._dropped += len(self._messages) == _MESSAGES_A_REDRAW
                self._messages.append(f"  {event.step:8} {indented(text)}")
        if self._drawn is not None:
            return
        if self._board.running or self._board.cluster:
            self._start()
        else:
            for line in self._taken():
                print(line, file=self._stream, flush=True)

    def close(self) -> None:
        self._stop.set()
        if self._drawn is None:
            # What ended before its first step has an error to tell, and of steps nothing.
            if self._board.rows and not self._board.count("waiting"):
                width = 0
                with contextlib.suppress(OSError, ValueError):
                    width = os.get_terminal_size(self._stream.fileno()).columns
                lines = self._lines((width or 80) - 1, _LONGEST_LIST)
                print(text_of(lines), end="", file=self._stream, flush=True)
            return
        self._thread.join()
        with contextlib.suppress(OSError):  # the terminal has gone
            self._drawn.draw(self._taken(), last=True)

    def _start(self) -> None:
        self._drawn = _Drawn(self._stream, self._forced, self._lines)
        self._drawn.draw(self._taken())
        self._thread.start()

    def _redraw(self) -> None:
        while not self._stop.wait(1 / _REDRAWS_A_SECOND):
            assert self._drawn is not None
            try:
                self._drawn.draw(self._taken())
            except OSError:  # the terminal has gone
                return

    def _lines(self, width: int, height: int) -> list[Line]:
        with self._lock:
            return screen(self._board, width, height, self._clock(), self._glyphs)

    def _taken(self) -> list[str]:
        """The messages since the last redraw."""
        with self._lock:
            taken, dropped = list(self._messages), self._dropped
            self._messages.clear()
            self._dropped = 0
        if dropped:
            taken.insert(0, f"  ({dropped} messages that came too fast to be shown)")
        if self._glyphs.ascii:
            taken = [text.encode("ascii", "replace").decode("ascii") for text in taken]
        return taken


class _Drawn:
    """The region at the bottom of the terminal, drawn with rich."""

    def __init__(self, stream: TextIO, forced: bool, lines: Callable[[int, int], list[Line]]) -> None:
        from rich import live
        from rich.console import Console

        self._lines = lines
        self._console: Console = Console(
            file=stream, highlight=False, force_terminal=forced or None, force_interactive=forced or None
        )
        # What is printed meanwhile goes above the region, but never from one stream into another.
        self._live: rich_live.Live = live.Live(
            console=self._console,
            auto_refresh=False,
            vertical_overflow="crop",
            redirect_stdout=stream is sys.stderr and sys.stdout.isatty(),
            redirect_stderr=stream is sys.stderr,
        )
        self._widths: list[int] = []
        self._width = 0
        self._live.start()
        # The cursor stays: a build that is killed or stopped could not bring it back.
        self._console.show_cursor(True)

    def draw(self, messages: list[str], *, last: bool = False) -> None:
        """Prints ``messages`` above the region and the region anew; the ``last`` time in full, to stay."""
        from rich.text import Text

        width, height = self._console.size
        lines = self._lines(width - 1, _LONGEST_LIST if last else height - 1)
        self._unwrap(width)
        region = Text("\n", end="").join([Text.assemble(*line, end="") for line in lines])
        region.no_wrap, region.overflow = True, "crop"
        self._live.update(region)
        if messages:
            # The terminal wraps them, so that what is copied from it has no line ends that were not there.
            self._console.print(Text("\n".join(messages)), soft_wrap=True)
        if last:
            self._live.stop()
        else:
            self._live.refresh()
        self._widths, self._width = [sum(len(text) for text, _ in line) for line in lines], width

    def _unwrap(self, width: int) -> None:
        """Where the terminal has become narrower it has wrapped the lines of the region: goes up, over them."""
        if self._width and width < self._width:
            from rich.control import Control
            from rich.segment import ControlType

            more = sum(max(0, -(-size // width) - 1) for size in self._widths)
            up = [(ControlType.ERASE_IN_LINE, 2), (ControlType.CURSOR_UP, 1)] * more
            if up:
                self._console.file.write(str(Control(*up)))
