import math

import numpy as np

from edge_marl.benchmarks.plan.cells import AgentEntry
from edge_marl.benchmarks.records.records import Load
from edge_marl.benchmarks.report.figures import drawings, style
from edge_marl.benchmarks.report.figures.scores import ScoreLine, score_figure
from edge_marl.benchmarks.report.intervals import Estimate
from edge_marl.benchmarks.report.results import Runs
from edge_marl.benchmarks.report.tables import Row


def test_intervals_are_drawn_as_far_as_values_are_apart() -> None:
    assert style.reach([0.2, 0.5, 0.9]) == (0.2 - 0.7, 0.9 + 0.7)
    assert style.reach([0.5, 0.5]) == (-math.inf, math.inf)


def test_a_very_wide_interval_leaves_room_for_the_scores() -> None:
    scores = (Estimate(0.6, -40.0, 41.0), Estimate(0.9, 0.88, 0.92))
    lines = [ScoreLine("agent", True, found, np.array([0.5, 0.9])) for found in scores]
    figure = score_figure("world", lines, "one test workload", [])
    low, high = figure.axes[0].get_xlim()
    assert -1.0 < low < high < 2.0
    assert "0.600 [-40.000, 41.000]" in [text.get_text() for text in figure.axes[0].texts]


def test_an_agent_that_collapsed_is_at_the_rim_and_the_others_have_the_figure() -> None:
    def row(name: str, utility: float) -> Row:
        agent = AgentEntry(agent=name, learns=True, deterministic=True, code="")
        exact = {
            "server_crash_rate": Estimate(0.01, 0.01, 0.01),
            "utility_per_task": Estimate(utility, utility, utility),
        }
        runs = Runs(1, (0,), (), (), {}, np.empty(0), (), Load())
        return Row(agent, runs, np.empty((0, 0)), exact, ())

    rows = {k: row(f"agent-{k}", 1.0 + 0.1 * k) for k in range(6)} | {6: row("collapsed", -400.0)}
    figure = drawings._trade_off(rows)
    low, high = figure.axes[0].get_ylim()
    assert 0.5 < low < 1.0 < 1.5 < high < 2.0
    names = [text.get_text() for legend in figure.legends for text in legend.get_texts()]
    assert names == [*(f"agent-{k}" for k in range(6)), "collapsed: -400.00"]
    assert min(figure.axes[0].get_yticks()) > low + 0.02
