"""Which manifests build something else than they did at another revision of their git repository."""
