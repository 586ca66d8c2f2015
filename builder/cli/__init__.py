"""The command line: one small module a verb; the only place that prints and exits."""

from builder.cli.app import main

__all__ = ["main"]
