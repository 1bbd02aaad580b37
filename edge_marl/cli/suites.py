"""The command `edge-marl suites`: which runs are named."""

from __future__ import annotations

from edge_marl.console import print_rows

__all__ = ["suites"]


def suites() -> None:
    """List the suites."""
    from edge_marl.benchmarks.suites import list_suites, load_suite

    print_rows([(name, load_suite(name).summary) for name in list_suites()])
