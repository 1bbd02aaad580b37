"""Small cases of every rule of the extended model, with numbers worked out by hand.

The oracle and the kernel may share a misreading of `docs/extended_model.md`; here both are held
against numbers that come from neither. Unless a case says otherwise, a server holds 10 steps, all
qualities are 1, the penalty is 2, and the horizon is at 1000 ms.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import gymnasium as gym
import numpy as np
import pytest

from edge_marl import edge_aigc_v0
from edge_marl.kernel import world as k
from edge_marl.scenario import Scenario
from edge_marl.workload import Workload
from edge_marl.workload.topology import Topology
from tests.oracle.agreement import STATUS, OracleGame
from tests.oracle.reference_sim import Fate, OracleEnv

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

F = Fate
NOTHING = -1


class Row(NamedTuple):
    """A task: times in ms, sizes in kB."""

    arrival: int
    run_time: int
    demand: int = 1
    gateway: int = 0
    stage: int = 0
    after: int = 0
    deadline: int = 0
    load_time: int = 0
    upload: int = 0
    download: int = 0
    fails: int = 0


def case(
    rows: Sequence[Row],
    *,
    servers: int = 1,
    services: int = 1,
    gateways: int = 1,
    horizon: int = 1000,
    penalty: float = 2.0,
    loss_sum: str = "in-order",
    refund: bool = False,
    restart: int = 0,
    period: int = 0,
    slot: int = 0,
    hold: bool = False,
    weight: float = 0.0,
    residency: bool = False,
    outages: Sequence[tuple[int, int, int]] = (),
    cloud: dict[str, float] | None = None,
    network: dict[str, Any] | None = None,
    scales: dict[str, Any] | None = None,
    **arrays: Any,
) -> tuple[Scenario, Workload]:
    """A world of devices with one workload."""
    model = {"name": "model", "slowdown": 1.0}
    neighbours = arrays.get("neighbours")
    all_servers = servers + (cloud is not None)
    near = 0 if neighbours is None or len(neighbours[0]) == all_servers else len(neighbours[0])
    facts: dict[str, Any] = {
        "name": "by-hand",
        "version": 1,
        "summary": "worked out by hand",
        "servers": {
            "law": "devices",
            "count": servers,
            "devices": [{"name": "device", "capacity": [10]}],
            "models": [model] * services,
        },
        "tasks": {
            "types": 1,
            "demand": [5],
            "run_time_minutes": [0.0, 0.0, 200 / 60000],  # 200 ms
            "stages": [1.0, 1.0, 1.0],
            "deadline_s": [0.1],
            "fail_share": 0.1,
            **(scales or {}),
        },
        "arrivals": {"rate_per_s": 1.0, "horizon_s": horizon / 1000},
        "gateways": {"count": gateways, "neighbourhood": near},
        "overload": {
            "penalty": penalty,
            "loss_sum": loss_sum,
            "refund": refund,
            "restart_s": restart / 1000,
        },
        "episode": {"end": "horizon"},
        "clock": {"slot_s": slot / 1000, "hold": hold},
        "telemetry": {"period_s": period / 1000},
        "energy": {"weight": weight},
        "cloud": cloud,
        "network": network,
        "outages": {"every_s": 1.0, "repair_s": 1.0} if outages else None,
    }
    if residency:
        facts["residency"] = {"load": [{"share": 1.0, "median_s": 1.0, "sd_log": 0.0}]}
    shape = all_servers, services
    given: dict[str, Any] = {
        "capacity": [10] * all_servers,
        "baseline": np.ones((*shape, 1)),
        "curve": np.tile([0.0, 0.0, 1.0, 0.0], (*shape, 1)),
        **{name: np.array(array) for name, array in arrays.items()},
    }
    tasks = [(row.arrival, row.run_time, row.demand, 0, row.gateway) for row in rows]
    details = [row[4:] for row in rows]
    failures = np.array(outages) if outages else None
    workload = Workload(Topology(**given), np.array(tasks), np.array(details), failures)
    return Scenario.model_validate(facts), workload


def request(arrival: int, run_times: Sequence[int], **more: Any) -> list[Row]:
    """The rows of a request of several stages."""
    after = len(run_times) - 1
    return [
        Row(arrival, run_time, stage=stage, after=after - stage, **more)
        for stage, run_time in enumerate(run_times)
    ]


@dataclass
class Played:
    """What an episode gave; `seen` has one entry more than there are steps."""

    rewards: list[Any]
    seen: list[NDArray[np.float32]]
    status: list[int]
    ends: list[int]
    illegal: int
    crashes: list[int]


def on_oracle(scenario: Scenario, workload: Workload, actions: Sequence[int]) -> Played:
    env = OracleEnv(scenario)
    seen, rewards = [env.reset(workload)[0]], []
    for action in actions:
        observation, reward, *_ = env.step(action)
        seen.append(observation)
        rewards.append(reward)
    return played_of(env.sim, rewards, seen)


def played_of(sim: Any, rewards: list[Any], seen: list[Any]) -> Played:
    assert sim.over
    status = [STATUS[task.fate] for task in sim.tasks]
    ends = [task.end for task in sim.tasks]
    return Played(rewards, seen, status, ends, sim.illegal, [s.crashes for s in sim.servers])


def on_kernel(scenario: Scenario, workload: Workload, actions: Sequence[int]) -> Played:
    env: Any = gym.make("EdgeAIGC-v0", scenario=scenario).unwrapped
    seen, rewards = [env.reset(options={"workload": workload})[0]], []
    over = False
    for action in actions:
        observation, reward, terminated, over, _ = env.step(action)
        assert not terminated
        seen.append(observation)
        rewards.append(reward)
    assert over
    return of_log(env.log(), rewards, seen)


def of_log(log: Any, rewards: list[Any], seen: list[Any]) -> Played:
    status, ends = log.tasks[:, k.STATUS].tolist(), log.tasks[:, k.END].tolist()
    return Played(rewards, seen, status, ends, log.illegal_actions, log.server_crashes.tolist())


def game_on_oracle(scenario: Scenario, workload: Workload, choices: Any) -> Played:
    game = OracleGame(scenario, workload)
    seen, rewards = [game.seen], []
    for step in choices:
        rewards.append(game.play([game.nothing if c == NOTHING else c for c in step]))
        seen.append(game.seen)
    return played_of(game.sim, rewards, seen)


def game_on_kernel(scenario: Scenario, workload: Workload, choices: Any) -> Played:
    env: Any = edge_aigc_v0.parallel_env(scenario=scenario, reward="local")
    observations, _ = env.reset(options={"workload": workload})
    seen, rewards = [np.stack(list(observations.values()))], []
    for step in choices:
        chosen = [scenario.num_actions if c == NOTHING else c for c in step]
        observations, paid, *_ = env.step(dict(zip(env.agents, chosen, strict=True)))
        seen.append(np.stack(list(observations.values())))
        rewards.append(list(paid.values()))
    assert not env.agents
    return of_log(env.log(), rewards, seen)


class Sides(NamedTuple):
    """One of the two implementations."""

    play: Any
    game: Any


@pytest.fixture(params=["oracle", "kernel"])
def side(request: pytest.FixtureRequest) -> Sides:
    if request.param == "oracle":
        return Sides(on_oracle, game_on_oracle)
    return Sides(on_kernel, game_on_kernel)


def check(
    played: Played, rewards: Any, fates: Sequence[Fate] = (), ends: Sequence[int] = ()
) -> None:
    """Compare what was played with what comes out by hand."""
    np.testing.assert_allclose(played.rewards, rewards, rtol=0, atol=1e-12)
    if fates:
        assert played.status == [STATUS[fate] for fate in fates]
    if ends:
        assert played.ends == list(ends)


# Layout with one type: task 4, then 5 per server, then 4 per (server, service).
def server_part(seen: NDArray[np.float32], n: int) -> list[float]:
    part: list[float] = seen[4 + 5 * n : 9 + 5 * n].tolist()
    return part


# ------------------------------------------------------------ network, run time, value

NETWORK: dict[str, Any] = {"latency_ms": 10.0, "bandwidth_mbit": [8.0, 8.0]}
LINKS: dict[str, Any] = {
    "neighbours": [[0, 1]],
    "propagation": [[10, 30]],
    "us_per_kb": [[1000, 1500]],
}


def test_input_and_run_time_are_rounded_up(side: Sides) -> None:
    """Server 1: 30 + ceil(3 x 1500 / 1000) = 35 ms there, 101 x 1.5 = 151.5 -> 152 ms of work."""
    world = case(
        [Row(50, 101, upload=3)],
        servers=2,
        network=NETWORK,
        slowdown=[[1000], [1500]],
        **LINKS,
    )
    check(side.play(*world, [1]), [1.0], [F.FINISHED], [50 + 35 + 152])


@pytest.mark.parametrize(
    ("deadline", "value"),
    [(0, 1.0), (165, 1.0), (164, 163 / 164), (150, 0.9), (100, 0.35), (83, 1 / 83), (82, 0.0)],
)
def test_value_falls_from_the_deadline_to_twice_it(
    side: Sides, deadline: int, value: float
) -> None:
    """There 10 + 20, run 100, back 10 + 25: latency 165 ms after the arrival."""
    row = Row(40, 100, upload=20, download=25, deadline=deadline)
    world = case([row], servers=2, network=NETWORK, **LINKS)
    check(side.play(*world, [0]), [value], ends=[40 + 130])


def test_without_a_network_ways_take_no_time(side: Sides) -> None:
    world = case([Row(0, 100, upload=20, download=25, deadline=100)], servers=2, **LINKS)
    check(side.play(*world, [1]), [1.0], ends=[100])


def test_progress_counts_from_the_sending(side: Sides) -> None:
    """Sent at 0, end at 10 + 90 = 100; at 60 it has come 0.6 of the way."""
    world = case([Row(0, 90, 6), Row(60, 90, 6)], servers=2, network=NETWORK, **LINKS)
    check(side.play(*world, [0, 0]), [1.0, -(2 + 2 * 0.4)], [F.CRASHED, F.REFUSED], [60, 60])


# ------------------------------------------------------------ overload, restart, masks


def test_a_server_is_down_until_its_restart_and_not_longer(side: Sides) -> None:
    rows = [Row(0, 500, 6), Row(10, 5, 6), Row(39, 5), Row(40, 5)]
    fates = [F.CRASHED, F.REFUSED, F.DENIED, F.FINISHED]
    played = side.play(*case(rows, restart=30), [0, 0, 0, 0])
    check(played, [1.0, -(2 + 2 * 0.98), -2.0, 1.0], fates, [10, 10, 39, 45])
    assert played.crashes == [1]


def test_an_action_that_is_not_hosted_drops_the_task(side: Sides) -> None:
    world = case([Row(0, 5), Row(1, 5)], servers=2, hosted=[[False], [True]])
    played = side.play(*world, [0, 1])
    check(played, [-2.0, 1.0], [F.DROPPED, F.FINISHED])
    assert played.illegal == 1


def test_not_hosted_comes_before_down(side: Sides) -> None:
    """Both pay the same, but the first counts as illegal."""
    hosted = [[False, True]]
    world = case([Row(5, 5)], services=2, hosted=hosted, outages=[(0, 0, 50)])
    played = side.play(*world, [0])
    check(played, [-2.0], [F.DROPPED])
    assert played.illegal == 1


# ------------------------------------------------------------ residency

MEMORY: dict[str, Any] = {
    "residency": True,
    "services": 3,
    "memory": [5],
    "model_memory": [2, 2, 3],
}


def test_a_cold_model_is_loaded_and_the_next_task_waits_for_it(side: Sides) -> None:
    """Loaded by 0 + 50; a second task at 20 has a shorter load time, which does not count."""
    rows = [Row(0, 100, load_time=50), Row(20, 10, load_time=1), Row(60, 10, load_time=40)]
    check(side.play(*case(rows, **MEMORY), [0, 0, 0]), [1, 1, 1], ends=[150, 60, 70])


def test_input_and_loading_go_side_by_side(side: Sides) -> None:
    links: dict[str, Any] = {"neighbours": [[0]], "propagation": [[70]]}
    rows = [Row(0, 100, load_time=50), Row(300, 100, load_time=50)]
    world = case(rows, network=NETWORK, **links, **MEMORY)
    check(side.play(*world, [0, 2]), [1, 1], ends=[170, 470])


def test_the_least_recently_used_idle_model_leaves(side: Sides) -> None:
    """Models 0 and 1 (2 + 2 of 5 MiB) are idle at 200; 0 was used again at 100, so 2 evicts 1."""
    rows = [Row(t, 10, load_time=5) for t in (0, 50, 100, 200, 300, 400)]
    world = case(rows, **MEMORY)
    ends = [15, 65, 110, 215, 310, 415]
    check(side.play(*world, [0, 1, 0, 2, 0, 1]), [1] * 6, ends=ends)


def test_of_models_used_at_one_time_the_lower_number_leaves(side: Sides) -> None:
    """1 and 0 are used at 0, in this order; at 100 model 2 evicts 0, and 1 is still there."""
    rows = [Row(t, 10, load_time=5) for t in (0, 0, 100, 200)]
    check(side.play(*case(rows, **MEMORY), [1, 0, 2, 1]), [1] * 4, ends=[15, 15, 115, 210])


def test_as_many_models_leave_as_it_takes(side: Sides) -> None:
    """A model of 4 needs both others out of 5 MiB."""
    rows = [Row(t, 10, load_time=5) for t in (0, 20, 100, 200, 220)]
    world = case(rows, **MEMORY | {"model_memory": [2, 2, 4]})
    check(side.play(*world, [0, 1, 2, 0, 1]), [1] * 5, ends=[15, 35, 115, 215, 235])


def test_models_in_use_crash_the_server_when_another_does_not_fit(side: Sides) -> None:
    """0 and 1 run (4 MiB), 2 needs 3 of 5: crash, though the steps would fit."""
    rows = [Row(0, 95, load_time=5), Row(0, 195, load_time=5), Row(50, 10)]
    fates = [F.CRASHED, F.CRASHED, F.REFUSED]
    played = side.play(*case(rows, **MEMORY), [0, 1, 2])
    check(played, [1, 1, -(2 + 2 * 0.5 + 2 * 0.75)], fates)


def test_a_crash_empties_the_memory(side: Sides) -> None:
    rows = [Row(0, 100, 6, load_time=5), Row(10, 5, 6), Row(20, 10, load_time=7)]
    played = side.play(*case(rows, **MEMORY), [0, 0, 0])
    check(played, [1, -(2 + 2 * (1 - 10 / 105)), 1], ends=[10, 10, 37])


def test_without_residency_nothing_is_loaded(side: Sides) -> None:
    rows = [Row(0, 100, load_time=50), Row(0, 100, load_time=50), Row(0, 100, load_time=50)]
    world = case(rows, **MEMORY | {"residency": False})
    check(side.play(*world, [0, 1, 2]), [1, 1, 1], ends=[100, 100, 100])


# ------------------------------------------------------------ cloud and energy

CLOUD: dict[str, Any] = {"price_per_step": 0.125, "slowdown": 2.0}


def test_the_cloud_has_room_and_a_price(side: Sides) -> None:
    """8 steps at 0.125 each; nothing is loaded, twice the time by the array."""
    rows = [Row(0, 100, 8, load_time=50)] * 3
    world = case(
        rows,
        cloud=CLOUD,
        residency=True,
        memory=[1, 1],
        model_memory=[1],
        neighbours=[[0, 1]],
        slowdown=[[1000], [2000]],
    )
    check(side.play(*world, [1, 1, 0]), [0.0, 0.0, 1.0], [F.FINISHED] * 3, [200, 200, 150])


def test_energy_has_a_price_everywhere(side: Sides) -> None:
    """4 steps x (0.125 + 0.5 x 250 mJ) on the cloud, x 0.5 x 500 mJ at the edge."""
    energy = [[500], [250]]
    rows = [Row(0, 100, 4)] * 2
    world = case(rows, cloud=CLOUD, weight=0.5, energy=energy, neighbours=[[0, 1]])
    check(side.play(*world, [1, 0]), [1 - 4 * 0.25, 1 - 4 * 0.25])


# ------------------------------------------------------------ stages

QUALITIES: dict[str, Any] = {"servers": 2, "baseline": [[[0.25]], [[1.0]]]}


def test_a_stage_is_ready_when_the_one_before_has_ended(side: Sides) -> None:
    """Value (0.25 + 1 + 1) / 3 with the last; deadlines run from the request's arrival."""
    rows = [*request(10, [20, 30, 40], deadline=90), Row(25, 5)]
    played = side.play(*case(rows, **QUALITIES), [0, 1, 1, 1])
    check(played, [0.0, 1.0, 0.0, 2.25 / 3], [F.FINISHED] * 4, [30, 60, 100, 30])


