"""`rollout`: its play-outs are the simulator's, its futures the law's, its choice the best."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

from edge_marl import Workload, draw_workload
from edge_marl.agents import load, make
from edge_marl.agents.heuristics.bid_price import BidPrice
from edge_marl.agents.heuristics.view import View
from edge_marl.agents.planning import futures
from edge_marl.agents.planning.futures import Law
from edge_marl.agents.planning.playing import (
    LENGTH,
    NEEDS,
    UNTIL,
    assume_running,
    loads_by_use,
    play_out,
)
from edge_marl.agents.planning.rollout import Rollout
from edge_marl.agents.planning.settings import RolloutConfig
from edge_marl.envs import EdgeAIGCVectorEnv
from edge_marl.errors import AgentError
from edge_marl.kernel.world import ADMITTED, ARRIVAL, DEMAND, END, PLACE, STATUS, TYPE, Floats
from edge_marl.scenario import Scenario, load_scenario
from tests.agents.test_contract import play, some_observations
from tests.worlds.by_hand import DEMANDS, make_world, observe

SMOKE = load_scenario("smoke")
SMALL = RolloutConfig(candidates=2, futures=8, decisions=160)


def hurried(seed: int) -> Workload:
    """A workload of `smoke` at four times its load: there are crashes."""
    drawn = draw_workload(SMOKE, seed)
    tasks = drawn.tasks.copy()
    tasks[:, ARRIVAL] //= 4
    return Workload(drawn.topology, tasks)


def simulated(workload: Workload, first: int, decisions: int, prices: Floats) -> float:
    """Return what an action and then bid-price earn, less the price of what still runs then."""
    envs = EdgeAIGCVectorEnv(1, scenario=SMOKE, autoreset_mode=AutoresetMode.DISABLED)
    base = BidPrice(SMOKE)
    base.reset(0)
    seen, info = envs.reset(options={"workloads": [workload]})
    action, earned = np.array([first]), 0.0
    for _ in range(decisions):
        seen, reward, *_, info = envs.step(action)
        earned += float(reward[0])
        action = base.act(seen, info)
    tasks = envs.log(0).tasks[:decisions]
    left = np.maximum(tasks[:, END] - tasks[-1, ARRIVAL], 0) * (tasks[:, STATUS] == ADMITTED)
    return earned - float((prices[tasks[:, PLACE] // 2] * tasks[:, DEMAND] * left).sum())


@pytest.mark.parametrize("seed", range(3))
def test_a_play_out_earns_what_the_simulator_pays(seed: int) -> None:
    workload, decisions = hurried(seed), 40
    agent = Rollout(SMOKE, SMALL)
    agent.reset(0)
    law, prices = agent._law, agent._prices
    tasks = workload.tasks
    own, after = tasks[0], tasks[1:decisions]
    size = np.searchsorted(law.demand, tasks[:, DEMAND])
    candidates = np.arange(6)
    returns = np.empty((1, 6))
    play_out(
        *(law.capacity, prices, SMOKE.overload.penalty, law.value, law.demand, law.run_time),
        np.diff(tasks[:decisions, ARRIVAL]).astype(float),
        *(np.ascontiguousarray(after[:, TYPE]), size[1:decisions], np.array([[0, decisions - 1]])),
        law.value[own[TYPE], size[0]],
        *(int(own[DEMAND]), float(law.run_time[size[0]]), candidates),
        *(np.zeros((1, 3, law.most_running, 3)), np.zeros((1, 3), dtype=np.int64), returns),
    )
    expected = [simulated(workload, action, decisions, prices) for action in range(6)]
    np.testing.assert_allclose(returns[0], expected, atol=1e-9)
    assert min(expected) < max(expected)


def best_then(used: list[int], demand: int, pays: list[float], capacity: list[int]) -> float:
    """Send a task where it pays most; return what that earns. Whatever was sent still runs."""
    fits = [s for s in (0, 1) if demand <= capacity[s] - used[s]]
    if not fits:
        server = used.index(min(used))
        tasks = used[server] // 100  # server 0, which has none of more than 100 steps
        used[server] = 0
        return -2.0 * (1 + tasks)
    server = max(fits, key=lambda s: pays[s])
    used[server] += demand
    return pays[server]


def test_it_takes_what_is_best_over_all_futures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Server 1 pays more, but tasks of 150 and 200 steps find room there alone; nothing ends."""
    monkeypatch.setattr(
        "edge_marl.agents.heuristics.bid_price.learn_prices", lambda scenario: np.zeros(2)
    )
    capacity, pays = [100, 400], [0.5, 0.6]
    world = make_world([[[pays[0]]], [[pays[1]]]], capacity)
    expected = []
    for first in (0, 1):
        returns = []
        for demands in product(DEMANDS, repeat=2):
            used = [0, 0]
            used[first] = 100
            returns.append(pays[first] + sum(best_then(used, d, pays, capacity) for d in demands))
        expected.append(np.mean(returns))
    assert expected[0] > expected[1] + 0.5

    agent = Rollout(world, RolloutConfig(candidates=2, futures=2000, decisions=8000))
    assert agent.config.horizon == 2
    agent.reset(0)
    seen = observe(world, 0, 100, capacity)
    assert BidPrice.choose(agent, View(agent._known, seen, {})).tolist() == [1]
    assert agent.act(seen, {}).tolist() == [0]
    played = agent.play_out(View(agent._known, seen, {}), 0, np.array([0, 1]))
    error = 5 * played.std(axis=0) / len(played) ** 0.5
    assert (np.abs(played.mean(axis=0) - expected) < error + 0.05).all()


