"""The bound of every tier against a linear program, on ten workloads each: run by hand.

    python -m tests.edge_marl.bound.long_run_program --workloads 10

A tier is played at a size that a linear program can be solved at: ten servers, as many gateways for
each and as much work for each as it has, for a minute; `studio` without its workflows. Ends with
status 1 where a program's optimum passes the bound.
"""

from __future__ import annotations

import time
from typing import Annotated

import numpy as np
import typer
from rich.console import Console

from edge_marl import draw_workload, load_scenario
from edge_marl.bound import upper_bound
from edge_marl.scenario import Scenario
from edge_marl.scenario.ablation import without
from tests.edge_marl.bound.linear_program import best_of_program

__all__ = ["main", "small"]

TIERS = ("campus", "metro", "studio", "nation", "planet")
SERVERS, SECONDS = 10, 60.0
TIMES = 6
"""Later times at which a task may take its capacity, on each server."""


def small(tier: str) -> Scenario:
    """A tier at the size of the program."""
    scenario = load_scenario(tier)
    if len(scenario.tasks.stages) > 1:
        scenario = without(scenario, "stages")
    facts = scenario.model_dump(mode="json", exclude_defaults=True)
    share = SERVERS / scenario.num_servers
    facts["servers"]["count"] = SERVERS
    arrivals, gateways = facts["arrivals"], facts["gateways"]
    arrivals["rate_per_s"] *= share
    arrivals["horizon_s"] = SECONDS
    if scenario.arrivals.daily:
        arrivals["day_s"] = SECONDS
    gateways["count"] = max(2, round(gateways["count"] * share))
    if spots := arrivals.get("hot_spots"):
        spots["count"] = 1
        spots["gateways"] = min(spots["gateways"], gateways["count"])
    if "neighbourhood" in gateways:
        gateways["neighbourhood"] = min(gateways["neighbourhood"], SERVERS)
    facts["tasks"].pop("fail_share", None)
    return Scenario.model_validate(facts)


def main(
    workloads: Annotated[int, typer.Option(help="of validation, per tier")] = 10,
    tier: Annotated[list[str] | None, typer.Option(help="tier; repeatable")] = None,
) -> None:
    """Solve the program of each workload, and hold the bound against it."""
    console = Console(markup=False, highlight=False)
    wrong = False
    for name in tier or TIERS:
        scenario, above, began = small(name), [], time.monotonic()
        for seed in range(workloads):
            workload = draw_workload(scenario, seed, split="validation")
            bound = upper_bound(scenario, workload)
            above.append(bound.value / best_of_program(scenario, workload, bound, TIMES))
        wrong |= min(above) < 1.0
        spread = f"{min(above):.4f} to {max(above):.4f}, median {np.median(above):.4f}"
        spent = time.monotonic() - began
        console.print(f"{name}: bound over optimum {spread}; {workloads} in {spent:.0f} s")
    raise typer.Exit(int(wrong))


if __name__ == "__main__":
    typer.run(main)