def test_decisions_of_one_time_go_by_row(side: Sides) -> None:
    """At 30 stage 1 of the first request (row 1) comes before the arrivals (rows 2 and 3)."""
    rows = [*request(0, [30, 10]), Row(30, 10, 6), Row(30, 10, 6)]
    played = side.play(*case(rows, **QUALITIES), [0, 1, 0, 0])
    check(played, [0.0, 1.25 / 2, 0.25, -4.0], [F.FINISHED, F.FINISHED, F.CRASHED, F.REFUSED])


def test_the_input_of_a_later_stage_lies_where_the_one_before_ended(side: Sides) -> None:
    """Stage 1 stays: no time. Stage 2 goes from 1 to 0: 30 + 6 and 10 + 4. Only it goes back."""
    rows = request(0, [10, 10, 10], upload=4, download=4, deadline=130)
    world = case(rows, servers=2, network=NETWORK, **LINKS)
    ends = [46, 56, 56 + 36 + 14 + 10]
    played = side.play(*world, [1, 1, 0])
    check(played, [0.0, 0.0, 1.0], ends=ends)  # back at 116 + 10 + 4 = 130: just in time
    late = case(rows, servers=2, network=NETWORK, **LINKS | {"propagation": [[11, 30]]})
    # Server 0's link is a ms longer both ways: 132 ms.
    check(side.play(*late, [1, 1, 0]), [0.0, 0.0, (260 - 132) / 130])
    assert server_part(played.seen[0], 1)[4] == 0.0
    assert [server_part(played.seen[1], n)[4] for n in (0, 1)] == [0.0, 1.0]


