from __future__ import annotations

from typing import Annotated

import typer

from builder.cli.options import DEFAULT_RELEASES, DEFAULT_STORE, Json, ReleaseFolder, StoreFolder

_SIDE = "a release, a manifest (FILE.yaml) or a plan (FILE.json of 'plan --json'); FILE#NAME where several are in it."


def why(
    a: Annotated[str, typer.Argument(metavar="A", help=f"One side: {_SIDE}")],
    b: Annotated[str, typer.Argument(metavar="B", help="The other side.")],
    every: Annotated[bool, typer.Option("--all", help="Every difference, not only the first.")] = False,
    releases: ReleaseFolder = DEFAULT_RELEASES,
    store: StoreFolder = DEFAULT_STORE,
    as_json: Json = False,
) -> None:
    """Say where two builds part first: manifest, lock, package, data, code, step, file, tensor.

    Exit 0 whether they do or not: --json has "same".

    Example: tinsmith why raccoon-025@1.0.0 manifests/raccoon-025.yaml
    """
    import json

    from builder.digest import Digest
    from builder.errors import UsageError
    from builder.rebuild.sides import side_of
    from builder.rebuild.why import document, lines
    from builder.rebuild.why import why as answer
    from builder.release.layout import Layout
    from builder.store.places import open_known

    opened = open_known(store)

    def listing(digest: Digest) -> bytes | None:
        return opened.read(digest) if opened is not None and opened.has(digest) else None

    layout = Layout(releases)
    try:
        one, other = (side_of(ref, layout, listing) for ref in (a, b))
        found = answer(one, other)
    except RecursionError:
        raise UsageError("what is compared is nested too deeply") from None
    if as_json:
        print(json.dumps(document(one, other, found), indent=2, sort_keys=True))
        return
    for line in lines(one, other, found, every=every):
        print(line)
