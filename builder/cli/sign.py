from __future__ import annotations

from builder.cli.options import DEFAULT_RELEASES, ReleaseFolder, ReleaseRef
from builder.cli.signing import Key


def sign(release: ReleaseRef, key: Key = None, releases: ReleaseFolder = DEFAULT_RELEASES) -> None:
    """Sign the provenance of a release. The release itself does not change.

    Example: tinsmith sign shapes@1.0.0 --key keys/team.key
    """
    from builder.cli.signing import required_key, sign_as_built
    from builder.release.layout import Layout

    layout = Layout(releases)
    found = layout.find(release)
    signing = required_key(key)
    attachment = sign_as_built(layout, found, signing)
    print(f"{found.ref}  {found.digest}")
    print(f"signed by {signing.public.id}")
    print(layout.blob_path(attachment.digest))