def test_what_is_assumed_to_run_is_drawn_by_the_law_of_a_loss_system() -> None:
    """Two steps in use are one task of two, or two of one: as rho_2 to rho_1^2 / 2."""
    offered, demand = np.array([[0.8, 0.4]]), np.array([1, 2])
    run_time, loads = np.array([10.0, 20.0]), np.zeros((1, 4))
    loads_by_use(offered, demand, loads)
    np.testing.assert_allclose(loads[0], [1, 0.8, 0.72, (0.8 * 0.72 + 0.8 * 0.8) / 3])
    shares = np.random.default_rng(0).random((4000, 1, 4, 2))
    tasks, count = np.zeros((4000, 1, 4, 3)), np.zeros((4000, 1), dtype=np.int64)
    assume_running(np.array([2]), offered, demand, run_time, loads, shares, tasks, count)
    one = (count[:, 0] == 1).mean()
    assert abs(one - 0.4 / 0.72) < 5 * 0.5 / 4000**0.5
    assert (tasks[..., NEEDS].sum(axis=(1, 2)) == 2).all()
    assert (tasks[..., UNTIL] <= tasks[..., LENGTH]).all()
    left = tasks[count[:, 0] == 1][:, 0, 0, UNTIL]
    assert abs(left.mean() - 10.0) < 5 * 20 / 12**0.5 / len(left) ** 0.5


def test_what_no_sum_of_demands_comes_to_is_one_task() -> None:
    law = Law(SMOKE, np.random.SeedSequence(0))
    found = law.running(np.array([37, 0, 137]), np.full((2, 3, law.most_running, 2), 0.5))
    assert found.number.tolist() == [[1, 0, 1]] * 2
    assert found.tasks[0, [0, 2], 0, NEEDS].tolist() == [37, 137]


def test_futures_are_of_its_own_workloads(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[tuple[int, str]] = []

    def draw(scenario: Scenario, seed: int, *, split: Any = "train", episode: int = 0) -> Any:
        drawn.append((seed, split))
        return draw_workload(scenario, seed, split=split, episode=episode)

    monkeypatch.setattr(futures, "draw_workload", draw)
    for seed in (0, 1):
        Rollout(SMOKE, SMALL).reset(seed)
    assert {split for _, split in drawn} == {"train"}
    assert len({seed for seed, _ in drawn}) == 2


def test_futures_do_not_run_from_one_workload_into_the_next() -> None:
    law = Law(SMOKE, np.random.SeedSequence(0))
    spans = law.spans(np.linspace(0.0, 0.999, 500), 20)
    assert (spans[:, 1] - spans[:, 0] == 20).all()
    assert (law.tasks.stop[spans[:, 0]] == law.tasks.stop[spans[:, 1] - 1]).all()
    longer = law.spans(np.linspace(0.0, 0.999, 500), 10_000)
    assert (longer[:, 1] == law.tasks.stop[longer[:, 0]]).all()


def test_rows_do_not_depend_on_each_other() -> None:
    agent, seen = Rollout(SMOKE, SMALL), some_observations(3)[:8]
    together = play(agent, seen)
    assert (play(agent, seen[:, :2]) == together[:, :2]).all()
    assert (play(agent, seen) == together).all()


def test_a_certainty_that_nothing_reaches_is_bid_price() -> None:
    base = make("bid-price", SMOKE)
    assert isinstance(base, BidPrice)
    seen = some_observations(4)[:5]
    careful = Rollout(SMOKE, RolloutConfig(candidates=2, futures=8, decisions=160, sure=1e9))
    assert (play(careful, seen) == play(base, seen)).all()


def test_the_extended_model_is_refused() -> None:
    with pytest.raises(
        AgentError, match=r"'rollout': scenario 'campus@2' is of the extended model"
    ):
        Rollout(load_scenario("campus")).reset(0)


def test_its_settings_are_saved_and_checked(tmp_path: Path) -> None:
    Rollout(SMOKE, SMALL).save(tmp_path)
    loaded = load(tmp_path, SMOKE)
    assert isinstance(loaded, Rollout)
    assert loaded.config == SMALL
    with pytest.raises(AgentError, match="futures = 0: must be a whole number of at least 1"):
        RolloutConfig(futures=0)
    with pytest.raises(AgentError, match=r"sure = -1\.0: must be at least 0"):
        RolloutConfig(sure=-1.0)
    with pytest.raises(AgentError, match="sure = inf: must be a finite number"):
        RolloutConfig(sure=float("inf"))
