"""Episodes in slots whose first task comes too late for a slot before the horizon."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

from edge_marl import EdgeAIGCRows, Workload, draw_workload, edge_aigc_v0, load_scenario
from edge_marl.envs.parallel import game_scenario
from edge_marl.scenario import Scenario
from tests.worlds.every_part import world

LATE_MS = 120_000_000
"""In the last slot of 100,000 s before the horizon of `smoke`, 150,000 s."""

SLOTS = game_scenario("smoke", None, 2, 100_000.0, None)


def late(scenario: Scenario = SLOTS) -> Workload:
    """A workload of one task, too late for a slot."""
    topology = draw_workload(scenario, 0).topology
    return Workload(topology, np.array([[LATE_MS, 1000, 100, 0, 0]]))


def rare() -> Scenario:
    """Slots in which drawn episodes have no decision, now and then."""
    base = load_scenario("smoke")
    arrivals = base.arrivals.model_copy(update={"rate_per_s": 0.00002, "gap_cv": 2.0})
    return base.model_copy(update={"arrivals": arrivals}).with_clock(70_000.0, False)


def nothing(env: Any) -> dict[str, int]:
    return dict.fromkeys(env.agents, env.scenario.num_actions)


def test_it_is_over_at_the_first_step() -> None:
    env = edge_aigc_v0.parallel_env(scenario=SLOTS)
    seen, infos = env.reset(options={"workload": late()})
    assert env.agents == env.possible_agents
    assert env.log().clock_ms == SLOTS.arrivals.horizon_ms
    for agent in env.agents:
        assert not seen[agent][: env.layout.task_size].any()
        assert infos[agent]["action_mask"].tolist() == [0] * SLOTS.num_actions + [1]
    _, rewards, terminations, truncations, _ = env.step(nothing(env))
    assert set(rewards.values()) == {0.0}
    assert not any(terminations.values())
    assert all(truncations.values())
    assert env.agents == []
    metrics = env.metrics()
    assert metrics["tasks"] == 1
    assert metrics["completion_rate"] == metrics["utilisation"] == 0
    assert math.isnan(metrics["load_imbalance"])


def test_turns_end_as_well() -> None:
    env = edge_aigc_v0.env(scenario=SLOTS)
    env.reset(options={"workload": late()})
    for agent in env.agent_iter():
        over = env.terminations[agent] or env.truncations[agent]
        env.step(None if over else SLOTS.num_actions)
    assert env.agents == []
    assert env.metrics()["completion_rate"] == 0


@pytest.mark.parametrize("mode", [AutoresetMode.SAME_STEP, AutoresetMode.DISABLED])
def test_rows_tell_it_at_the_first_step(mode: AutoresetMode) -> None:
    rows = EdgeAIGCRows(2, scenario=SLOTS, autoreset_mode=mode)
    rows.reset(seed=0, options={"workloads": [late(), None]})
    _, rewards, _, truncated, infos = rows.step(np.full((2, 2), SLOTS.num_actions))
    assert truncated[0]
    assert (rewards[0] == 0).all()
    assert ("final_obs" in infos) == (mode == AutoresetMode.SAME_STEP)
    assert rows.log(0).clock_ms <= SLOTS.arrivals.horizon_ms


def test_drawn_and_given_are_the_same() -> None:
    """Over many drawn episodes: the clock never passes the horizon, nor goes back."""
    scenario = rare()
    drawn, given = (edge_aigc_v0.parallel_env(scenario=scenario) for _ in range(2))
    without = 0
    for episode in range(60):
        drawn.reset(seed=3 if episode == 0 else None)
        workload = draw_workload(scenario, 3, episode=episode)
        given.reset(options={"workload": workload})
        first = drawn.log().clock_ms
        without += first == scenario.arrivals.horizon_ms
        while drawn.agents:
            before = drawn.log().clock_ms
            action = 0 if before < scenario.arrivals.horizon_ms else scenario.num_actions
            steps = [env.step(dict.fromkeys(env.agents, action)) for env in (drawn, given)]
            assert steps[0][1:4] == steps[1][1:4]
            assert before <= drawn.log().clock_ms <= scenario.arrivals.horizon_ms
        np.testing.assert_equal(drawn.metrics(), given.metrics())
        assert drawn.metrics()["utilisation"] >= 0
    assert without > 0


def test_in_the_extended_model() -> None:
    """Servers fail and telemetry goes on up to the horizon, as in any other episode."""
    scenario = world(arrivals={"horizon_s": 120.0}).with_clock(100.0, False)
    drawn = draw_workload(scenario, 0, split="test")
    keep = drawn.tasks[:, 0] > 101_000
    assert drawn.details is not None
    first = int(np.flatnonzero(keep & (drawn.details[:, 0] == 0))[0])
    workload = Workload(
        drawn.topology, drawn.tasks[first:], drawn.details[first:], outages=drawn.outages
    )
    env = edge_aigc_v0.parallel_env(scenario=scenario)
    env.reset(options={"workload": workload})
    assert env.log().clock_ms == 120_000
    env.step(nothing(env))
    assert env.agents == []
