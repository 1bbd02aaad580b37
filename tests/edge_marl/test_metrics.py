"""Metrics against an episode worked out by hand, and against each other."""

import math
from typing import Any

import gymnasium
import numpy as np
import pytest

from edge_marl import METRICS, Scenario, Workload, draw_topology, edge_aigc_v0, load_scenario
from edge_marl.kernel import world
from edge_marl.metrics import episode_metrics, metrics_of
from edge_marl.scenario import parse_scenario
from edge_marl.simulator import EpisodeLog

SCENARIO = parse_scenario(
    """
    name = "hand"
    version = 1
    summary = "two servers, four tasks, worked out by hand"
    tasks = {types = 1, demand = [100, 200], run_time_minutes = [0.0, 0.1, 0.0]}
    arrivals = {rate_per_s = 0.001, horizon_s = 4000}
    gateways = {count = 2}
    overload = {penalty = 2.0, loss_sum = "in-order"}
    episode = {end = "horizon"}
    [servers]
    law = "given"
    capacity = [300, 200]
    baseline = [[[0.5]], [[0.25]]]
    curve = [[[0.0, 0.0, 400.0, 1.0]], [[0.0, 0.0, 400.0, 1.0]]]
    """,
    "hand.toml",
)
# arrival, run time (ms), demand, type, gateway; sent to server:
#   0: 0 s, 600 s, 100 -> server 0: runs to 600 s, pays 0.5 + 0.25
#   1: 300 s, 1200 s, 200 -> server 0: fits exactly, pays 0.5 + 0.5
#   2: 450 s, 1200 s, 200 -> server 0: crash; task 0 has 1/4 to run, task 1 has 7/8
#   3: 900 s, 1200 s, 200 -> server 1: runs to 2100 s, pays 0.25 + 0.5
TASKS = [
    [0, 600_000, 100, 0, 0],
    [300_000, 1_200_000, 200, 0, 1],
    [450_000, 1_200_000, 200, 0, 0],
    [900_000, 1_200_000, 200, 0, 0],
]
ACTIONS = [0, 0, 0, 1]


def play(decisions: int) -> tuple[list[float], dict[str, float]]:
    env: Any = gymnasium.make("EdgeAIGC-v0", scenario=SCENARIO).unwrapped
    env.reset(options={"workload": Workload(draw_topology(SCENARIO), np.array(TASKS))})
    rewards = [env.step(action)[1] for action in ACTIONS[:decisions]]
    return rewards, env.metrics()


def test_episode_worked_out_by_hand() -> None:
    rewards, metrics = play(4)
    assert rewards == [0.75, 1.0, -(2.0 + 2 * 0.25 + 2 * 0.875), 0.75]
    assert metrics == {
        "utility": -1.75,
        "utility_per_task": -1.75 / 4,
        "granted_utility_per_task": 2.5 / 4,
        "server_crash_rate": 1 / 4,
        "server_crashes": 1.0,
        "crashed_fraction": 2 / 4,
        "failed_fraction": 0.0,
        "lost_fraction": 3 / 4,
        "completion_rate": 1 / 4,
        "on_time_rate": 1 / 4,
        "latency_mean_s": 1200.0,
        "latency_p50_s": 1200.0,
        "latency_p95_s": 1200.0,
        "latency_p99_s": 1200.0,
        "cold_start_rate": 0.0,
        "cloud_share": 0.0,
        "energy_per_task_j": 0.0,
        # server 0: 100 x 450 s + 200 x 150 s of 300 x 4000 s
        # server 1: 200 x 1200 s of 200 x 4000 s
        "utilisation": pytest.approx((75_000 + 240_000) / (500 * 4000)),
        "load_imbalance": pytest.approx((0.3 - 0.0625) / (0.3 + 0.0625)),
        # completion: 1 of 3 tasks at gateway 0, 0 of 1 at gateway 1
        "gateway_fairness": pytest.approx(0.5),
        "illegal_actions": 0.0,
        "tasks": 4.0,
        "requests": 4.0,
    }
    assert list(metrics) == list(metrics_of(load_scenario("smoke")))


def played_in_slots(choices: list[tuple[int, int]]) -> dict[str, float]:
    """Gateways send tasks of 200 steps and 20 minutes, which arrive together, in slots of 600 s."""
    scenario = SCENARIO.with_clock(600.0, hold=False)
    rows = [[600_000 * k, 1_200_000, 200, 0, gateway] for k in range(3) for gateway in (0, 1)]
    env: Any = edge_aigc_v0.parallel_env(scenario)
    env.reset(options={"workload": Workload(draw_topology(scenario), np.array(rows))})
    for pair in choices:
        env.step(dict(zip(env.agents, pair, strict=True)))
    metrics: dict[str, float] = env.metrics()
    return metrics


def test_a_herd_is_two_gateways_in_one_overload() -> None:
    together, apart, on_top = (0, 0), (0, 1), (1, 1)
    assert played_in_slots([together])["herding"] == 1.0  # 200 and 200 of 300 steps
    assert played_in_slots([apart])["herding"] == 0.0
    # In the second slot one comes to a server that is in use, and the other elsewhere: no herd.
    crossed = played_in_slots([apart, (1, 0)])
    assert crossed["server_crashes"] == 2.0
    assert crossed["herding"] == 0.0
    assert played_in_slots([apart, on_top, together])["herding"] == 2 / 3
    nothing = SCENARIO.num_actions
    assert math.isnan(played_in_slots([(nothing, nothing)])["herding"])


def test_idle_is_up_with_no_task() -> None:
    # Until 600 s both servers hold one; then both crash, and are empty until 1,200 s.
    metrics = played_in_slots([(0, 1), (1, 0)])
    assert metrics["idle_share"] == 1 / 2
    assert metrics.keys() - play(4)[1].keys() == {"herding", "idle_share"}


