"""The short version of `measure/interval_coverage.py`, and what is kept of the long one."""

import csv
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from edge_marl.benchmarks.measure import interval_coverage as coverage
from edge_marl.benchmarks.measure.interval_coverage import FAILED, LAWS, NORMAL, Population
from edge_marl.benchmarks.report.intervals import Statistic, iqm, mean
from edge_marl.benchmarks.report.stats import COVERAGE, COVERAGE_OF_FAILING

KEPT = Path(__file__).parents[3] / "docs" / "figures" / coverage.RESULT

DQN = Population("paper", "dqn", 1.300, 0.0080, 0.0153, 0.0045)


@pytest.mark.parametrize("runs", [3, 5])
def test_intervals_hold_the_truth_as_often_as_they_say(runs: int) -> None:
    cells = list(coverage.measure(DQN, NORMAL, (runs, 20), 600))
    held = {(cell.statistic, cell.method): cell.held for cell in cells}
    # 600 samples tell a share of 95 % to 1.8 %, two standard errors.
    for statistic in ("mean", "iqm"):
        assert 0.93 <= held[statistic, "t"] <= 0.98
        assert held[statistic, "percentile"] < held[statistic, "t"]
    assert held["mean", "percentile"] < 0.93


@pytest.mark.parametrize("law", LAWS)
def test_a_population_has_its_mean_and_its_spreads(law: str) -> None:
    samples = DQN.draw(law, (400, 30, 20), np.random.default_rng(1))
    assert samples.mean() == pytest.approx(DQN.truth(law, "mean"), abs=0.01)
    if law != FAILED:
        found = [coverage.fit("paper", "dqn", sample) for sample in samples]
        for name in ("between_runs", "between_workloads", "rest"):
            variance = np.mean([getattr(one, name) ** 2 for one in found])
            assert variance == pytest.approx(getattr(DQN, name) ** 2, rel=0.1)


def test_the_truth_of_a_skewed_law_is_that_of_many_runs_and_workloads() -> None:
    for law in LAWS:
        sample = DQN.draw(law, (1, 2000, 500), np.random.default_rng(2))
        assert float(iqm(sample.ravel())) == pytest.approx(DQN.truth(law, "iqm"), abs=2e-3)


@pytest.mark.parametrize("statistic", [mean, iqm])
def test_percentiles_are_those_of_drawn_matrices(statistic: Statistic) -> None:
    values = np.random.default_rng(3).normal(1.0, 0.3, (4, 7)).round(2)  # with ties
    rows, columns = (coverage._drawn(n, axis).astype(int) for axis, n in enumerate(values.shape))
    drawn = [
        statistic(values[np.ix_(np.repeat(np.arange(4), i), np.repeat(np.arange(7), j))].ravel())
        for i, j in zip(rows, columns, strict=True)
    ]
    found = coverage.percentiles(values[None], statistic)
    ends = np.quantile(drawn, [0.025, 0.975])
    assert [found.low[0], found.high[0]] == pytest.approx(ends, rel=1e-5)


@pytest.fixture(scope="module")
def kept() -> list[dict[str, str]]:
    with KEPT.open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_table_of_the_docs_is_of_what_was_measured(kept: list[dict[str, str]]) -> None:
    docs = (KEPT.parents[1] / "model" / "metrics.md").read_text("utf-8")
    for runs in coverage.RUNS:
        texts = [str(runs)]
        for method, law in product(coverage.METHODS, LAWS):
            held = [
                100.0 * float(cell["held"])
                for cell in kept
                if (cell["method"], cell["law"], cell["runs"]) == (method, law, str(runs))
            ]
            texts.append(f"{min(held):.0f} to {max(held):.0f} %")
        assert f"| {' | '.join(texts)} |" in docs


def test_what_tables_say_of_intervals_is_what_was_measured(kept: list[dict[str, str]]) -> None:
    cells = [cell for cell in kept if cell["method"] == "t"]
    for told, laws in ((COVERAGE, set(LAWS) - {FAILED}), (COVERAGE_OF_FAILING, {FAILED})):
        assert told.keys() == {int(cell["runs"]) for cell in cells}
        for runs, ends in told.items():
            held = [
                100.0 * float(cell["held"])
                for cell in cells
                if cell["law"] in laws and int(cell["runs"]) == runs
            ]
            assert (round(min(held)), round(max(held))) == ends
