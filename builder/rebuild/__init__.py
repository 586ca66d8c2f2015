"""Building a release again from the release alone, and saying where two builds part."""
