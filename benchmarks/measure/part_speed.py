"""What each part of a tier costs a decision: the native batch with it, and without it alone.

    python -m edge_marl.benchmarks.measure.part_speed [TIER ...]

The step of a batch on one thread, observations included and resets left out, on random legal
actions; what is played is other where a part is off, and that is in the figure too. The tier and
each of the others take turns, and a round's ratios are to the tier in that round. Medians of
rounds, on a machine that does nothing else.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Sequence

from edge_marl.benchmarks.speed.parts import Kernel
from edge_marl.console import print_rows, results
from edge_marl.errors import ScenarioError
from edge_marl.scenario import Scenario, load_scenario
from edge_marl.scenario.ablation import parts_of, without

__all__ = ["main", "measure"]

TIERS = ("campus", "metro", "studio", "nation")
ROUNDS = 5

Times = dict[str, tuple[float, float]]
"""By part that is off: ns of a decision, and how many times what it takes with all parts."""

WHOLE = "-"


def measure(scenario: Scenario, rounds: int = ROUNDS, quick: bool = False) -> Times:
    """Measure a decision with all parts (`WHOLE`), and without each that can be left out alone."""
    kernels = {WHOLE: Kernel(scenario, quick)}
    for part in parts_of(scenario):
        try:
            kernels[part.name] = Kernel(without(scenario, part.name), quick)
        except ScenarioError:
            continue  # too many actions without a neighbourhood
    found: list[dict[str, float]] = []
    for _ in range(rounds + 1):
        samples = {name: kernel.measure() for name, kernel in kernels.items()}
        found.append(
            {name: each.transition_ns + each.observation_ns for name, each in samples.items()}
        )
    return {name: _medians(found[1:], name) for name in kernels}  # the first one compiles


def _medians(found: Sequence[dict[str, float]], name: str) -> tuple[float, float]:
    times = statistics.median(each[name] for each in found)
    return times, statistics.median(each[name] / each[WHOLE] for each in found)


def main() -> None:
    """Measure the tiers that are named, or those of version 2, and print a table of each."""
    for tier in sys.argv[1:] or TIERS:
        scenario = load_scenario(tier)
        rows = [("without", "ns per decision", "of the tier's")]
        for name, (ns, ratio) in measure(scenario).items():
            rows.append((name, f"{ns:,.0f}", f"{ratio:.2f}"))
        results().print(f"\n{scenario.label}, one thread, medians of {ROUNDS}:", markup=False)
        print_rows(rows)


if __name__ == "__main__":
    main()
