"""Builds on push: a post-receive hook puts what was pushed into a queue, and a worker builds it."""