@pytest.mark.parametrize("how", ["dropped", "denied", "refused", "crashed", "outage", "fails"])
def test_a_lost_stage_ends_its_request(side: Sides, how: str) -> None:
    rows = request(0, [50, 50, 50], demand=6, fails=int(how == "fails"))
    lost: dict[str, tuple[Fate, list[int], list[float], dict[str, Any]]] = {
        "dropped": (F.DROPPED, [0], [-2.0], {"hosted": [[False], [True]]}),
        "denied": (F.DENIED, [0], [-2.0], {"outages": [(0, 0, 9)]}),
        "refused": (F.REFUSED, [0], [-2.0], {"capacity": [5, 5]}),
        "crashed": (F.CRASHED, [0, 0], [0.0, -(2 + 2 * 0.2)], {}),
        "outage": (F.OUTAGE, [0], [0.0], {"outages": [(49, 0, 0)]}),
        "fails": (F.FAILED, [0], [0.0], {}),
    }
    fate, actions, rewards, more = lost[how]
    if how == "crashed":
        rows.append(Row(40, 10, 6))
    played = side.play(*case(rows, **QUALITIES, **more), actions)
    check(played, rewards)
    assert played.status[:3] == [STATUS[fate], k.WAITING, k.WAITING]


# ------------------------------------------------------------ refunds, failures


