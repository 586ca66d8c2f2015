"""YAML text -> Manifest: strict, with the place of every error."""

from builder.manifest.load import load, loads, position, schema
from builder.manifest.model import Manifest
from builder.manifest.template import init_text

__all__ = ["Manifest", "init_text", "load", "loads", "position", "schema"]
