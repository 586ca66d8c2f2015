from __future__ import annotations

from typing import Annotated

import typer


def schema(
    markdown: Annotated[bool, typer.Option(help="As a page of tables to read, instead of JSON.")] = False,
) -> None:
    """Print the JSON Schema of the manifest, for editors.

    Example: tinsmith schema > manifests/manifest.schema.json
    """
    from builder.manifest.reference import markdown as page
    from builder.manifest.schema import schema_text

    print(page() if markdown else schema_text(), end="")
