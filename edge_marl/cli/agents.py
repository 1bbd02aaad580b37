"""The command `edge-marl agents`."""

from __future__ import annotations

from typing import Any

from edge_marl.console import print_rows

__all__ = ["agents"]


def agents() -> None:
    """List the registered agents, and the references of the game."""
    import inspect

    from edge_marl.agents import Trainer, names
    from edge_marl.agents.registry import find, references

    def summary(documented: Any) -> str:
        return (inspect.getdoc(documented) or "").partition("\n")[0]

    rows = []
    for name in names():
        kind = find(name)  # not made: some need a library that may be missing
        rows.append((name, "learns" if issubclass(kind, Trainer) else "heuristic", summary(kind)))
    rows += [(name, "reference", summary(kind)) for name, kind in references().items()]
    print_rows(rows)
