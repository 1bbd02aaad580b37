"""The figure of learning curves shows every seed."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from edge_marl.benchmarks.study.curves import curves_figure
from edge_marl.benchmarks.study.replication import REPORT


def run(utilities: list[float], actions: int) -> dict[str, Any]:
    curve = [{"decisions": 1000 * (k + 1), "utility_per_task": u} for k, u in enumerate(utilities)]
    return {"curve": curve, "distinct_actions": actions}


def test_a_panel_per_learner_and_a_line_per_seed() -> None:
    runs = {
        "adsac": [run([0.1, 0.9], 30), run([0.2, 0.8], 28)],
        "a2c": [run([0.0, 0.5], 1)],
        "ppo": [run([0.1, 0.4], 7)],
        "sac": [run([0.3, 0.7], 9)],
    }
    figure = curves_figure("Learning curves", runs, {"prophet": 1.0})
    drawn = [axes for axes in figure.axes if axes.axison]
    assert [axes.get_title(loc="left") for axes in drawn] == [
        "adsac (actions: 28 to 30)",
        "a2c (actions: 1)",
        "ppo (actions: 7)",
        "sac (actions: 9)",
    ]
    level, first, second = (np.array(line.get_data()) for line in drawn[0].get_lines())
    assert level[1].tolist() == [1.0, 1.0]
    assert first.tolist() == [[1.0, 2.0], [0.1, 0.9]]
    assert second.tolist() == [[1.0, 2.0], [0.2, 0.8]]
    assert any("prophet 1.00" in text.get_text() for text in figure.texts)


def test_the_report_shows_figures_that_are_there() -> None:
    folder = REPORT.parent
    pictures = re.findall(r"!\[.*\]\((.*)\)", REPORT.read_text("utf-8"))
    assert pictures
    assert all((folder / name).read_bytes().startswith(b"\x89PNG") for name in pictures)
