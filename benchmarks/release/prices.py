"""Compute the prices of a tier's capacity for `bid-price`, which are shipped with the package.

    python -m edge_marl.benchmarks.release.prices --scenario paper

A maintainer's tool, run when a tier is released or `VERSION` of `agents/heuristics/prices.py` is
raised.
"""

from __future__ import annotations

from typing import Annotated

import typer

from edge_marl.agents.heuristics.prices import WORKLOADS, content_of, shipped_at, solve_prices
from edge_marl.console import results, run_command
from edge_marl.errors import RecordError
from edge_marl.files import write_file
from edge_marl.scenario import load_scenario

__all__ = ["main", "make_prices"]


def make_prices(
    scenario: Annotated[str, typer.Option(help="A tier's name.")] = "paper",
    world: Annotated[int | None, typer.Option(min=0, help="World of the tier.")] = None,
) -> None:
    """Learn a tier's prices from its training workloads, and write them to the package."""
    loaded = load_scenario(scenario, world=world)
    path = shipped_at(loaded)
    write_file(path, content_of(loaded, solve_prices(loaded)), RecordError)
    results().print(f"{path}: from {WORKLOADS} workloads", markup=False, soft_wrap=True)


def main() -> None:
    """Run the command on this process's arguments."""
    run_command(make_prices)


if __name__ == "__main__":
    main()
