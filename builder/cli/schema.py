from __future__ import annotations


def schema() -> None:
    """Print the JSON Schema of the manifest, for editors.

    Example: tinsmith schema > manifest.schema.json
    """
    from builder.manifest.schema import schema_text

    print(schema_text(), end="")
