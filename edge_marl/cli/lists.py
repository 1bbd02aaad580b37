"""The commands `edge-marl agents` and `edge-marl suites`: what there is, by name."""

from __future__ import annotations

from typing import Any

from edge_marl.console import print_rows

__all__ = ["agents", "suites"]


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


def suites() -> None:
    """List the suites."""
    from edge_marl.benchmarks.suites import list_suites, load_suite

    print_rows([(name, load_suite(name).summary) for name in list_suites()])
