"""The `lambent` command."""

VERSION = "0.1.0"
"""Of the whole distribution; a test holds it to pyproject.toml. To look it up would cost each start some 20 ms."""