def test_what_is_down_is_not_idle_and_what_is_too_large_is_no_overload() -> None:
    """A log by hand: a queue, an outage and a restart, two servers, of 100 steps each."""
    tasks = np.zeros((6, world.NUM_TASK_COLUMNS), dtype=np.int64)
    tasks[:, world.DEMAND] = 60
    sent = [world.PLACE, world.STATUS, world.START, world.END]
    tasks[:, sent] = [
        [0, world.ADMITTED, 0, 40],
        [0, world.DENIED, 10, 10],  # its line is full, and another came too: a herd
        [0, world.DENIED, 10, 10],
        [1, world.DENIED, 20, 20],  # it is down: none, though two came
        [1, world.DENIED, 20, 20],
        [0, world.REFUSED, 60, 60],  # alone
    ]
    terms = np.zeros((6, world.NUM_TERMS), dtype=np.int64)
    terms[:, world.STEPS] = 60

    def metrics(terms: Any) -> dict[str, float]:
        return episode_metrics(
            EpisodeLog(
                tasks=tasks,
                details=np.zeros((6, world.NUM_DETAIL_COLUMNS), dtype=np.int64),
                rewards=np.zeros(6),
                num_shown=6,
                capacity=np.array([100, 100]),
                energy_mj=None,
                has_cloud=False,
                server_crashes=np.array([1, 0]),
                num_services=1,
                clock_ms=100,
                illegal_actions=0,
                terms=terms,
                in_slots=True,
                restart_ms=25,
                outages=np.array([[15, 1, 10], [20, 1, 20], [90, 1, 50]]),
            )
        )

    found = metrics(terms)
    assert found["herding"] == 1 / 4
    # 40 and 25 of 100 ms at the first server; down from 15 to 40 and from 90 on at the second.
    assert found["idle_share"] == (200 - 40 - 25 - 25 - 10) / 200
    terms[1:3, world.STEPS] = 120  # larger than the server
    assert metrics(terms)["herding"] == 0.0


def test_metrics_so_far_count_running_tasks_as_unfinished() -> None:
    _, metrics = play(2)
    assert metrics["tasks"] == 2
    assert metrics["utility"] == 1.75
    assert metrics["completion_rate"] == 0
    assert math.isnan(metrics["latency_p95_s"])
    assert metrics["utilisation"] == pytest.approx((100 * 450 + 200 * 150) / (500 * 450))


def test_metrics_before_the_first_decision_are_undefined() -> None:
    _, metrics = play(0)
    counts = {"tasks", "requests"}
    assert all(metrics[name] == 0 for name in counts)
    assert all(math.isnan(value) for name, value in metrics.items() if name not in counts)


def test_percentiles_are_of_the_data() -> None:
    env: Any = gymnasium.make("EdgeAIGC-v0", scenario="paper").unwrapped
    env.reset(seed=0)
    ended = False
    while not ended:
        *_, terminated, truncated, _ = env.step(int(env.action_space.sample()))
        ended = terminated or truncated
    log, metrics = env.log(), env.metrics()
    latency = np.sort((log.tasks[:, world.END] - log.tasks[:, world.ARRIVAL])[log.finished]) / 1000
    for percent, name in ((50, "latency_p50_s"), (95, "latency_p95_s"), (99, "latency_p99_s")):
        assert metrics[name] == np.percentile(latency, percent, method="inverted_cdf")
    assert metrics["latency_mean_s"] == pytest.approx(latency.mean())
    assert metrics["lost_fraction"] + metrics["completion_rate"] == pytest.approx(
        1 - log.running.sum() / log.num_decisions
    )


def test_every_metric_says_what_it_is() -> None:
    for name, metric in METRICS.items():
        assert metric.name == name
        assert metric.unit
        assert metric.description


def test_the_last_task_that_is_never_sent_counts_nowhere() -> None:
    """Also where a part of the extended model is on."""
    facts = SCENARIO.model_dump(mode="json", exclude_defaults=True)
    facts["overload"]["refund"] = True
    facts["episode"]["end"] = "last-task"
    scenario = Scenario.model_validate(facts)
    env: Any = gymnasium.make("EdgeAIGC-v0", scenario=scenario).unwrapped
    env.reset(options={"workload": Workload(draw_topology(scenario), np.array(TASKS))})
    *_, terminated, _, _ = [env.step(action) for action in ACTIONS[:3]][-1]
    assert terminated
    assert env.metrics()["tasks"] == env.metrics()["requests"] == 3


def test_large_numbers_do_not_wrap() -> None:
    """Energy of 10^18 mJ and capacity times time of 10^19, in a log of two tasks."""
    capacity, demand, end = np.array([2**31 - 1]), 2**31 - 1, 2**41
    tasks = np.zeros((2, world.NUM_TASK_COLUMNS), dtype=np.int64)
    tasks[:, world.DEMAND], tasks[:, world.STATUS] = demand, world.ADMITTED
    tasks[:, world.START], tasks[:, world.END] = [0, end], [end, 2 * end]
    log = EpisodeLog(
        tasks=tasks,
        details=np.zeros((2, world.NUM_DETAIL_COLUMNS), dtype=np.int64),
        rewards=np.zeros(2),
        num_shown=2,
        capacity=capacity,
        energy_mj=np.array([[10**12]]),
        has_cloud=False,
        server_crashes=np.zeros(1, dtype=np.int64),
        num_services=1,
        clock_ms=2 * end,
        illegal_actions=0,
    )
    metrics = episode_metrics(log)
    assert metrics["energy_per_task_j"] == pytest.approx(demand * 10**9)
    assert metrics["utilisation"] == 1.0
