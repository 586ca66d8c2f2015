"""``tinsmith init``: looks at a folder of data and writes a manifest for it."""

from builder.starter.survey import Survey, survey
from builder.starter.text import GITIGNORE, starter_text

__all__ = ["GITIGNORE", "Survey", "starter_text", "survey"]