@pytest.mark.parametrize(("refund", "back"), [(True, 1.0), (False, 0.0)])
def test_a_crash_takes_back_what_was_granted(side: Sides, refund: bool, back: float) -> None:
    """In the crash's own step; the price stays paid."""
    rows = [Row(0, 100, 6), Row(50, 100, 6)]
    world = case(rows, refund=refund, weight=1.0, energy=[[10]])
    check(side.play(*world, [0, 0]), [1 - 0.06, -3.0 - back], [F.CRASHED, F.REFUSED])


def test_a_task_that_fails_by_itself_is_taken_back_by_the_decision_before(side: Sides) -> None:
    """It ends at 100, between the decisions at 50 and at 120; the last at the horizon itself."""
    rows = [Row(0, 100, fails=1), Row(50, 10), Row(120, 10), Row(900, 100, fails=1)]
    fates = [F.FAILED, F.FINISHED, F.FINISHED, F.FAILED]
    ends = [100, 60, 130, 1000]
    check(side.play(*case(rows, refund=True), [0] * 4), [1, 0, 1, 0], fates, ends)


def test_an_outage_loses_what_runs_and_the_models(side: Sides) -> None:
    """At 50: row 0 has just ended, row 1 runs; at 69 down, at 70 up, the model is cold again."""
    rows = [Row(0, 45, load_time=5), Row(0, 46, load_time=5), Row(69, 5), Row(70, 5, load_time=5)]
    fates = [F.FINISHED, F.OUTAGE, F.DENIED, F.FINISHED]
    world = case(rows, refund=True, outages=[(50, 0, 20)], **MEMORY)
    played = side.play(*world, [0, 0, 0, 0])
    check(played, [1, 0, -2, 1], fates, [50, 50, 69, 80])
    assert played.crashes == [0]


