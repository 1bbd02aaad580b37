"""No action sequence beats the bound; it is tight where it matters; anchors are kept and shipped.

Returns are enumerated by a search of its own over servers, written from the rules and not from the
kernel, and on some instances by the simulator over all actions as well.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from edge_marl.bound import base, upper_bound
from edge_marl.draw import draw_workload
from edge_marl.errors import WorkloadError
from edge_marl.kernel.world import ARRIVAL, DEMAND, RUN_TIME, TYPE
from edge_marl.scenario import Scenario, load_scenario
from edge_marl.simulator import Simulator
from edge_marl.simulator.utility import task_utilities
from edge_marl.workload import Workload
from edge_marl.workload.topology import Topology
from tests.oracle.published_draw import PAPER, published_workload
from tests.oracle.reference_sim import ReferenceSimulator

TIERS = ("agod", "paper", "smoke")


# ---------------------------------------------------------------- instances


def make_instance(
    capacity: list[int],
    utility: list[list[list[float]]],
    tasks: list[tuple[int, int, int, int]],
    *,
    penalty: float = 2.0,
    end: str = "horizon",
) -> tuple[Scenario, Workload]:
    """A world whose services pay utility[server][service][type], whatever the demand.

    Tasks are (arrival, run time, demand, type), times in ms.
    """
    flat = [[(0.0, 0.0, 1.0, 0.0)] * len(services) for services in utility]
    facts: dict[str, Any] = {
        "name": "tiny",
        "version": 1,
        "summary": "made by a test",
        "servers": {"law": "given", "capacity": capacity, "baseline": utility, "curve": flat},
        "tasks": {"types": len(utility[0][0]), "demand": [1], "run_time_minutes": (0, 1, 0)},
        "arrivals": {"rate_per_s": 1.0, "horizon_s": 1000.0},
        "overload": {"penalty": penalty, "loss_sum": "in-order"},
        "episode": {"end": end},
    }
    scenario = Scenario.model_validate(facts)
    rows = np.array([(*task, 0) for task in tasks], dtype=np.int64)
    topology = Topology(np.array(capacity), np.array(utility), np.array(flat))
    return scenario, Workload(topology=topology, tasks=rows)


def deliberate_crash(end: str = "horizon") -> tuple[Scenario, Workload]:
    """Four long tasks fill server 0; just before they end, three short ones come that need it all.

    Server 1 has room for everything and pays nothing, so no crash is ever forced. Crashing server 0
    under the long tasks costs the fixed 2, little progress and one short task, and wins two.
    """
    tasks = [(0, 1000, 1, 0)] * 4 + [(994, 2, 4, 0), (996, 2, 4, 0), (998, 2, 4, 0)]
    if end == "last-task":
        tasks.append((999, 1, 1, 0))
    return make_instance([4, 100], [[[1.85]], [[0.0]]], tasks, end=end)


@st.composite
def tiny_instances(draw: st.DrawFn) -> tuple[Scenario, Workload]:
    """1..3 servers and up to 7 decisions on coarse grids: ties, exact fits, same-time arrivals."""
    servers = draw(st.integers(1, 3))
    services, types = draw(st.integers(1, 2)), draw(st.integers(1, 2))
    decisions = draw(st.integers(1, {1: 7, 2: 7, 3: 6}[servers]))
    pays = st.sampled_from([0.0, 0.3, 1.0, 1.85, 3.0, -0.5])
    kinds = st.lists(pays, min_size=types, max_size=types)
    rows = st.lists(kinds, min_size=services, max_size=services)
    end = draw(st.sampled_from(["last-task", "horizon"]))
    gaps = st.sampled_from([0, 0, 1, 2, 5])
    rest = (st.sampled_from([1, 2, 3, 8, 20]), st.integers(1, 4), st.integers(0, types - 1))
    count = decisions + (end == "last-task")
    tasks = draw(st.lists(st.tuples(gaps, *rest), min_size=count, max_size=count))
    arrivals = np.cumsum([task[0] for task in tasks]).tolist()
    return make_instance(
        draw(st.lists(st.integers(1, 5), min_size=servers, max_size=servers)),
        draw(st.lists(rows, min_size=servers, max_size=servers)),
        [(at, *task[1:]) for at, task in zip(arrivals, tasks, strict=True)],
        penalty=draw(st.sampled_from([2.0, 2.0, 0.5, 0.0])),
        end=end,
    )


# ---------------------------------------------------------------- three ways to what is best


def best_return(scenario: Scenario, workload: Workload, *, may_crash: bool = True) -> float:
    """Highest return of any sequence of servers, by search (-inf where each one crashes)."""
    penalty = scenario.overload.penalty
    tasks = workload.tasks[: workload.num_decisions(scenario)].tolist()
    table = task_utilities(
        workload.topology, [task[TYPE] for task in tasks], [task[DEMAND] for task in tasks]
    )
    pays = table.reshape(len(tasks), scenario.num_servers, -1).max(axis=2).tolist()
    capacity = workload.topology.capacity.tolist()

    def search(k: int, running: tuple[tuple[int, ...], ...]) -> float:
        if k == len(tasks):
            return 0.0
        now = tasks[k][ARRIVAL]
        running = tuple(
            tuple(q for q in server if now < tasks[q][ARRIVAL] + tasks[q][RUN_TIME])
            for server in running
        )
        best = -math.inf
        for j, server in enumerate(running):
            if sum(tasks[q][DEMAND] for q in server) + tasks[k][DEMAND] <= capacity[j]:
                reward, then = pays[k][j], (*server, k)
            elif may_crash:
                losses = [1 - (now - tasks[q][ARRIVAL]) / tasks[q][RUN_TIME] for q in server]
                reward, then = -penalty - penalty * sum(losses), ()
            else:
                continue
            best = max(best, reward + search(k + 1, (*running[:j], then, *running[j + 1 :])))
        return best

    return search(0, ((),) * scenario.num_servers)


def best_simulated(scenario: Scenario, workload: Workload) -> float:
    """Highest return of any sequence of actions, played by the simulator in one batch."""
    decisions = workload.num_decisions(scenario)
    actions = np.array(list(itertools.product(range(scenario.num_actions), repeat=decisions)))
    simulator = Simulator(scenario, num_envs=len(actions))
    for row in range(len(actions)):
        simulator.load(row, workload)
    rewards = np.zeros((decisions, len(actions)))
    for k in range(decisions):
        simulator.step(np.ascontiguousarray(actions[:, k]), rewards[k])
    return float(rewards.sum(axis=0).max())


def linear_program(scenario: Scenario, workload: Workload) -> float:
    """Most utility of a fractional assignment within capacity, tasks refused at no cost."""
    tasks = workload.tasks[: workload.num_decisions(scenario)]
    table = task_utilities(workload.topology, tasks[:, TYPE], tasks[:, DEMAND])
    servers = scenario.num_servers
    pays = table.reshape(len(tasks), servers, -1).max(axis=2)
    now = tasks[:, ARRIVAL, None]  # [k, q]: q runs after decision k if nothing crashes
    runs = (now < tasks[:, ARRIVAL] + tasks[:, RUN_TIME]) & np.tri(len(tasks), dtype=bool)
    loads = np.kron(runs * tasks[:, DEMAND], np.eye(servers))
    once = np.kron(np.eye(len(tasks)), np.ones(servers))
    limits = np.concatenate([np.tile(workload.topology.capacity, len(tasks)), np.ones(len(tasks))])
    solved = linprog(-pays.ravel(), A_ub=np.vstack([loads, once]), b_ub=limits)
    return float(-solved.fun)


def prophet_return(scenario: Scenario, workload: Workload) -> float:
    """Return of taking the best service among the servers with room (server 0 where none has)."""
    simulator = ReferenceSimulator(scenario, workload)
    rewards = []
    while not (simulator.terminated or simulator.truncated):
        task = simulator.current_task
        assert task is not None
        best, choice = 0.0, 0
        for j, server in enumerate(simulator.servers):
            if task.demand <= server.available:
                for v, service in enumerate(server.services):
                    if (utility := service.utility(task, task.demand)) > best:
                        best, choice = utility, j * len(server.services) + v
        rewards.append(simulator.dispatch(choice))
    return math.fsum(rewards)


# ---------------------------------------------------------------- validity


@settings(max_examples=500, deadline=None)
@given(tiny_instances())
def test_no_action_sequence_beats_the_bound(instance: tuple[Scenario, Workload]) -> None:
    assert best_return(*instance) <= upper_bound(*instance).value


@pytest.mark.parametrize("end", ["horizon", "last-task"])
def test_deliberate_crash_beats_the_linear_program_and_not_the_bound(end: str) -> None:
    scenario, workload = deliberate_crash(end)
    best = best_return(scenario, workload)
    assert best == pytest.approx(4 * 1.85 - 2 - 4 * 2 * 0.006 + 2 * 1.85)
    assert best == pytest.approx(best_simulated(scenario, workload), abs=1e-12)
    assert best > best_return(scenario, workload, may_crash=False) + 1.6
    assert best > linear_program(scenario, workload) + 1.6
    assert best <= upper_bound(scenario, workload).value


def test_search_and_simulator_agree() -> None:
    """All actions, the worse services too; same-time arrivals, an exact fit, a finish at a tie."""
    tasks = [(0, 5, 2, 0), (0, 5, 1, 1), (0, 3, 2, 0), (3, 4, 3, 1), (5, 2, 3, 0), (5, 1, 1, 0)]
    utility = [[[0.4, 1.0], [0.9, 0.2]], [[1.2, 0.1], [0.0, 0.8]]]
    for end in ("horizon", "last-task"):
        for penalty in (2.0, 0.25):
            instance = make_instance([3, 2], utility, tasks, penalty=penalty, end=end)
            best = best_return(*instance)
            assert best == pytest.approx(best_simulated(*instance), abs=1e-12)
            assert best <= upper_bound(*instance).value


def test_same_time_arrivals_share_capacity_one_by_one() -> None:
    """Three at once where one fits: the bound may not count two, and must count the crash."""
    scenario, workload = make_instance([1], [[[1.0]]], [(0, 9, 1, 0)] * 3)
    # Taken, crashed with no progress, taken again.
    assert best_return(scenario, workload) == pytest.approx(1 - 4 + 1)
    value = upper_bound(scenario, workload).value
    assert -2 <= value < 1


def test_finish_at_an_arrival_frees_the_server() -> None:
    scenario, workload = make_instance([1], [[[1.0]]], [(0, 5, 1, 0), (5, 5, 1, 0), (10, 1, 1, 0)])
    assert upper_bound(scenario, workload).value == pytest.approx(3, abs=1e-5)
    late = make_instance([1], [[[1.0]]], [(0, 6, 1, 0), (5, 5, 1, 0), (10, 1, 1, 0)])
    assert best_return(*late) <= upper_bound(*late).value < 2.1


def test_last_task_is_not_counted_where_it_is_never_assigned() -> None:
    tasks = [(0, 5, 1, 0), (9, 5, 1, 0)]
    assert upper_bound(*make_instance([1], [[[1.0]]], tasks)).value == pytest.approx(2, abs=1e-5)
    last = make_instance([1], [[[1.0]]], tasks, end="last-task")
    assert upper_bound(*last).value == pytest.approx(1, abs=1e-5)


def test_task_larger_than_every_server_can_only_crash() -> None:
    instance = make_instance([1, 2], [[[1.0]], [[1.0]]], [(0, 5, 3, 0)])
    assert upper_bound(*instance).value == pytest.approx(-2, abs=1e-5)


def test_any_prices_give_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """The certificate does not trust its prices: wild ones bound what is best, too."""
    rng = np.random.Generator(np.random.PCG64(0))

    def wild(_: object, utility: npt.NDArray[np.float64], *__: object) -> list[Any]:
        return [rng.exponential(scale, utility.shape) for scale in (0.01, 0.3)]

    monkeypatch.setattr(base, "_candidates", wild)
    for end in ("horizon", "last-task"):
        scenario, workload = deliberate_crash(end)
        best = best_return(scenario, workload)
        assert all(best <= upper_bound(scenario, workload).value for _ in range(50))


def test_numbers_too_large_to_certify_are_refused() -> None:
    with pytest.raises(WorkloadError, match="penalties below 64"):
        upper_bound(*make_instance([1], [[[1.0]]], [(0, 5, 1, 0)], penalty=64.0))
    with pytest.raises(WorkloadError, match="products below"):
        upper_bound(*make_instance([10**9], [[[1.0]]], [(0, 5, 1, 0)] * 7))


# ---------------------------------------------------------------- tightness

# Workload seed: the linear program's value, and the bound with crashes that the reference gives.
REFERENCE = {5000: (2050.2087, 2073.00), 5001: (2088.9575, 2103.99), 5002: (2115.4019, 2142.26)}


@pytest.mark.parametrize("seed", REFERENCE)
def test_at_least_as_tight_as_the_reference_report(seed: int) -> None:
    scenario, workload = load_scenario("paper"), published_workload(PAPER, 0, seed)
    program, with_crashes = REFERENCE[seed]
    value = upper_bound(scenario, workload).value
    assert value < with_crashes
    assert value == pytest.approx(program, rel=1e-3)


@pytest.mark.parametrize(("tier", "low", "high"), [("paper", 0.90, 0.97), ("agod", 0.85, 0.97)])
def test_prophet_is_near_the_bound_and_below_it(tier: str, low: float, high: float) -> None:
    scenario = load_scenario(tier)
    for seed in range(2):
        workload = draw_workload(scenario, seed, split="validation")
        share = prophet_return(scenario, workload) / upper_bound(scenario, workload).value
        assert low < share < high


def test_bound_is_a_function_of_the_workload() -> None:
    scenario = load_scenario("smoke")
    first, second = (
        upper_bound(scenario, draw_workload(scenario, 3, split="test")) for _ in range(2)
    )
    assert first.value == second.value
    assert (first.prices == second.prices).all()
    assert first.prices.min() >= 0
    assert not first.prices.flags.writeable
