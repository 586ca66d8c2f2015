"""Keys, signatures and what they are taken to mean. Knows releases by name, version and digest only."""