def test_a_server_is_down_until_the_later_of_two_failures(side: Sides) -> None:
    """50 + 100 outlasts 60 + 10; and a crash's restart (200 + 100) outlasts 210 + 10."""
    rows = [Row(149, 5), Row(150, 5), Row(200, 5, 11), Row(299, 5), Row(300, 5)]
    outages = [(50, 0, 100), (60, 0, 10), (210, 0, 10)]
    fates = [F.DENIED, F.FINISHED, F.REFUSED, F.DENIED, F.FINISHED]
    world = case(rows, restart=100, outages=outages)
    check(side.play(*world, [0] * 5), [-2, 1, -2, -2, 1], fates)


def test_a_failing_task_that_ends_with_an_outage_has_left_already(side: Sides) -> None:
    """It failed by itself, and the stage of the other, which ended too, goes on."""
    rows = [*request(0, [50, 10]), Row(0, 50, fails=1)]
    fates = [F.FINISHED, F.FINISHED, F.FAILED]
    world = case(rows, refund=True, outages=[(50, 0, 20)], **QUALITIES)
    check(side.play(*world, [0, 0, 1]), [0, 0.25 - 0.25, 1.25 / 2], fates)


def test_an_outage_when_a_task_arrives_comes_first(side: Sides) -> None:
    check(side.play(*case([Row(50, 5)], outages=[(50, 0, 1)]), [0]), [-2.0], [F.DENIED])


