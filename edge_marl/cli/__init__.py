"""The command `edge-marl`: a file per command, and `root.py` that puts them together."""

from edge_marl.cli.root import app, main

__all__ = ["app", "main"]
