"""What must hold of every episode, whatever the world, the workload and the actions."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import gymnasium as gym
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_marl.kernel import world as k
from edge_marl.kernel.world import ARRIVAL, DEMAND, RUN_TIME, TYPE
from edge_marl.simulator import Simulator
from edge_marl.simulator.utility import task_utilities
from edge_marl.workload import Workload
from tests.worlds import strategies

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edge_marl.simulator import EpisodeLog
    from tests.worlds.strategies import Episode

LOST = (k.CRASHED, k.REFUSED)


def play(simulator: Simulator, episode: Episode) -> Iterator[tuple[float, bytes]]:
    """Run an episode in row 0; yield each step's reward and the observation after it."""
    simulator.load(0, episode.workload)
    for action in episode.actions:
        reward = simulator.step_row(0, action)
        yield reward, simulator.observations[0].tobytes()


def server_of(log: EpisodeLog) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """(N,) server of each dispatched task; -1 for the others."""
    return log.tasks[:, k.PLACE] // log.num_services


@settings(strategies.THOROUGH, max_examples=120)
@given(strategies.episodes())
def test_every_task_is_somewhere(episode: Episode) -> None:
    """Arrived = finished + lost + running, and the rest has not been dispatched."""
    simulator = Simulator(episode.scenario)
    for step, _ in enumerate(play(simulator, episode), start=1):
        log = simulator.log(0)
        status, end = log.tasks[:, k.STATUS], log.tasks[:, k.END]
        running, finished, lost = log.running, log.finished, np.isin(status, LOST)
        assert running.sum() + finished.sum() + lost.sum() == step == log.num_decisions
        assert (status[:step] != k.WAITING).all()
        assert (status[step:] == k.WAITING).all()
        assert (status == k.REFUSED).sum() == log.server_crashes.sum() == simulator.crashes[0]

        planned = log.tasks[:, ARRIVAL] + log.tasks[:, RUN_TIME]
        assert (planned[running] > log.clock_ms).all()
        assert (end[finished] == planned[finished]).all()
        assert (end[finished] <= log.clock_ms).all()
        assert (end[lost] <= log.clock_ms).all()
        assert (end[lost] < planned[lost]).all()


@settings(strategies.THOROUGH, max_examples=120)
@given(strategies.episodes())
def test_capacity_in_use_is_what_the_running_tasks_need(episode: Episode) -> None:
    simulator = Simulator(episode.scenario)
    for _ in play(simulator, episode):
        log = simulator.log(0)
        running = log.running
        places, demands = server_of(log)[running], log.tasks[running, DEMAND]
        servers = episode.scenario.num_servers
        used = np.bincount(places, weights=demands, minlength=servers).astype(np.int64)
        decoded = simulator.layout.decode(simulator.observations[0])
        assert (decoded.capacity == log.capacity).all()
        assert (decoded.free == log.capacity - used).all()
        assert (used >= 0).all()
        assert (used <= log.capacity).all()
        assert (simulator.running[0] == np.bincount(places, minlength=servers)).all()


@settings(strategies.THOROUGH, max_examples=120)
@given(strategies.episodes())
def test_rewards_are_utilities_or_bounded_penalties(episode: Episode) -> None:
    """A task that is accepted pays its utility; a crash costs P to P (1 + tasks on the server)."""
    simulator = Simulator(episode.scenario)
    tasks, penalty = episode.workload.tasks, episode.scenario.overload.penalty
    utility = task_utilities(episode.workload.topology, tasks[:, TYPE], tasks[:, DEMAND])
    num_running = np.zeros(episode.scenario.num_servers, np.int64)
    for step, (reward, _) in enumerate(play(simulator, episode)):
        action = episode.actions[step]
        server = action // episode.scenario.num_services
        if simulator.log(0).tasks[step, k.STATUS] == k.REFUSED:
            worst = penalty * (1 + num_running[server])
            assert -worst * (1 + 1e-12) <= reward <= -penalty  # a sum rounds, the product does not
        else:
            assert reward == utility[step, action]
        num_running = simulator.running[0].copy()


@settings(strategies.THOROUGH, max_examples=80)
@given(strategies.episodes(), st.data())
def test_an_episode_does_not_depend_on_the_one_before(
    episode: Episode, data: st.DataObject
) -> None:
    """The same row, after another episode and after an unfinished one, gives the same bits."""
    fresh = list(play(Simulator(episode.scenario), episode))
    workload = data.draw(strategies.workloads(episode.scenario))
    count = workload.num_decisions(episode.scenario)
    actions = data.draw(strategies.action_lists(episode.scenario, count))
    for played in (count, count // 2):
        simulator = Simulator(episode.scenario)
        list(play(simulator, replace(episode, workload=workload, actions=actions[:played])))
        assert list(play(simulator, episode)) == fresh


@settings(strategies.THOROUGH, max_examples=80)
@given(strategies.episodes(), st.data())
def test_the_future_does_not_reach_the_past(episode: Episode, data: st.DataObject) -> None:
    """Workloads equal up to step k look the same up to step k, through the public environment."""
    decisions = len(episode.actions)
    known = data.draw(st.integers(1, decisions))  # tasks 0 .. known-1 are equal
    twin = with_another_future(episode, known, data)
    first, second = (show(episode, workload)[:known] for workload in (episode.workload, twin))
    assert first == second


def with_another_future(episode: Episode, known: int, data: st.DataObject) -> Workload:
    """The episode's workload with everything after its first ``known`` tasks drawn anew."""
    other = data.draw(strategies.workloads(episode.scenario)).tasks[1:].copy()
    tasks = episode.workload.tasks[:known]
    other[:, ARRIVAL] += tasks[-1, ARRIVAL]
    if episode.scenario.episode.end == "horizon":
        horizon = episode.scenario.arrivals.horizon_ms
        other[:, ARRIVAL] = np.minimum(other[:, ARRIVAL], horizon)
    if known + len(other) < 2:  # an episode that ends with its last task needs two
        other = episode.workload.tasks[known:]
    return Workload(topology=episode.workload.topology, tasks=np.vstack([tasks, other]))


def show(episode: Episode, workload: Workload) -> list[tuple[bytes, bytes, float]]:
    """What an agent sees: observation, mask and the last reward before each decision."""
    env = gym.make("EdgeAIGC-v0", scenario=episode.scenario)
    observation, info = env.reset(options={"workload": workload})
    seen, last_reward, over = [], 0.0, False
    for action in episode.actions:
        if over:
            break
        seen.append((observation.tobytes(), info["action_mask"].tobytes(), last_reward))
        observation, reward, terminated, truncated, info = env.step(action)
        last_reward, over = float(reward), terminated or truncated
    return seen
