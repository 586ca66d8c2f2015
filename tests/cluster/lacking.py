"""What this machine lacks."""

from __future__ import annotations


class NoHosts(Exception):
    """Hosts cannot be made on this machine; the text says why."""
