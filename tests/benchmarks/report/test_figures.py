import math

import numpy as np

from edge_marl.benchmarks.report import style
from edge_marl.benchmarks.report.intervals import Estimate
from edge_marl.benchmarks.report.score_figure import ScoreLine, score_figure


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
