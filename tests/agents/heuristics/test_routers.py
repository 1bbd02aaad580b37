"""Routers and the extended prophet on observations made by hand, and in episodes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edge_marl.agents import Agent, make
from edge_marl.benchmarks.run.evaluation import evaluate, evaluate_gateways
from edge_marl.draw import draw_workload
from edge_marl.envs import EdgeAIGCVectorEnv
from edge_marl.errors import AgentError
from edge_marl.scenario import Scenario, load_scenario
from tests.worlds.every_part import PLAIN, world
from tests.worlds.learners import HEURISTICS
from tests.worlds.two_services import CLOUD, make_world, observe

EDGE = make_world()
WITH_CLOUD = make_world(cloud=CLOUD)
RESIDENCY = {"load": [{"share": 1, "median_s": 10.0, "sd_log": 0.0}]}
MEMORY = make_world(residency=RESIDENCY)


def agent_of(name: str, scenario: Scenario, seed: int = 0) -> Agent:
    agent = make(name, scenario)
    assert isinstance(agent, Agent)
    agent.reset(seed)
    return agent


def act(name: str, scenario: Scenario, free: list[float], *, mask: Any = None, **seen: Any) -> int:
    """The action on one observation; `mask` is a text of 0 and 1."""
    info = {}
    if mask is not None:
        info["action_mask"] = np.array([[int(bit) for bit in mask]], dtype=np.int8)
    return int(agent_of(name, scenario).act(observe(scenario, free, **seen), info)[0])


def frequencies(name: str, scenario: Scenario, free: list[float], **seen: Any) -> list[float]:
    """Share of each server in 4,000 choices."""
    rows = np.repeat(observe(scenario, free, **seen), 1000, axis=0)
    agent = agent_of(name, scenario)
    actions = np.concatenate([agent.act(rows, {}) for _ in range(4)])
    servers = scenario.num_neighbours
    counts = np.bincount(actions // scenario.num_services, minlength=servers)
    return [float(share) for share in counts / 4000]


# --- Routers ---


def test_shortest_queue_takes_the_largest_free_share_and_the_best_service_there() -> None:
    large_second = {"server_capacity": [100, 200, 100]}
    assert act("shortest-queue", EDGE, [60, 100, 50], **large_second) == 1
    assert act("shortest-queue", EDGE, [60, 140, 50], **large_second) == 3
    assert act("shortest-queue", EDGE, [60, 40, 60]) == 1  # the first of equals


def test_shortest_queue_passes_over_what_has_no_room_and_then_takes_the_cloud() -> None:
    small_first = {"server_capacity": [20, 100, 100, 200]}
    assert act("shortest-queue", WITH_CLOUD, [19, 30, 25, 200], **small_first) == 3
    assert act("shortest-queue", WITH_CLOUD, [19, 19, 19, 200]) == 7


def test_power_of_two_takes_the_less_loaded_of_two_at_random() -> None:
    found = frequencies("power-of-two", WITH_CLOUD, [90, 50, 30, 200])
    # Two of three: the least loaded is among them in 2/3 of cases, the most loaded never wins.
    assert found == pytest.approx([2 / 3, 1 / 3, 0, 0], abs=0.025)


def test_power_of_two_looks_further_where_neither_has_room() -> None:
    # The pair without server 2 comes up in 1/3 of cases.
    assert frequencies("power-of-two", EDGE, [10, 10, 30]) == [0, 0, 1]
    found = frequencies("power-of-two", WITH_CLOUD, [10, 10, 30, 200])
    assert found == pytest.approx([0, 0, 2 / 3, 1 / 3], abs=0.025)


def test_power_of_two_with_one_server_takes_it() -> None:
    assert frequencies("power-of-two", EDGE, [50, 0, 0], server_up=[1, 0, 0]) == [1, 0, 0]


def test_capacity_random_is_proportional_to_capacity_whatever_is_free() -> None:
    sizes = {"server_capacity": [100, 200, 100, 200]}
    found = frequencies("capacity-random", WITH_CLOUD, [0, 200, 0, 200], **sizes)
    assert found == pytest.approx([0.25, 0.5, 0.25, 0], abs=0.025)
    down = {"server_up": [1, 0, 1, 1]}
    found = frequencies("capacity-random", WITH_CLOUD, [9, 0, 9, 200], **sizes, **down)
    assert found == pytest.approx([0.5, 0, 0.5, 0], abs=0.025)


@pytest.mark.parametrize("name", ["capacity-random", "power-of-two"])
def test_the_cloud_is_left_where_the_whole_edge_is_down(name: str) -> None:
    down = {"server_up": [0, 0, 0, 1]}
    assert frequencies(name, WITH_CLOUD, [0, 0, 0, 200], **down) == [0, 0, 0, 1]


def test_nearest_takes_its_own_server_then_the_next_with_room() -> None:
    assert act("nearest", WITH_CLOUD, [20, 100, 100, 200]) == 1
    assert act("nearest", WITH_CLOUD, [19, 20, 100, 200]) == 3
    assert act("nearest", WITH_CLOUD, [19, 0, 19, 200]) == 7
    assert act("nearest", WITH_CLOUD, [20, 100, 100, 200], server_up=[0, 1, 1, 1]) == 3


def test_warm_first_prefers_what_is_resident() -> None:
    warm = np.array([[0, 0], [1, 0], [1, 0]])
    assert act("prophet", MEMORY, [100, 100, 100], service_warm=warm) == 1
    assert act("warm-first", MEMORY, [100, 100, 100], service_warm=warm) == 2
    assert act("warm-first", MEMORY, [100, 10, 10], service_warm=warm) == 1


def test_cloud_only_takes_the_best_service_of_the_cloud() -> None:
    assert act("cloud-only", WITH_CLOUD, [100, 100, 100, 200]) == 7
    assert act("cloud-only", WITH_CLOUD, [100, 100, 100, 200], mask="11111110") == 6


def test_cloud_only_needs_a_cloud() -> None:
    with pytest.raises(AgentError, match="'cloud-only': scenario 'paper-w3' has no cloud"):
        agent_of("cloud-only", load_scenario("paper", world=3))


# --- The published heuristics in the extended model ---


def test_crash_avoid_takes_the_cloud_where_the_edge_has_nothing_free() -> None:
    assert act("crash-avoid", WITH_CLOUD, [0, 5, 0, 200]) == 2
    assert act("crash-avoid", WITH_CLOUD, [0, 0, 0, 200]) == 6
    assert act("crash-avoid-best", WITH_CLOUD, [0, 0, 0, 200]) == 7


@pytest.mark.parametrize("name", [*(name for name in HEURISTICS if name != "random"), "cloud-only"])
def test_servers_that_are_down_are_passed_over(name: str) -> None:
    agent = agent_of(name, WITH_CLOUD)
    seen = observe(WITH_CLOUD, [0, 90, 0, 200], server_up=[0, 1, 0, 1])
    for _ in range(20):
        assert agent.act(seen, {})[0] // 2 in (1, 3)


def test_prophet_pays_for_lateness_and_price() -> None:
    # 24 s against a deadline of 20 s leave 0.8 of it, and 6 s all of 0.5.
    late = make_world(tasks={"deadline_s": [20.0]})
    assert act("prophet", late, [100, 100, 100], deadline_left=20000) == 1
    # Ten seconds are past: 24 s leave (20 - 14) / 20 = 0.3.
    assert act("prophet", late, [100, 100, 100], deadline_left=10000) == 0
    costs = np.array([[0.1, 0.7], [0.1, 0.7], [0.0, 0.7]])
    assert act("prophet", EDGE, [100, 100, 100], service_cost=costs) == 4


def test_prophet_counts_the_way_and_the_expected_load_time() -> None:
    world = make_world(
        tasks={"deadline_s": [30.0], "upload_kb": [0, 1000]},
        network={"latency_ms": 0.0, "bandwidth_mbit": [1.0, 1.0]},
        residency=RESIDENCY,
    )
    seen: dict[str, Any] = {"deadline_left": 30000, "server_delay": [8000, 5000, 6500]}
    assert act("prophet", world, [100, 100, 100], **seen) == 3
    cold = {"service_warm": np.array([[1, 1], [1, 0], [1, 1]])}  # 10 s to load, in place of 5 s
    assert act("prophet", world, [100, 100, 100], **seen, **cold) == 5


def test_prophet_weighs_a_stage_by_its_share_of_the_request() -> None:
    workflow = make_world(tasks={"stages": [1, 1, 1]})
    costs = {"service_cost": np.broadcast_to([0.0, 0.2], (3, 2))}  # for 0.5 more quality
    assert act("prophet", workflow, [100, 100, 100], **costs) == 1
    assert act("prophet", workflow, [100, 100, 100], stages_after=1, **costs) == 1
    assert act("prophet", workflow, [100, 100, 100], stages_after=2, **costs) == 0
    source = {"server_has_the_input": [0, 1, 0]}
    assert act("prophet", workflow, [100, 100, 100], stages_after=1, **source, **costs) == 0


def test_prophet_reckons_with_the_time_of_later_stages() -> None:
    workflow = make_world(tasks={"stages": [1, 1], "deadline_s": [15.0]})
    # Two stages have 30 s: 24 s twice leave (60 - 48) / 30 of the value, 6 s twice all of it.
    assert act("prophet", workflow, [100, 100, 100], deadline_left=30000) == 1
    assert act("prophet", workflow, [100, 100, 100], deadline_left=30000, stages_after=1) == 0


def test_prophet_knows_which_models_may_not_fit_the_memory() -> None:
    # A small server (8 MiB) runs the quick model (4): the good one (8) would crash it.
    warm = np.array([[1, 0], [0, 0], [0, 0]])
    free: dict[str, Any] = {"service_warm": warm, "server_up": [1, 0, 0]}
    assert act("prophet", MEMORY, [100, 0, 0], **free) == 1  # nothing runs there
    assert act("prophet", MEMORY, [80, 0, 0], **free) == 0
    # A large one (16 MiB), told by its capacity and speed, has room for both.
    large = {"server_capacity": [200, 100, 100]}
    quick = {"service_duration": np.broadcast_to([3000, 12000], (3, 2))}
    assert act("prophet", MEMORY, [180, 0, 0], **free, **large, **quick) == 1


def test_prophet_does_the_least_harm_where_nothing_fits() -> None:
    assert act("prophet", EDGE, [10, 15, 5]) == 3  # the least in use
    assert act("prophet", EDGE, [10, 15, 0], server_up=[1, 1, 0]) == 5  # only denied
    assert act("prophet", EDGE, [10, 15, 0], mask="110011", server_up=[1, 1, 0]) == 5
    assert act("prophet", EDGE, [10, 15, 5], mask="110011") == 1


def test_old_telemetry_asks_for_a_reserve() -> None:
    # In a period of 2 s one request of 30 steps on average arrives for all.
    stale = make_world(telemetry={"period_s": 2.0})
    better = np.array([[0.5, 0.6], [0.5, 1.0], [0.5, 0.9]])
    assert act("prophet", EDGE, [20, 49, 50], service_quality=better) == 3
    assert act("prophet", stale, [20, 49, 50], service_quality=better) == 5
    assert act("prophet", stale, [20, 49, 49], service_quality=better) == 1  # its own is exact
    assert act("prophet", stale, [19, 49, 49], service_quality=better) == 3  # better than none


def test_a_task_waits_where_that_is_worth_more_than_the_cloud() -> None:
    """With lines no server fails for want of room; the first has 10 of the 20 steps free."""
    sections = {"cloud": CLOUD, "queue": {"limit": 3}, "telemetry": {"period_s": 2.0}}
    lines = make_world(**sections, tasks={"deadline_s": [60.0]})
    full = [10.0, 0.0, 0.0, 200.0]
    seen: dict[str, Any] = {"deadline_left": 60_000, "service_cost": [[0, 0]] * 3 + [[0.6, 0.6]]}
    seen |= {"server_backlog": [30_000, 90_000, 90_000, 0]}
    assert act("prophet", lines, full, **seen) == 1
    assert act("prophet", lines, full, **seen, server_waiting=[2, 0, 0, 0]) == 1
    assert act("prophet", lines, full, **seen, server_waiting=[3, 1, 1, 0]) == 7  # no place left
    seen["server_backlog"] = [70_000, 90_000, 90_000, 0]
    assert act("prophet", lines, full, **seen) == 7  # it would end too late to be worth more


# --- Bid prices ---


def test_bid_price_takes_what_leaves_most_after_the_price(monkeypatch: pytest.MonkeyPatch) -> None:
    prices = np.array([1e-6, 0.0, 0.0, 5e-6])
    monkeypatch.setattr(
        "edge_marl.agents.heuristics.bid_price.learn_prices", lambda scenario: prices
    )
    qualities = np.array([[0.8, 1.0], [0.55, 0.7], [0.5, 0.65], [0.5, 1.15]])
    seen = {"service_quality": qualities}
    # On server 0: 0.8 - 20 steps x 6 s x 1e-6 = 0.68, and 1 - 0.48 = 0.52. The cloud has no price.
    assert act("bid-price", WITH_CLOUD, [100, 100, 100, 200], **seen) == 7
    assert act("bid-price", WITH_CLOUD, [100, 100, 100, 200], mask="11111110", **seen) == 3
    assert act("bid-price", WITH_CLOUD, [100, 10, 10, 200], mask="11111110", **seen) == 0


def test_prices_of_episodes_with_servers_of_their_own_are_one_for_all() -> None:
    from edge_marl.agents.heuristics.prices import learn_prices

    busy = world(arrivals={**PLAIN, "rate_per_s": 4.0, "horizon_s": 30.0})
    prices = learn_prices(busy)
    assert prices.shape == (busy.num_neighbours,)
    assert prices[0] > 0
    assert (prices == prices[0]).all()


def test_bid_price_needs_a_bound() -> None:
    without = make_world(overload={"refund": False})
    with pytest.raises(AgentError, match="'bid-price': scenario 'by-hand' has no bound"):
        agent_of("bid-price", without)


# --- Episodes ---

FULL = world(arrivals={**PLAIN, "horizon_s": 120.0})
LOCAL = world(arrivals={**PLAIN, "horizon_s": 120.0}, telemetry={"period_s": 0.0})
WORKLOADS = [draw_workload(FULL, seed) for seed in range(3)]


@pytest.mark.parametrize("name", [*HEURISTICS, "cloud-only"])
def test_no_heuristic_takes_an_illegal_action(name: str) -> None:
    agent = agent_of(name, FULL)
    for metrics in evaluate(agent, FULL, WORKLOADS, seed=3):
        assert metrics["illegal_actions"] == 0
        assert metrics["tasks"] > 20


@pytest.mark.parametrize("name", [*HEURISTICS, "cloud-only"])
def test_a_row_of_a_batch_acts_as_it_does_alone(name: str) -> None:
    agent = agent_of(name, FULL)
    assert evaluate(agent, FULL, WORKLOADS, seed=3)[:1] == evaluate(
        agent, FULL, WORKLOADS[:1], seed=3
    )


@pytest.mark.parametrize("name", ["prophet", "shortest-queue", "nearest", "bid-price"])
def test_gateways_that_act_on_what_they_see_get_the_same_in_the_game(name: str) -> None:
    agent = agent_of(name, FULL)
    assert evaluate_gateways(agent, FULL, WORKLOADS, seed=3) == evaluate(
        agent, FULL, WORKLOADS, seed=3
    )


def test_what_is_seen_to_fit_fits_where_nothing_is_stale() -> None:
    """The prophet crashes nothing as long as there is a cloud, and its own eyes."""
    metrics = evaluate(agent_of("prophet", LOCAL), LOCAL, WORKLOADS, seed=0)
    assert sum(each["server_crashes"] for each in metrics) == 0
    random = evaluate(agent_of("random", LOCAL), LOCAL, WORKLOADS, seed=0)
    assert sum(each["server_crashes"] for each in random) > 0


def test_heuristics_decide_where_no_task_is_shown() -> None:
    envs = EdgeAIGCVectorEnv(1, scenario=FULL)
    observation, info = envs.reset(options={"workloads": WORKLOADS[:1]})
    observation = np.zeros_like(observation)
    for name in [*HEURISTICS, "cloud-only"]:
        assert agent_of(name, FULL).act(observation, info).shape == (1,)
