"""`agent_index`: which gateway decides, on every API and for agents."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
import pytest
from gymnasium.vector import AutoresetMode

from edge_marl import EdgeAIGCRows, draw_workload, edge_aigc_v0, load_scenario
from edge_marl.agents import Agent
from edge_marl.agents.play import play
from edge_marl.envs import EdgeAIGCVectorEnv
from edge_marl.kernel.world import GATEWAY
from edge_marl.leaderboards.submission.chain import Moment, play_episodes
from edge_marl.scenario import Scenario

GATEWAYS = 3


def scenario_of(name: str) -> Scenario:
    """A tier with a few gateways."""
    return load_scenario(name).with_gateways(GATEWAYS)


def expected(env: Any) -> int:
    """The gateway of the task that the single environment shows now."""
    log = env.unwrapped.log()
    shown = log.num_shown
    return int(log.tasks[shown, GATEWAY]) if shown < len(log.tasks) else 0


@pytest.mark.parametrize("name", ["smoke", "agod", "campus"])
def test_the_single_environment_tells_whose_task_it_is(name: str) -> None:
    env: Any = gymnasium.make("EdgeAIGC-v0", scenario=scenario_of(name))
    _, info = env.reset(seed=0)
    env = copy.deepcopy(env)  # a copy looks at its own row
    ended, met = False, set()
    for _ in range(200):
        assert type(info["agent_index"]) is np.int64
        assert info["agent_index"] == expected(env)
        met.add(int(info["agent_index"]))
        if ended:
            break
        _, _, terminated, truncated, info = env.step(0)
        ended = terminated or truncated
    assert met == set(range(GATEWAYS))


@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_a_batch_tells_it_of_each_row(mode: AutoresetMode) -> None:
    """Also of the last observation of an episode whose next one has begun."""
    scenario = scenario_of("smoke")
    envs: Any = EdgeAIGCVectorEnv(2, scenario=scenario, autoreset_mode=mode)
    singles: list[Any] = [gymnasium.make("EdgeAIGC-v0", scenario=scenario) for _ in range(2)]
    _, infos = envs.reset(seed=0)
    told = np.array([env.reset(seed=row)[1]["agent_index"] for row, env in enumerate(singles)])
    ended = np.zeros(2, dtype=np.bool_)
    for _ in range(150):
        assert infos["agent_index"].dtype == np.int64
        np.testing.assert_array_equal(infos["agent_index"], told)
        _, _, terminated, truncated, infos = envs.step(np.zeros(2, dtype=np.int64))
        for row, env in enumerate(singles):
            if ended[row] and mode == AutoresetMode.DISABLED:
                continue
            if ended[row] and mode == AutoresetMode.NEXT_STEP:
                told[row] = env.reset()[1]["agent_index"]
            else:
                told[row] = env.step(0)[4]["agent_index"]
        last, ended = told.copy(), terminated | truncated
        if mode == AutoresetMode.SAME_STEP and ended.any():
            final = infos["final_info"]
            np.testing.assert_array_equal(final["_agent_index"], ended)
            np.testing.assert_array_equal(final["agent_index"], np.where(ended, last, 0))
            for new in np.flatnonzero(ended):
                told[new] = singles[new].reset()[1]["agent_index"]


@pytest.mark.parametrize("slot_s", [0.0, 600.0])
def test_gateways_are_told_their_place(slot_s: float) -> None:
    made: dict[str, Any] = {"scenario": "smoke", "gateways": GATEWAYS, "slot_s": slot_s}
    parallel, turns = edge_aigc_v0.parallel_env(**made), edge_aigc_v0.env(**made)
    rows = EdgeAIGCRows(2, **made)
    _, infos = parallel.reset(seed=0)
    turns.reset(seed=0)
    _, told = rows.reset(seed=0)
    nothing = parallel.scenario.num_actions
    for _ in range(5):
        for g, agent in enumerate(parallel.possible_agents):
            assert type(infos[agent]["agent_index"]) is np.int64
            assert infos[agent]["agent_index"] == g
            assert turns.agent_selection == agent
            assert turns.last()[4]["agent_index"] == g
            turns.step(nothing)
        assert told["agent_index"].dtype == np.int64
        assert told["agent_index"].tolist() == [list(range(GATEWAYS))] * 2
        before = told["agent_index"]
        infos = parallel.step(dict.fromkeys(parallel.agents, nothing))[4]
        told = rows.step(np.full((2, GATEWAYS), nothing))[4]
        assert told["agent_index"] is before  # made once
    with pytest.raises(ValueError, match="read-only"):
        before[0, 0] = 1


class Told(Agent):
    """Chooses by its gateway alone, and notes what it is told."""

    name = "told"
    deterministic = True

    def reset(self, seed: int) -> None:
        self.told: list[npt.NDArray[np.int64]] = []

    def act(
        self, observation: npt.NDArray[np.float32], info: Mapping[str, Any]
    ) -> npt.NDArray[np.int64]:
        self.told.append(info["agent_index"])
        return np.asarray(info["agent_index"] % self.scenario.num_actions)


def test_agents_get_it_on_either_api_and_in_submissions() -> None:
    scenario = scenario_of("smoke")
    workloads = [draw_workload(scenario, number, split="test") for number in range(2)]
    agent = Told(scenario)
    single = play(agent, scenario, workloads, 0)
    assert set(np.concatenate(agent.told)) == set(range(GATEWAYS))
    parallel = play(agent, scenario, workloads, 0, api="parallel")
    assert all(told.tolist() == [*range(GATEWAYS)] * 2 for told in agent.told)
    np.testing.assert_equal(single.metrics, parallel.metrics)

    def choose(moment: Moment) -> npt.NDArray[np.int64]:
        return agent.act(moment.observation, moment.info)

    for workload, episode in zip(
        workloads, play_episodes(scenario, workloads, choose), strict=True
    ):
        gateways = workload.tasks[: len(episode.actions), GATEWAY]
        np.testing.assert_array_equal(episode.actions, gateways % scenario.num_actions)
