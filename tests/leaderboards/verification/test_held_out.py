"""Held-out workloads: the board's statistic, and the spread, are those of the public ones."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from edge_marl import draw_workload, load_scenario
from edge_marl.agents import Agent, make
from edge_marl.benchmarks.report.intervals import iqm
from edge_marl.leaderboards.submission.chain import Moment, play_episodes
from edge_marl.leaderboards.submission.results import held_out_result
from edge_marl.leaderboards.verification import held_out
from edge_marl.leaderboards.verification.season import from_beacon
from edge_marl.leaderboards.verification.verify import verify
from edge_marl.workload import Workload
from tests.leaderboards.cheats import knowing_more
from tests.leaderboards.cheats.knowing_more import Plans, plans_of
from tests.worlds import forging

SMOKE = load_scenario("smoke")
WORKLOADS = [draw_workload(SMOKE, k, split="test") for k in range(100)]
BEACON = from_beacon("4f3c9a51e0b2d786")
THROWN_AWAY = 25


class KnowsThePublicOnes:
    """Plays public workloads by heart, and some of them badly; on others it is honest."""

    def __init__(self, workloads: Sequence[Workload]) -> None:
        public = int(workloads[0].tasks[0, 0]) == int(WORKLOADS[0].tasks[0, 0])
        agent = Plans(SMOKE, plans_of(SMOKE, WORKLOADS)) if public else make("crash-avoid", SMOKE)
        assert isinstance(agent, Agent)
        agent.reset(0)
        self._agent, self._thrown_away = agent, THROWN_AWAY if public else 0

    def __call__(self, moment: Moment) -> npt.NDArray[np.int64]:
        chosen = self._agent.act(moment.observation, {"action_mask": moment.mask})
        chosen[: self._thrown_away] = 0
        return chosen

    def preferences(self) -> None:
        return None


def test_one_that_throws_workloads_away_to_have_an_equal_mean_is_found_out(tmp_path: Path) -> None:
    episodes = play_episodes(SMOKE, WORKLOADS, KnowsThePublicOnes(WORKLOADS))
    code = f"{knowing_more.__file__}:Plans"
    folder = forging.with_episodes(forging.copy_of_good(tmp_path), episodes, code)
    verdict = verify(
        folder, fresh=BEACON, open_policy=lambda _, given: nullcontext(KnowsThePublicOnes(given))
    )
    assert verdict.level == "re-executed"
    assert verdict.failure is not None
    assert verdict.failure.startswith("held-out: ")
    assert "but spread otherwise from workload to workload" in verdict.failure
    assert "(Kolmogorov-Smirnov), below 0.0001" in verdict.failure


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