@pytest.mark.parametrize("how", ["outage", "crash"])
def test_refunds_are_summed_in_order_of_assignment(side: Sides, how: str) -> None:
    """Service 2 (0.1), then 0 (0.2), then 1 (0.3): ((0 - 0.1) - 0.2) - 0.3, to the last bit."""
    rows = [Row(t, 500) for t in (0, 1, 2)] + [Row(50, 5, 11)] * (how == "crash")
    qualities = [[[0.2], [0.3], [0.1]]]
    failures = [(50, 0, 0)] * (how == "outage")
    world = case(rows, services=3, baseline=qualities, outages=failures, refund=True, penalty=0.0)
    played = side.play(*world, [2, 0, 1, 0][: len(rows)])
    taken_back = ((0.0 - 0.1) - 0.2) - 0.3
    assert taken_back != ((0.0 - 0.2) - 0.3) - 0.1
    assert played.rewards[-1] == (taken_back if how == "crash" else 0.3 + taken_back)


# ------------------------------------------------------------ horizon


def test_a_stage_that_is_ready_at_the_horizon_is_not_decided_on(side: Sides) -> None:
    rows = [*request(0, [999, 10]), *request(0, [1000, 10])]
    fates = [F.FINISHED, F.RUNNING, F.FINISHED, F.WAITING]
    check(side.play(*case(rows, **QUALITIES), [1, 1, 1]), [0.0, 0.0, 1.0], fates)


def test_what_runs_over_the_horizon_keeps_its_value(side: Sides) -> None:
    rows = [Row(0, 1001, fails=1), Row(0, 1000, fails=1)]
    played = side.play(*case(rows, refund=True, outages=[(1001, 0, 1)]), [0, 0])
    check(played, [1.0, 0.0], [F.RUNNING, F.FAILED])


# ------------------------------------------------------------ what is seen


