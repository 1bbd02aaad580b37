"""The command `edge-marl agents`."""

from __future__ import annotations

from edge_marl.console import print_rows

__all__ = ["agents"]


def agents() -> None:
    """List the registered agents."""
    import inspect

    from edge_marl.agents import Trainer, names
    from edge_marl.agents.registry import find

    rows = []
    for name in names():
        kind = find(name)  # not made: some need a library that may be missing
        summary = (inspect.getdoc(kind) or "").partition("\n")[0]
        rows.append((name, "learns" if issubclass(kind, Trainer) else "heuristic", summary))
    print_rows(rows)
