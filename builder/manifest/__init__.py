"""YAML text -> Family of Manifests: strict, with the place of every error."""
