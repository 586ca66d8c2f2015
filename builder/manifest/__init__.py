"""YAML text -> Family of Manifests: strict, with the place of every error."""

from builder.manifest.family import Family, Variant
from builder.manifest.load import load, loads, position
from builder.manifest.model import Manifest
from builder.manifest.schema import schema

__all__ = ["Family", "Manifest", "Variant", "load", "loads", "position", "schema"]
