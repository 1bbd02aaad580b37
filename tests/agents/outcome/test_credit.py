"""What a decision answers for: against what an episode's log tells step by step."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

from edge_marl.agents.outcome.credit import own_outcomes
from edge_marl.envs import EdgeAIGCRows, EdgeAIGCVectorEnv
from edge_marl.kernel import world as k
from edge_marl.scenario import Scenario, load_scenario
from tests.worlds.every_part import OFF, TERMS, world

BUSY: dict[str, Any] = {"horizon_s": 400.0, "rate_per_s": 2.0}
ALL = world(arrivals=BUSY)
SINGLE_STAGES = world(
    arrivals=BUSY,
    tasks={"stages": OFF},
    cloud=OFF,
    outages={"every_s": 100.0, "repair_s": 20.0},
)
LINES = world(arrivals=BUSY, **TERMS)
NO_REFUNDS = world(
    arrivals=BUSY, overload={"penalty": 2.0, "loss_sum": "by-service", "restart_s": 0.0}
)
WORLDS = {
    "smoke": load_scenario("smoke"),
    "all": ALL,
    "lines": LINES,
    "no refunds": NO_REFUNDS,
    "slots": load_scenario("smoke").with_gateways(3).with_clock(900.0, hold=False),
    "slots and refunds": world(arrivals=BUSY, overload={"restart_s": 0.0}).with_clock(
        5.0, hold=False
    ),
}


def random_episode(scenario: Scenario, seed: int = 0) -> Any:
    """The simulator at the end of an episode of random legal choices, in two rows."""
    generator = np.random.default_rng(seed)
    make = EdgeAIGCRows if scenario.clock.slot_ms else EdgeAIGCVectorEnv
    envs: Any = make(2, scenario=scenario, autoreset_mode=AutoresetMode.DISABLED)
    _, info = envs.reset(seed=seed)
    over = np.zeros(2, dtype=bool)
    while not over.all():
        mask = info["action_mask"]
        drawn = generator.random(mask.shape) * mask
        _, _, terminated, truncated, info = envs.step(drawn.argmax(-1))
        over = terminated | truncated
    return envs.game if scenario.clock.slot_ms else envs.simulator


@pytest.mark.parametrize("name", WORLDS)
def test_nothing_is_lost_or_counted_twice(name: str) -> None:
    """The outcomes of all requests come to what the episode earned."""
    simulator = random_episode(WORLDS[name])
    for row in range(2):
        log = simulator.log(row)
        first = np.ones(len(log.tasks), dtype=bool)
        if log.details is not None:
            first = log.details[:, k.STAGE] == 0
        task = np.flatnonzero(first & (log.tasks[:, k.STATUS] != k.WAITING))
        outcome, final = own_outcomes(simulator.world, np.full(len(task), row), task)
        assert outcome.sum() == pytest.approx(log.rewards.sum())
        assert final.sum() > 20
        assert (log.tasks[:, k.STATUS] == k.CRASHED).any()


def test_each_answers_for_its_own_task_and_the_crash_that_it_caused() -> None:
    """What changes in the log with a step: new rewards, and what is taken back and why."""
    envs = EdgeAIGCVectorEnv(1, scenario=SINGLE_STAGES, autoreset_mode=AutoresetMode.DISABLED)
    generator = np.random.default_rng(0)
    _, info = envs.reset(seed=3)
    rows = np.zeros(len(envs.log(0).tasks), dtype=np.int64)
    expected, told = np.zeros(len(rows)), np.full(len(rows), np.nan)
    crashes = taken_by_outages = 0
    over = False
    while not over:
        before, task = envs.log(0), int(envs.simulator.task_shown[0])
        drawn = (generator.random(info["action_mask"].shape) * info["action_mask"]).argmax(-1)
        _, _, terminated, truncated, info = envs.step(drawn)
        over = bool(terminated[0] | truncated[0])
        after = envs.log(0)
        change = after.rewards - before.rewards
        was, status = (log.tasks[:, k.STATUS] for log in (before, after))
        by_crash = (status == k.CRASHED) & (was != k.CRASHED)
        expected[task] += change[by_crash].sum()
        expected[~by_crash] += change[~by_crash]
        crashes += int(change[by_crash].any())
        taken_by_outages += int(change[status == k.OUTAGE].any())
        outcome, final = own_outcomes(envs.simulator.world, rows, np.arange(len(rows)))
        known = ~np.isnan(told)
        np.testing.assert_array_equal(outcome[known], told[known])
        assert final[known].all()
        told[final] = outcome[final]
    decided = status != k.WAITING
    np.testing.assert_allclose(outcome[decided], expected[decided], atol=1e-12)
    assert min(crashes, taken_by_outages) > 0
    assert np.isfinite(told).mean() > 0.9


def test_those_who_crash_a_server_in_one_moment_share_what_it_took() -> None:
    w = random_episode(SINGLE_STAGES).world
    causes = np.flatnonzero(w.tasks[0, :, k.STATUS] == k.REFUSED)
    rows = np.zeros(len(causes), dtype=np.int64)
    taken = w.rewards[0, causes] - own_outcomes(w, rows, causes)[0]
    task, other = causes[taken.argmax()], causes[taken.argmin()]
    w.tasks[0, other, [k.END, k.PLACE]] = w.tasks[0, task, [k.END, k.PLACE]]
    both, _ = own_outcomes(w, rows[:2], np.array([task, other]))
    assert taken.max() > 0
    np.testing.assert_allclose(w.rewards[0, [task, other]] - both, taken.max() / 2)
