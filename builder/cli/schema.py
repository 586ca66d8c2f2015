from __future__ import annotations

import json


def schema() -> None:
    """Print the JSON Schema of the manifest, for editors.

    Example: tinsmith schema > manifest.schema.json
    """
    from builder.manifest import schema as manifest_schema

    print(json.dumps(manifest_schema(), indent=2))
