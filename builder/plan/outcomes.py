"""Many manifest files summarized, on all processors where there are enough of them.

The others are used through processes of their own, each of which starts like ``tinsmith`` itself and ends when it has
no more to do or its parent is gone. They only save time: what a process that died leaves undone is done here.
"""

from __future__ import annotations

import contextlib
import functools
import json
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection, Pipe
from typing import TypeAlias

from builder.errors import Diagnostic, InvalidManifest
from builder.lock.toolchains import lock_toolchain
from builder.plan.code import Modules, StepCode
from builder.plan.summarize import summarize
from builder.plan.summary import Texts
from builder.plan.written import write
from builder.settings import threads

WORTH = 500
"""Fewer manifests than this are done before another process has started."""
_CHUNK = 40
_MOST = 8
"""Processes in all; each takes some 60 MB."""

_SWITCH_SECONDS = 1e-4

_Sent: TypeAlias = bytes | tuple[tuple[Diagnostic, ...], str]
_Run: TypeAlias = Callable[[Sequence[Texts]], list[_Sent]]

_PROGRAM = """
import json, sys
sys.path[:] = json.loads(sys.argv[1])
from builder.plan.outcomes import serve
serve(int(sys.argv[2]))
"""


def outcomes(texts: Sequence[Texts], code: StepCode, current: bool) -> list[bytes | InvalidManifest]:
    """For each of ``texts`` its summary, as ``written.write`` gives it, or what is wrong with it."""
    todo = deque(range(0, len(texts), _CHUNK))
    done: list[_Sent] = [b""] * len(texts)

    def work(run: _Run) -> None:
        while todo:
            try:
                start = todo.popleft()
            except IndexError:
                return  # another thread was quicker
            try:
                done[start : start + _CHUNK] = run(texts[start : start + _CHUNK])
            except BaseException:
                todo.append(start)
                raise

    here = _here(code, current)
    with contextlib.ExitStack() as helpers, _switching_often():
        for _ in range(min(threads(), _MOST) - 1 if len(texts) >= WORTH and sys.executable else 0):
            helpers.enter_context(_helper(work, code, current))
        work(here)
    work(here)
    return [item if isinstance(item, bytes) else InvalidManifest(*item) for item in done]


def _here(code: StepCode, current: bool) -> _Run:
    shipped, modules = functools.cache(lock_toolchain), code if isinstance(code, Modules) else Modules(code)

    def one(texts: Texts) -> _Sent:
        try:
            return write(summarize(texts, modules, current=current, shipped=shipped))
        except InvalidManifest as error:
            return error.diagnostics, error.source

    return lambda some: [one(texts) for texts in some]


@contextlib.contextmanager
def _switching_often() -> Iterator[None]:
    """Threads that talk to another process wait for the interpreter at every call: 5 ms each time, as long as this one
    computes, and the other process with them."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(_SWITCH_SECONDS)
    try:
        yield
    finally:
        sys.setswitchinterval(usual)


@contextlib.contextmanager
def _helper(work: Callable[[_Run], None], code: StepCode, current: bool) -> Iterator[None]:
    """Another process that takes part in ``work``; left when there is no more of it."""
    ours, theirs = Pipe()
    with theirs:
        # -P: nothing is imported from the working folder, which may be somebody else's repository.
        command = [sys.executable, "-P", "-c", _PROGRAM, json.dumps(list(map(str, sys.path))), str(theirs.fileno())]
        try:
            process = subprocess.Popen(
                command, pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                process_group=0,  # an interrupt from the keyboard is for this process to handle
            )  # fmt: skip
        except OSError:
            ours.close()
            yield
            return
    thread = threading.Thread(target=_ask, args=(ours, work, code, current), daemon=True)
    thread.start()
    try:
        yield
        thread.join()
    finally:
        process.kill()
        process.wait()
        thread.join()


def _ask(connection: Connection, work: Callable[[_Run], None], code: StepCode, current: bool) -> None:
    def run(some: Sequence[Texts]) -> list[_Sent]:
        connection.send(some)
        found: list[_Sent] = connection.recv()
        return found

    # If it died, whatever it was of, the same happens again to this process, or does not.
    with connection, contextlib.suppress(OSError, EOFError):
        connection.send((code, current))
        work(run)


def serve(handle: int) -> None:
    """The other end of ``_ask``, until there is nobody any more."""
    with Connection(handle) as connection, contextlib.suppress(EOFError, OSError):
        run = _here(*connection.recv())
        while True:
            connection.send(run(connection.recv()))
