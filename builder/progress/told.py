"""Events in words: what every view tells of them, and of which step, variant and worker they are."""

from __future__ import annotations

from builder.progress.board import Board
from builder.progress.events import Event


def news_of(event: Event, board: Board) -> str:
    """What is told of ``event`` also where all steps are to be seen; empty for most. ``board`` has taken it in.

    On a cluster the reason of a failure is told as it comes: the rest may go on for hours.
    """
    match event.kind:
        case "message":
            return placed(event, board, message_of(event))
        case "lost":
            return placed(event, board, lost_of(event))
        case "failed" if board.cluster and event.detail.get("code") != "interrupted":
            return placed(event, board, failed_of(event, board))
        case _:
            return ""


def placed(event: Event, board: Board, text: str) -> str:
    """``text`` after the variant and the worker: ``d050 on rack-2: done in 12s``. On one machine just ``text``."""
    if not board.cluster or not text:
        return text
    row = board.row_of(event)
    worker = event.worker or (row.worker if row is not None else "")
    parts = [row.label if row is not None else "", f"on {worker}" if worker else ""]
    where = " ".join(part for part in parts if part)
    return f"{where}: {text}" if where else text


def message_of(event: Event) -> str:
    return str(event.detail.get("text") or event.detail.get("message") or "")


def lost_of(event: Event) -> str:
    text = message_of(event)
    return "lost" + (f", {text}" if text else "") + "; it waits for another worker"


def failed_of(event: Event, board: Board) -> str:
    code = event.detail.get("code")
    if code == "interrupted":
        return "stopped"
    row = board.row_of(event) if board.cluster else None
    return f"failed ({code})" + (f": {row.why}" if row is not None and row.why else "")


def indented(text: str) -> str:
    """``text`` with its further lines below its first: none can be taken for the word of another step."""
    return "\n         ".join(text.splitlines())
