"""See ``builder.printed``."""

from builder.printed import line, printable

__all__ = ["line", "printable"]
