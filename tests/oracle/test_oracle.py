"""The simulator and the environments against the oracle, on random worlds, bit for bit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode
from hypothesis import given, settings
from hypothesis import strategies as st

import edge_marl
from edge_marl.envs import EdgeAIGCEnv
from edge_marl.kernel import world as k
from edge_marl.simulator import Simulator
from tests.oracle.reference_sim import Fate, OracleEnv
from tests.worlds import strategies

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edge_marl.scenario import Scenario
    from edge_marl.workload import Workload
    from tests.worlds.strategies import Batch, Episode

ROWS = 3


def bits(value: float) -> bytes:
    """The float64 bytes of a reward: equality that tells -0.0 from 0.0."""
    return np.float64(value).tobytes()


def make_env(scenario: Scenario) -> EdgeAIGCEnv:
    env = gym.make("EdgeAIGC-v0", scenario=scenario).unwrapped
    assert isinstance(env, EdgeAIGCEnv)
    return env


@settings(strategies.THOROUGH, max_examples=300)
@given(strategies.episodes())
def test_simulator_is_the_oracle(episode: Episode) -> None:
    oracle = OracleEnv(episode.scenario)
    simulator = Simulator(episode.scenario)
    simulator.load(0, episode.workload)
    expected, _ = oracle.reset(episode.workload)
    assert simulator.observations[0].tobytes() == expected.tobytes()

    for action in episode.actions:
        reward = simulator.step_row(0, action)
        expected, expected_reward, terminated, truncated, _ = oracle.step(action)
        assert bits(reward) == bits(expected_reward)
        assert simulator.observations[0].tobytes() == expected.tobytes()
        servers = oracle.sim.servers
        assert simulator.running[0].tolist() == [len(server.running) for server in servers]
        assert simulator.crashes[0] == oracle.sim.total_crashes
        done = k.TERMINATED if terminated else k.TRUNCATED if truncated else k.GOING_ON
        assert simulator.done[0] == done

    log = simulator.log(0)
    status = log.tasks[:, k.STATUS]
    fates = {
        Fate.WAITING: status == k.WAITING,
        Fate.RUNNING: log.running,
        Fate.FINISHED: log.finished,
        Fate.CRASHED: status == k.CRASHED,
        Fate.REFUSED: status == k.REFUSED,
    }
    for fate, tasks in fates.items():
        assert tasks.tolist() == [task.fate is fate for task in oracle.sim.tasks]
    assert log.server_crashes.tolist() == [server.crashes for server in oracle.sim.servers]
    assert log.clock_ms == oracle.sim.now


@settings(strategies.THOROUGH, max_examples=150)
@given(strategies.episodes())
def test_single_environment_is_the_oracle(episode: Episode) -> None:
    oracle, env = OracleEnv(episode.scenario), make_env(episode.scenario)
    observation, info = env.reset(options={"workload": episode.workload})
    expected, expected_info = oracle.reset(episode.workload)
    assert observation.tobytes() == expected.tobytes()
    assert_same_info(info, expected_info)

    for action in episode.actions:
        observation, reward, terminated, truncated, info = env.step(action)
        expected, expected_reward, ended, cut, expected_info = oracle.step(action)
        assert observation.dtype == np.float32
        assert observation.tobytes() == expected.tobytes()
        assert bits(reward) == bits(expected_reward)
        assert (terminated, truncated) == (ended, cut)
        assert_same_info(info, expected_info)
    assert terminated or truncated
    metrics = env.metrics()
    assert_same_metrics(metrics, oracle)


@settings(strategies.THOROUGH, max_examples=100)
@given(strategies.batches(ROWS))
def test_vector_rows_are_oracles(batch: Batch) -> None:
    """Rows of different lengths; the finished ones rest until all are done."""
    envs = gym.make_vec(
        "EdgeAIGC-v0",
        num_envs=ROWS,
        scenario=batch.scenario,
        autoreset_mode=AutoresetMode.DISABLED,
    )
    oracles = [OracleEnv(batch.scenario) for _ in range(ROWS)]
    observations, _ = envs.reset(options={"workloads": batch.workloads})
    rows = [oracle.reset(w)[0] for oracle, w in zip(oracles, batch.workloads, strict=True)]
    assert observations.tobytes() == np.stack(rows).tobytes()

    longest = max(len(actions) for actions in batch.actions)
    for t in range(longest):
        chosen = [actions[t] if t < len(actions) else 0 for actions in batch.actions]
        observations, rewards, terminated, truncated, _ = envs.step(np.array(chosen))
        for i, oracle in enumerate(oracles):
            if t < len(batch.actions[i]):
                rows[i], expected_reward, *_ = oracle.step(chosen[i])
            else:
                expected_reward = 0.0  # this row is over: it ignores its action
            assert bits(rewards[i]) == bits(expected_reward)
            ends = (oracle.sim.terminated, oracle.sim.truncated)
            assert (terminated[i], truncated[i]) == ends
        assert observations.tobytes() == np.stack(rows).tobytes()
    envs.close()


@settings(strategies.THOROUGH, max_examples=60)
@given(strategies.scenarios(), st.integers(0, 2**31), st.data())
def test_autoreset_rows_are_oracles(scenario: Scenario, seed: int, data: st.DataObject) -> None:
    row = st.lists(st.integers(0, scenario.num_actions - 1), min_size=ROWS, max_size=ROWS)
    actions = data.draw(st.lists(row, min_size=20, max_size=40))
    assert_autoreset_rows_are_oracles(scenario, seed, np.array(actions))


@pytest.mark.parametrize(("tier", "steps"), [("smoke", 100), ("paper", 20)])
def test_autoreset_rows_of_a_large_batch_are_oracles(tier: str, steps: int) -> None:
    """More rows than one thread takes, and a number that threads cannot share evenly.

    An episode of `paper` is of a thousand steps, whose end is out of reach: the first few will do.
    """
    scenario = edge_marl.load_scenario(tier)
    actions = np.random.default_rng(3).integers(0, scenario.num_actions, (steps, 301))
    assert_autoreset_rows_are_oracles(scenario, 11, actions)


def assert_autoreset_rows_are_oracles(
    scenario: Scenario, seed: int, actions: NDArray[np.int64]
) -> None:
    """SAME_STEP across episodes: row i plays episodes 0, 1, .. of seed + i; actions are (T, E)."""
    num_envs = actions.shape[1]
    envs = gym.make_vec(
        "EdgeAIGC-v0",
        num_envs=num_envs,
        scenario=scenario,
        autoreset_mode=AutoresetMode.SAME_STEP,
    )
    oracles = [OracleEnv(scenario) for _ in range(num_envs)]
    episode = [0] * num_envs

    def fresh(i: int) -> NDArray[np.float32]:
        workload: Workload = edge_marl.draw_workload(scenario, seed + i, episode=episode[i])
        return oracles[i].reset(workload)[0]

    observations, _ = envs.reset(seed=seed)
    rows = [fresh(i) for i in range(num_envs)]
    assert observations.tobytes() == np.stack(rows).tobytes()
    for chosen in actions:
        observations, rewards, terminated, truncated, infos = envs.step(chosen)
        for i, oracle in enumerate(oracles):
            rows[i], reward, ended, cut, _ = oracle.step(int(chosen[i]))
            assert bits(rewards[i]) == bits(reward)
            assert (terminated[i], truncated[i]) == (ended, cut)
            if ended or cut:
                assert infos["_final_obs"][i]
                assert infos["final_obs"][i].tobytes() == rows[i].tobytes()
                episode[i] += 1
                rows[i] = fresh(i)
        assert observations.tobytes() == np.stack(rows).tobytes()
    envs.close()


@pytest.mark.parametrize("tier", ["smoke", "paper", "agod"])
def test_whole_episodes_of_the_tiers(tier: str) -> None:
    """Drawn episodes at their real size; actions that favour few servers, so that they crash."""
    scenario = edge_marl.load_scenario(tier)
    rng = np.random.default_rng(7)
    for seed in range(2):
        workload = edge_marl.draw_workload(scenario, seed, split="test")
        oracle, env = OracleEnv(scenario), make_env(scenario)
        observation, _ = env.reset(options={"workload": workload})
        assert observation.tobytes() == oracle.reset(workload)[0].tobytes()
        over = False
        while not over:
            action = int(scenario.num_actions * rng.random() ** (1 + seed))
            observation, reward, terminated, truncated, _ = env.step(action)
            expected, expected_reward, *ends, _ = oracle.step(action)
            assert observation.tobytes() == expected.tobytes()
            assert bits(reward) == bits(expected_reward)
            assert [terminated, truncated] == ends
            over = terminated or truncated
        assert oracle.sim.total_crashes > 0
        assert_same_metrics(env.metrics(), oracle)


def assert_same_info(info: dict[str, Any], expected: dict[str, Any]) -> None:
    assert list(info) == list(expected)
    assert info["action_mask"].dtype == np.int8
    assert np.array_equal(info["action_mask"], expected["action_mask"])
    assert type(info["agent_index"]) is np.int64
    assert info["agent_index"] == expected["agent_index"]


def assert_same_metrics(metrics: dict[str, float], oracle: OracleEnv) -> None:
    """The metrics that follow from the tasks' fates."""
    decisions = oracle.sim.decisions
    lost = oracle.sim.count(Fate.CRASHED) + oracle.sim.count(Fate.REFUSED)
    crashes = oracle.sim.total_crashes
    assert metrics["server_crashes"] == crashes == oracle.sim.count(Fate.REFUSED)
    assert metrics["server_crash_rate"] == crashes / decisions
    assert metrics["crashed_fraction"] == oracle.sim.count(Fate.CRASHED) / decisions
    assert metrics["lost_fraction"] == lost / decisions
    assert metrics["completion_rate"] == oracle.sim.count(Fate.FINISHED) / decisions
    latencies = [task.run_time / 1000 for task in oracle.sim.tasks if task.fate is Fate.FINISHED]
    if latencies:
        assert metrics["latency_mean_s"] == pytest.approx(np.mean(latencies))
        for percent in (50, 95, 99):
            expected = np.percentile(latencies, percent, method="inverted_cdf")
            assert metrics[f"latency_p{percent}_s"] == expected
