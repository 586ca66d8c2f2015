from __future__ import annotations

from builder.cli.options import Manifests


def check(manifests: Manifests) -> None:
    """Validate manifests: every error with its place and a suggestion.

    Example: tinsmith check manifests/*.yaml
    """
    from builder.cli.load import load_all

    for path, family in load_all(manifests):
        variants = f", {len(family.variants)} variants" if len(family.variants) > 1 else ""
        print(f"{path}: {family.name} {family.version}{variants} is valid")
