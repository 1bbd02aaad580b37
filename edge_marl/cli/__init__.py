"""The command `edge-marl`: a file per command, and `main.py` that puts them together."""

from edge_marl.cli.main import app, main

__all__ = ["app", "main"]
