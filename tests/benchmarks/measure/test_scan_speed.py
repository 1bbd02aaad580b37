"""The short version of `measure/scan_speed.py`: what it makes and measures, not how fast."""

from itertools import combinations
from pathlib import Path

import numpy as np

from edge_marl.benchmarks.measure.scan_speed import make_run, measure
from edge_marl.benchmarks.records.records import read_record
from edge_marl.benchmarks.report.tables import build_tables
from edge_marl.benchmarks.suites import Suite

SAMPLE = Suite(scenarios=("smoke",), agents=("random", "power-of-two"), seeds=1, episodes=3)


def test_the_cells_that_are_timed_are_those_of_a_finished_run(tmp_path: Path) -> None:
    plan = make_run(tmp_path, 20, SAMPLE, worlds=2, names=5)
    jobs = plan.jobs()
    assert len(jobs) == 22
    for job in jobs:
        record = read_record(tmp_path, job)
        assert record is not None
        assert record.failure is None
    scores = [row.scores for table in build_tables(tmp_path) for row in table.rows]
    assert [score.shape for score in scores] == [(2, 3)] * 10
    runs = [run for score in scores for run in score]
    assert not any(np.array_equal(one, other) for one, other in combinations(runs, 2))
    parts = [part.name for part in measure(tmp_path)]
    assert parts[1:3] == ["plan: scan and count", "report: scan and tabulate"]
    assert len(parts) == 7