def test_every_feature_of_a_vector(side: Sides) -> None:
    """Two edge servers and the cloud, seen by gateway 0 with neighbours 1, 0 and the cloud.

    Scales: demand 5, run time 200 ms, capacity 10, deadline 3 x 100 ms, delay: with p = max(10 + 5
    x hypot(3, 4), 50) = 50 and u = 1000 us: 100 + (20 + 80) x 1 = 200 ms; duration 200 x 2 (cloud).
    """
    world = case(
        [Row(100, 60, 4), *request(130, [20, 150], demand=3, deadline=200, upload=20, download=40)],
        servers=2,
        services=2,
        residency=True,
        memory=[4, 4, 4],
        model_memory=[1, 1],
        weight=1.0,
        energy=[[10, 20], [0, 0], [0, 5]],
        cloud={**CLOUD, "latency_ms": 50.0},
        network={"latency_ms": 10.0, "ms_per_km": 5.0, "bandwidth_mbit": [8.0, 800.0]},
        scales={"upload_kb": [0, 20], "download_kb": [0, 80]},
        neighbours=[[1, 0, 2]],
        propagation=[[5, 15, 50]],
        us_per_kb=[[1000, 500, 250]],
        slowdown=[[1000, 3000], [500, 1000], [2000, 2000]],
        hosted=[[True, True], [False, True], [True, True]],
        baseline=[[[0.5], [1.0]], [[0.25], [0.75]], [[1.5], [2.0]]],
    )
    scenario = world[0].model_copy(
        update={"gateways": world[0].gateways.model_copy(update={"area_km": (3.0, 4.0)})}
    )
    # Row 0: server 1, model 1: input 5 ms, 60 ms: ends at 165. Row 1: server 0, model 0: input 15 +
    # 10, run 20: ends at 175. At 175 row 2 is shown.
    played = side.play(scenario, world[1], [1, 2, 3])
    task = [3 / 5, 150 / 200, 155 / 300, 0.0]
    servers = [
        # There from server 0: 15 + 10 through the gateway, and on; back 40 kB.
        [1.0, 1.0, 1.0, min(1, (25 + 5 + 20 + 5 + 40) / 200), 0.0],
        [1.0, 1.0, 1.0, (0 + 15 + 20) / 200, 1.0],
        [1.0, 1.0, 1.0, (25 + 50 + 5 + 50 + 10) / 200, 0.0],
    ]
    services = [
        [0.0, 0.0, 0.0, 0.0],
        [0.375, 150 / 400, 1.0, 0.0],
        [0.25, 150 / 400, 1.0, 3 * 0.01],
        [0.5, 1.0, 0.0, 3 * 0.02],
        [0.75, 300 / 400, 1.0, 3 * 0.125],
        [1.0, 300 / 400, 1.0, 3 * (0.125 + 0.005)],
    ]
    np.testing.assert_allclose(
        played.seen[2], np.concatenate([task, *servers, *services]), rtol=1e-6
    )
    first = played.seen[0]
    assert first[:4].tolist() == pytest.approx([4 / 5, 60 / 200, 0.0, 0.0])
    second = played.seen[1]
    assert second[:4].tolist() == pytest.approx([3 / 5, 20 / 200, 200 / 300, 1 / 2])
    assert server_part(second, 0) == pytest.approx([1.0, 0.6, 1.0, 25 / 200, 0.0])
    last = played.seen[3]
    assert not last[:4].any()
    assert server_part(last, 2) == [1.0, 1.0, 1.0, 0.0, 0.0]
    warm = last[19:].reshape(6, 4)
    assert warm[:, 2].tolist() == [0, 1, 1, 1, 1, 1]  # row 2 went to server 0, model 1
    assert not warm[:, [0, 1, 3]].any()


def test_a_deadline_that_is_past_is_zero(side: Sides) -> None:
    rows = request(0, [100, 10], deadline=50)
    played = side.play(*case(rows), [0, 0])
    assert [seen[2] for seen in played.seen] == [np.float32(50 / 300), 0.0, 0.0]


def test_a_server_that_is_down_is_shown_so(side: Sides) -> None:
    played = side.play(*case([Row(5, 5), Row(10, 5)], outages=[(0, 0, 10)]), [0, 0])
    assert server_part(played.seen[0], 0)[1:3] == [0.0, 0.0]
    assert server_part(played.seen[1], 0)[1:3] == [1.0, 1.0]


def test_telemetry_shows_others_as_of_the_last_tick(side: Sides) -> None:
    """Ticks every 100 ms. Own server: the present. Server 1: as of 0, 0, 100, 100, 300."""
    arrivals = (0, 50, 100, 100, 350)
    rows = [Row(t, 200, 2) for t in arrivals]
    played = side.play(*case(rows, servers=2, period=100), [1, 0, 1, 1, 0])
    others = [server_part(seen, 1)[1] for seen in played.seen[:5]]
    # At 100 row 0 runs, the decisions at 100 are not in it; at 300 rows 2 and 3 have just left.
    assert others == pytest.approx([1.0, 1.0, 0.8, 0.8, 1.0])
    own = [server_part(seen, 0)[1] for seen in played.seen[:5]]
    assert own == pytest.approx([1.0, 1.0, 0.8, 0.8, 1.0])


