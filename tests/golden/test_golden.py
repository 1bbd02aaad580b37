"""The recorded episodes of the published environments, replayed bit for bit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

import edge_marl
import edge_marl.agents
from edge_marl.envs import EdgeAIGCEnv, EdgeAIGCVectorEnv
from edge_marl.kernel import world as k
from tests.golden.traces import HEURISTICS, TRACES, GoldenTrace, load_trace
from tests.oracle.published_draw import LAWS, draw_tasks, draw_topology, published_workload
from tests.oracle.reference_sim import Fate, OracleEnv

if TYPE_CHECKING:
    from edge_marl.agents import Agent
    from edge_marl.workload import Workload

TIERS = ("paper", "agod")
OFFICIAL = {
    "prophet": (1963.214181603729, 4),
    "crash-avoid": (1113.6776859807578, 9),
    "round-robin": (148.21146662005225, 141),
}
PUBLISHED = json.loads(HEURISTICS.read_text("utf-8"))
STATISTICS = {  # the reference's name: from the metrics of one episode
    "ret": lambda m: m["utility"],
    "ret_per_task": lambda m: m["utility_per_task"],
    "util_per_task": lambda m: m["granted_utility_per_task"],
    "steps": lambda m: m["tasks"],
    "crashes": lambda m: m["server_crashes"],
    "crash_per_task": lambda m: m["server_crash_rate"],
    "crashed_tasks": lambda m: m["crashed_fraction"] * m["tasks"],
    "lost_tasks": lambda m: m["lost_fraction"] * m["tasks"],
    "finished": lambda m: m["completion_rate"] * m["tasks"],
}


@pytest.fixture(params=TRACES, ids=lambda path: path.stem)
def trace(request: pytest.FixtureRequest) -> GoldenTrace:
    path = request.param
    assert isinstance(path, Path)
    return load_trace(path)


# --- The traces ---


def test_oracle_replays(trace: GoldenTrace) -> None:
    recorded = trace.arrays
    oracle = OracleEnv(edge_marl.load_scenario(trace.tier))
    observation, _ = oracle.reset(edge_marl.load_workload(trace.path))
    for i, action in enumerate(recorded["action"].tolist()):
        assert observation.tobytes() == trace.observations[i].tobytes()
        servers = oracle.sim.servers
        assert [len(server.running) for server in servers] == recorded["running"][i].tolist()
        observation, reward, terminated, truncated, _ = oracle.step(action)
        assert reward == recorded["reward"][i]
        assert oracle.sim.total_crashes == recorded["crashes"][i]
        assert (terminated, truncated) == (recorded["terminated"][i], False)
    assert terminated
    assert observation.tobytes() == trace.observations[-1].tobytes()
    assert [server.crashes for server in oracle.sim.servers] == recorded["server_crashes"].tolist()
    ends = (Fate.CRASHED, Fate.FINISHED, Fate.RUNNING)
    assert [oracle.sim.count(fate) for fate in ends] == recorded["final_counts"].tolist()


def test_environment_replays(trace: GoldenTrace) -> None:
    recorded = trace.arrays
    env = make_env(trace.tier)
    workload = edge_marl.load_workload(trace.path)
    observation, _ = env.reset(options={"workload": workload})
    for i, action in enumerate(recorded["action"].tolist()):
        assert observation.tobytes() == trace.observations[i].tobytes()
        assert running(env).tolist() == recorded["running"][i].tolist()
        observation, reward, terminated, truncated, _ = env.step(action)
        assert reward == recorded["reward"][i]
        assert env.log().server_crashes.sum() == recorded["crashes"][i]
        assert (terminated, truncated) == (recorded["terminated"][i], False)
    assert terminated
    assert observation.tobytes() == trace.observations[-1].tobytes()
    log = env.log()
    assert log.server_crashes.tolist() == recorded["server_crashes"].tolist()
    crashed = log.tasks[:, k.STATUS] == k.CRASHED
    ends = [int(fate.sum()) for fate in (crashed, log.finished, log.running)]
    assert ends == recorded["final_counts"].tolist()


@pytest.mark.parametrize("tier", TIERS)
def test_vector_environment_replays_all_traces_at_once(tier: str) -> None:
    traces = [trace for trace in map(load_trace, TRACES) if trace.tier == tier]
    workloads = [edge_marl.load_workload(trace.path) for trace in traces]
    envs = make_vec(tier, len(traces))
    observations, _ = envs.reset(options={"workloads": workloads})
    for step in range(max(workload.num_tasks for workload in workloads) - 1):
        going = [step < len(trace.arrays["action"]) for trace in traces]
        for observation, trace in zip(observations, traces, strict=True):
            shown = min(step, len(trace.observations) - 1)
            assert observation.tobytes() == trace.observations[shown].tobytes()
        actions = [
            trace.arrays["action"][step] if on else 0
            for trace, on in zip(traces, going, strict=True)
        ]
        observations, rewards, terminated, truncated, _ = envs.step(np.array(actions))
        for i, (trace, on) in enumerate(zip(traces, going, strict=True)):
            assert rewards[i] == (trace.arrays["reward"][step] if on else 0.0)
            assert terminated[i] == (trace.arrays["terminated"][step] if on else True)
            assert not truncated[i]
    assert terminated.all()
    for i, trace in enumerate(traces):
        assert observations[i].tobytes() == trace.observations[-1].tobytes()
        assert envs.log(i).server_crashes.tolist() == trace.arrays["server_crashes"].tolist()


# --- The published draws ---


def test_trace_is_the_published_draw(trace: GoldenTrace) -> None:
    recorded = trace.arrays
    topology = draw_topology(trace.law, trace.topology_seed)
    tasks = draw_tasks(trace.law, trace.workload_seed)
    for name, drawn in (vars(topology) | vars(tasks)).items():
        assert drawn.dtype == recorded[name].dtype
        assert np.array_equal(drawn, recorded[name])
    workload = published_workload(trace.law, trace.topology_seed, trace.workload_seed)
    assert workload.digest == edge_marl.load_workload(trace.path).digest


@pytest.mark.parametrize("world", range(10))
@pytest.mark.parametrize("tier", TIERS)
def test_worlds_are_the_published_draws(tier: str, world: int) -> None:
    published = draw_topology(LAWS[tier], world)
    ours = edge_marl.draw_topology(edge_marl.load_scenario(tier, world=world))
    assert np.array_equal(ours.capacity, published.cap)
    assert np.array_equal(ours.baseline, published.base)
    assert np.array_equal(ours.curve, published.coef)


# --- The published heuristics, as agents through the public interface ---


@pytest.mark.parametrize("name", OFFICIAL)
def test_official_episode(name: str) -> None:
    trace = load_trace(TRACES[0].parent / f"paper_official_{name.replace('-', '_')}.npz")
    env = make_env("paper")
    agent = make_agent(name, "paper")
    observation, info = env.reset(options={"workload": edge_marl.load_workload(trace.path)})
    total, actions, terminated = 0.0, [], False
    while not terminated:
        masks = {"action_mask": info["action_mask"][None]}
        action = int(agent.act(observation[None], masks)[0])
        observation, reward, terminated, _, info = env.step(action)
        total += reward  # from left to right, as the published figure is summed
        actions.append(action)
    assert actions == trace.arrays["action"].tolist()
    assert (total, env.log().server_crashes.sum()) == OFFICIAL[name]


@pytest.mark.parametrize("name", ["crash-avoid", "crash-avoid-best", "prophet"])
@pytest.mark.parametrize("tier", TIERS)
def test_heuristic_has_the_published_returns(tier: str, name: str) -> None:
    returns, metrics = play(make_agent(name, tier), tier, published_workloads(tier))
    assert_published(tier, name, returns, metrics)


@pytest.mark.parametrize("tier", TIERS)
def test_round_robin_has_the_published_returns(tier: str) -> None:
    """One after another with one agent: in the published runs the counter is never set back."""
    agent = make_agent("round-robin", tier)
    episodes = [play(agent, tier, [workload]) for workload in published_workloads(tier)]
    returns = [episode[0][0] for episode in episodes]
    assert_published(tier, "round-robin", returns, [episode[1][0] for episode in episodes])


@pytest.mark.parametrize("tier", TIERS)
def test_random_lies_in_the_published_interval(tier: str) -> None:
    _, metrics = play(make_agent("random", tier), tier, published_workloads(tier))
    for statistic, (mean, std) in statistics(tier, "random").items():
        ours = np.mean([STATISTICS[statistic](episode) for episode in metrics])
        # Three standard errors of the difference of two means of 20 episodes.
        assert abs(ours - mean) <= 3 * std * (2 / len(metrics)) ** 0.5, statistic


def assert_published(
    tier: str, name: str, returns: list[float], metrics: list[dict[str, float]]
) -> None:
    assert returns == PUBLISHED[tier]["policies"][name]["returns"]
    for statistic, (mean, std) in statistics(tier, name).items():
        ours = [STATISTICS[statistic](episode) for episode in metrics]
        assert np.mean(ours) == pytest.approx(mean, abs=5.1e-5), statistic  # given to 4 decimals
        assert np.std(ours) == pytest.approx(std, abs=5.1e-5), statistic


def statistics(tier: str, name: str) -> dict[str, tuple[float, float]]:
    recorded = PUBLISHED[tier]["policies"][name]["statistics"]
    return {key: (recorded[key]["mean"], recorded[key]["std"]) for key in STATISTICS}


def published_workloads(tier: str) -> list[Workload]:
    first = PUBLISHED[tier]["first_workload_seed"]
    return [published_workload(LAWS[tier], 0, first + episode) for episode in range(20)]


def play(
    agent: Agent, tier: str, workloads: list[Workload]
) -> tuple[list[float], list[dict[str, float]]]:
    """Play workloads side by side; return sums of rewards from left to right, and metrics."""
    envs = make_vec(tier, len(workloads))
    observations, infos = envs.reset(options={"workloads": workloads})
    returns = np.zeros(len(workloads))
    over = np.zeros(len(workloads), dtype=bool)
    while not over.all():
        actions = agent.act(observations, infos)
        observations, rewards, over, _, infos = envs.step(actions)
        returns += rewards
    return returns.tolist(), [envs.metrics(row) for row in range(len(workloads))]


def make_agent(name: str, tier: str) -> Agent:
    agent = edge_marl.agents.make(name, edge_marl.load_scenario(tier))
    assert isinstance(agent, edge_marl.agents.Agent)
    agent.reset(0)
    return agent


def make_env(tier: str) -> EdgeAIGCEnv:
    env = gym.make("EdgeAIGC-v0", scenario=tier).unwrapped
    assert isinstance(env, EdgeAIGCEnv)
    return env


def make_vec(tier: str, num_envs: int) -> EdgeAIGCVectorEnv:
    envs: Any = gym.make_vec(
        "EdgeAIGC-v0",
        num_envs=num_envs,
        scenario=tier,
        autoreset_mode=AutoresetMode.DISABLED,
    )
    assert isinstance(envs, EdgeAIGCVectorEnv)
    return envs


def running(env: EdgeAIGCEnv) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """(S,) tasks that run on each server."""
    log = env.log()
    places = log.tasks[log.running, k.PLACE]
    return np.bincount(places // log.num_services, minlength=len(log.capacity))
