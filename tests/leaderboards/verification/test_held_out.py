"""Held-out workloads: the board's statistic, and the spread, are those of the public ones."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from edge_marl import draw_workload, load_scenario
from edge_marl.benchmarks.report.intervals import iqm
from edge_marl.leaderboards.submission.results import held_out_result
from edge_marl.leaderboards.verification import held_out
from edge_marl.leaderboards.verification.season import from_beacon
from edge_marl.leaderboards.verification.verify import verify
from tests.worlds import forging

SMOKE = load_scenario("smoke")
WORKLOADS = [draw_workload(SMOKE, k, split="test") for k in range(100)]
BEACON = from_beacon("4f3c9a51e0b2d786")


def test_what_an_honest_policy_gets_there_goes_into_the_ledger() -> None:
    verdict = verify(forging.GOOD, "held-out", fresh=BEACON)
    assert verdict.failure is None
    assert verdict.verification is not None
    found = verdict.verification.held_out
    assert found is not None
    assert found.outcome is not None
    scores = held_out_result(found, SMOKE).scores
    assert scores.shape == (1, 100)
    assert f"score {iqm(scores.ravel()):.4f} on 100 workloads of beacon" in verdict.passed[-1][1]
    utility = np.array(found.outcome.metrics["utility_per_task"], dtype=float)
    assert utility.mean() == pytest.approx(found.utility_per_task)
    assert verdict.verification.counts_as == "held-out"


@pytest.mark.parametrize("shift", [0.0, 0.1, 0.5, 0.8, 3.0])
def test_the_chance_is_that_of_the_exact_test(shift: float) -> None:
    rng = np.random.Generator(np.random.PCG64(3))
    one, other = rng.normal(size=100), rng.normal(size=100) + shift
    exact = stats.ks_2samp(one, other, method="exact").pvalue
    assert held_out._chance(one, other) == pytest.approx(exact, rel=1e-9)