def test_telemetry_of_failures_and_models(side: Sides) -> None:
    """Server 1 fails at 100 (a tick, and in its report) and is up at 150, unknown until 200."""
    arrivals = (0, 99, 100, 160, 200)
    rows = [Row(t, 500, load_time=5) for t in arrivals]
    more: dict[str, Any] = {"residency": True, "memory": [1, 1], "model_memory": [1]}
    world = case(rows, servers=2, period=50 * 2, outages=[(100, 1, 50)], **more)
    played = side.play(*world, [1, 0, 0, 0, 0])
    assert [server_part(seen, 1)[2] for seen in played.seen[:5]] == [1, 1, 0, 0, 1]
    # Warm at 0 on its server: after the decision at 0, so the report of 0 does not have it.
    assert [seen[14 + 4 + 2] for seen in played.seen[:5]] == [0, 0, 0, 0, 0]
    assert [seen[14 + 2] for seen in played.seen[:5]] == [0, 0, 1, 1, 1]


# ------------------------------------------------------------ slots


def test_a_slot_is_played_in_order_of_readiness_and_gateway(side: Sides) -> None:
    """Slots of 100. Rows wait since 10 (gateway 1) and 20 (gateway 0): 1 goes first and fits."""
    rows = [Row(10, 50, 6, gateway=1), Row(20, 50, 6, gateway=0)]
    played = side.game(*case(rows, gateways=2, slot=100), [[0, 0]])
    check(played, [[-4.0, 1.0]], [F.CRASHED, F.REFUSED], [100, 100])


def test_a_stage_waits_for_its_slot_behind_earlier_ones(side: Sides) -> None:
    """Row 0 runs 100..150; row 1 is ready at 150, row 2 since 140: row 2 at 200, row 1 at 300."""
    rows = [*request(100, [50, 30]), Row(140, 10)]
    played = side.game(*case(rows, slot=100), [[0], [0], [0]])
    check(played, [[0.0], [1.0], [1.0]], [F.FINISHED] * 3, [150, 330, 210])


def test_slots_without_a_waiting_task_are_passed_over(side: Sides) -> None:
    """At 0 a stage of 350 ms: its follower is decided on at 400, and then all is said."""
    played = side.game(*case(request(0, [350, 30]), slot=100), [[0], [0]])
    check(played, [[0.0], [1.0]], ends=[350, 430])


def test_a_stage_whose_slot_is_at_the_horizon_is_not_decided_on(side: Sides) -> None:
    played = side.game(*case(request(0, [901, 30]), slot=100), [[0]])
    check(played, [[0.0]], [F.FINISHED, F.WAITING])


def test_each_gateway_pays_refunds_of_its_own_tasks(side: Sides) -> None:
    """Gateway 1's task at 100 crashes the server with gateway 0's on it, sent at 0."""
    rows = [Row(0, 400, 6, gateway=0), Row(100, 50, 6, gateway=1)]
    for slot in (0, 100):
        world = case(rows, gateways=2, slot=slot, refund=True)
        played = side.game(*world, [[0, NOTHING], [NOTHING, 0]])
        check(played, [[1.0, 0.0], [-1.0, -(2 + 2 * 0.75)]])


@pytest.mark.parametrize(("slot", "hold"), [(0, False), (100, False), (100, True)])
def test_doing_nothing_where_one_must_act_drops_the_task(
    side: Sides, slot: int, hold: bool
) -> None:
    choices = [[NOTHING]] * (9 if hold else 1)  # held at 0, 100, .. 900
    played = side.game(*case([Row(0, 5)], slot=slot, hold=hold), [*choices, *[[NOTHING]] * hold])
    if hold:
        check(played, [[0.0]] * 10, [F.WAITING])
    else:
        check(played, [[-2.0]], [F.DROPPED])
    assert played.illegal == (not hold)


def test_nobody_sees_the_others_choice_of_the_same_slot(side: Sides) -> None:
    """Both see an empty server at 100; at 200 both tasks run on it."""
    rows = [Row(100, 500, 4, gateway=g) for g in (0, 1)] + [Row(200, 5, 1, gateway=0)]
    played = side.game(*case(rows, gateways=2, slot=100), [[0, 0], [0, NOTHING]])
    free = [[server_part(view, 0)[1] for view in seen] for seen in played.seen[:2]]
    assert free[0] == [1.0, 1.0]
    assert free[1] == pytest.approx([0.2, 0.2])
