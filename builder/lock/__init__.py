"""Names -> digests: what a manifest's toolchains and data stood for when it was locked."""
