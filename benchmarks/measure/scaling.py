"""What a decision costs as the number of servers grows: a figure, and the numbers behind it.

    python -m edge_marl.benchmarks.measure.scaling --out docs/figures

`paper` is the yardstick. The other points are `planet@1` with fewer servers and gateways at the
same load per server and the same neighbourhood. Times are CPU times of the simulator alone (random
legal actions, one environment), medians of rounds taken in turn; memory is that of one environment.
"""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from edge_marl import Simulator, Workload, draw_workload, load_scenario
from edge_marl.benchmarks.report.figures import style
from edge_marl.console import results, run_command
from edge_marl.scenario import Scenario

__all__ = ["main", "measure", "of_size"]

TIER = "planet@1"
SIZES = (20, 50, 200, 1000, 2000)
DECISIONS = 4000

Row = tuple[str, int, float, float]
"""Tier, servers, microseconds per decision, megabytes."""


def of_size(servers: int) -> Scenario:
    """Return the tier with so many servers: gateways and load in proportion."""
    planet = load_scenario(TIER)
    share = servers / planet.servers.count
    hot = planet.arrivals.hot_spots
    assert hot is not None
    gateways = max(5, round(share * planet.gateways.count))
    arrivals = planet.arrivals.model_copy(
        update={
            "rate_per_s": planet.arrivals.rate_per_s * share,
            "horizon_s": planet.arrivals.horizon_s,
            "hot_spots": hot.model_copy(update={"count": max(1, round(share * hot.count))}),
        }
    )
    return planet.model_copy(
        update={
            "servers": planet.servers.model_copy(update={"count": servers}),
            "gateways": planet.gateways.model_copy(update={"count": gateways}),
            "arrivals": arrivals,
        }
    )


class Drive:
    """Random legal decisions of one environment, timed."""

    def __init__(self, scenario: Scenario) -> None:
        self._simulator = Simulator(scenario)
        self._workload: Workload = draw_workload(scenario, 0, split="validation")
        self._random = np.random.default_rng(0)
        self.round(200)

    @property
    def memory_mb(self) -> float:
        """Memory of the environment's arrays."""
        return self._simulator.num_bytes / 1e6

    def round(self, decisions: int = DECISIONS) -> float:
        """Return the CPU time of a decision in microseconds, over one round."""
        simulator, spent, taken = self._simulator, 0, 0
        while taken < decisions:
            simulator.load(0, self._workload)
            while simulator.done[0] == 0 and taken < decisions:
                legal = np.flatnonzero(simulator.feasible[0])
                action = int(legal[self._random.integers(len(legal))])
                start = time.process_time_ns()
                simulator.step_row(0, action)
                spent += time.process_time_ns() - start
                taken += 1
        return spent / taken / 1000


def measure(rounds: int) -> list[Row]:
    """Return the cost of every size."""
    drives = {("paper", 10): Drive(load_scenario("paper"))}
    drives |= {(TIER, servers): Drive(of_size(servers)) for servers in SIZES}
    times: dict[tuple[str, int], list[float]] = {key: [] for key in drives}
    for _ in range(rounds):
        for key, drive in drives.items():
            times[key].append(drive.round())
    return [
        (tier, servers, statistics.median(times[tier, servers]), drive.memory_mb)
        for (tier, servers), drive in drives.items()
    ]


def scaling(
    out: Annotated[Path, typer.Option(help="Folder for the figure and the numbers.")],
    rounds: Annotated[int, typer.Option(min=1, help="Rounds, of which the median counts.")] = 7,
) -> None:
    """Measure, print, and draw."""
    rows = measure(rounds)
    yardstick = rows[0][2]
    lines = ["tier,servers,us_per_decision,times_paper,mb_per_env"]
    for tier, servers, cost, size in rows:
        lines.append(f"{tier},{servers},{cost:.3f},{cost / yardstick:.2f},{size:.1f}")
    results().print("\n".join(lines), highlight=False)
    out.mkdir(parents=True, exist_ok=True)
    (out / "scaling.csv").write_text("\n".join(lines) + "\n", "utf-8")
    _draw(rows, out / "scaling.png")


def _draw(rows: list[Row], path: Path) -> None:
    import seaborn as sns
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    planet = [row for row in rows if row[0] == TIER]
    with sns.axes_style("white"), rc_context(style.RC):
        figure = Figure(figsize=(style.WIDTH_IN, 3.4), layout="constrained")
        axes = figure.subplots()
        axes.grid(axis="both")
        servers, costs = [row[1] for row in planet], [row[2] for row in planet]
        axes.plot(servers, costs, **style.LEARNED)
        axes.axhline(rows[0][2], **style.ANCHOR)
        axes.text(servers[-1], rows[0][2], "paper, 10 servers", va="bottom", ha="right")
        axes.set_xscale("log")
        axes.set_xticks(servers, [f"{count:,}" for count in servers])
        axes.minorticks_off()
        axes.set_ylim(bottom=0)
        axes.set_xlabel(f"edge servers ({TIER} cut to size, neighbourhoods of 16)")
        axes.set_ylabel("CPU time of a decision (µs)")
        axes.set_title("Cost of a decision by number of servers")
        figure.savefig(path)


def main() -> None:
    """Run the command on this process's arguments."""
    run_command(scaling)


if __name__ == "__main__":
    main()
