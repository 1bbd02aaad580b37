"""All parts of the model: the environments against the oracle, on random worlds, bit for bit."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

from edge_marl import (
    EdgeAIGCRows,
    Scenario,
    Workload,
    draw_workload,
    list_games,
    list_tiers,
    load_scenario,
)
from tests.oracle.agreement import (
    DRIVES,
    OracleGame,
    agree_parallel,
    agree_single,
    assert_same,
    done_of,
)
from tests.oracle.reference_sim import OracleEnv
from tests.worlds.extended_episode import ExtendedEpisode

EPISODES = {
    "single": 120,
    "memory": 40,
    "lines": 160,
    "vector": 10,  # of three rows each
    "events": 30,
    "slots": 80,
    "base slots": 20,
    "base sleep": 20,
    "every part in slots": 20,
    "rows": 10,
}
TASKS = {"campus": 150, "metro": 150, "studio": 150, "nation": 60, "planet": 20}
"""Tiers above `paper`, and how many tasks of theirs."""
RELEASES = {tier: TASKS[name] for tier in list_tiers() if (name := tier.partition("@")[0]) in TASKS}
SMALL = [tier for tier in RELEASES if not tier.startswith(("nation", "planet"))]
ROWS = 3


@pytest.mark.parametrize("drive", DRIVES)
def test_environments_are_the_oracle(drive: str) -> None:
    for seed in range(EPISODES[drive]):
        DRIVES[drive].check(seed)


@pytest.mark.parametrize("tier", RELEASES)
def test_drawn_episodes_of_the_tiers(tier: str) -> None:
    """At their real size, with their scales; near servers are favoured, so that they crash."""
    scenario = load_scenario(tier)
    workload = first_tasks(draw_workload(scenario, 3, split="validation"), RELEASES[tier])
    rng = np.random.default_rng(7)
    choices = (scenario.num_actions * rng.random(997) ** 3).astype(int).tolist()
    assert agree_single(ExtendedEpisode(scenario, [workload], choices)).decisions > 10
    slots = scenario.with_clock(0.05 if tier.startswith("planet") else 1.0, hold=False)
    assert agree_parallel(ExtendedEpisode(slots, [workload], choices)).decisions > 10


@pytest.mark.parametrize("game", list_games())
def test_drawn_episodes_of_the_games(game: str) -> None:
    """The first tasks of each, in its slots."""
    scenario = load_scenario(game)
    workload = draw_workload(scenario, 3, split="validation")
    if scenario.extended:
        workload = first_tasks(workload, TASKS[game.partition("-")[0]])
    choices = (scenario.num_actions * np.random.default_rng(7).random(997) ** 3).astype(int)
    episode = ExtendedEpisode(scenario, [workload], choices.tolist())
    assert agree_parallel(episode, most=3000).decisions > 10


def first_tasks(workload: Workload, count: int) -> Workload:
    """The first tasks, to the end of a request."""
    assert workload.details is not None
    while workload.details[count - 1, 1] > 0:  # stages after it
        count += 1
    weights = None if workload.weights is None else workload.weights[:count]
    tasks, details = workload.tasks[:count], workload.details[:count]
    return Workload(workload.topology, tasks, details, workload.outages, weights)


def short(tier: str) -> Scenario:
    """A tier whose episodes are soon over."""
    scenario = load_scenario(tier)
    seconds = 12 / scenario.arrivals.rate_per_s
    arrivals = scenario.arrivals.model_copy(update={"horizon_s": seconds})
    return scenario.model_copy(update={"arrivals": arrivals})


@pytest.mark.parametrize("tier", SMALL)
def test_autoreset_rows_are_oracles(tier: str) -> None:
    """SAME_STEP over episodes with servers of their own: row i plays episodes 0, 1, .. of 5 + i."""
    scenario = short(tier)
    envs: Any = gym.make_vec(
        "EdgeAIGC-v0", num_envs=ROWS, scenario=scenario, autoreset_mode=AutoresetMode.SAME_STEP
    )
    oracles = [OracleEnv(scenario) for _ in range(ROWS)]
    episode = [0] * ROWS

    def fresh(i: int) -> tuple[Any, Any]:
        episode[i] += 1
        return oracles[i].reset(draw_workload(scenario, 5 + i, episode=episode[i] - 1))

    seen, infos = envs.reset(seed=5)
    rows = [fresh(i) for i in range(ROWS)]
    rng = np.random.default_rng(0)
    for step in range(60):
        assert_same(f"observations {step}", seen, [row[0] for row in rows])
        assert_same(f"masks {step}", infos["action_mask"], [row[1]["action_mask"] for row in rows])
        actions = rng.integers(scenario.num_actions, size=ROWS)
        seen, rewards, terminated, truncated, infos = envs.step(actions)
        expected = np.zeros(ROWS)
        for i, oracle in enumerate(oracles):
            observation, expected[i], *ends, info = oracle.step(int(actions[i]))
            assert [terminated[i], truncated[i]] == ends
            rows[i] = observation, info
            if any(ends):
                assert_same("last observation", infos["final_obs"][i], observation)
                mask = infos["final_info"]["action_mask"][i]
                assert_same("last mask", mask, info["action_mask"])
                rows[i] = fresh(i)
        assert_same(f"rewards {step}", rewards, expected)
    assert min(episode) > 1
    envs.close()


@pytest.mark.parametrize("tier", SMALL)
def test_autoreset_rows_of_games_are_oracles(tier: str) -> None:
    scenario = short(tier).with_clock(0.5, hold=True)
    envs = EdgeAIGCRows(ROWS, scenario=scenario, reward="local")
    episode = [0] * ROWS

    def fresh(i: int) -> OracleGame:
        episode[i] += 1
        return OracleGame(scenario, draw_workload(scenario, 5 + i, episode=episode[i] - 1))

    seen, infos = envs.reset(seed=5)
    games = [fresh(i) for i in range(ROWS)]
    rng = np.random.default_rng(0)
    for step in range(60):
        assert_same(f"observations {step}", seen, [game.seen for game in games])
        assert_same(f"masks {step}", infos["action_mask"], [game.masks for game in games])
        choices = rng.integers(scenario.num_actions + 1, size=(ROWS, scenario.gateways.count))
        seen, rewards, terminated, truncated, infos = envs.step(choices)
        for i, game in enumerate(games):
            assert_same(f"rewards {step}", rewards[i], game.play(choices[i].tolist()))
            assert (terminated[i], truncated[i]) == done_of(game.sim)
            if game.sim.over:
                assert_same("last observation", infos["final_obs"][i], game.seen)
                games[i] = fresh(i)
    assert min(episode) > 1
