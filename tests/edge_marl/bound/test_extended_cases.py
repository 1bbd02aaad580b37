"""The bound of the extended model in small cases, and what it refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from edge_marl.bound import (
    anchor_pairs,
    has_bound,
    upper_bound,
)
from edge_marl.errors import ScenarioError, WorkloadError
from edge_marl.kernel.world import GOING_ON
from edge_marl.scenario import Scenario
from edge_marl.simulator import Simulator
from edge_marl.workload import Workload
from edge_marl.workload.topology import Topology

if TYPE_CHECKING:
    from pathlib import Path

from tests.edge_marl.bound.tiny_games import PARTS, Tiny


def one_server(
    requests: list[list[tuple[int, int]]],
    *,
    deadline: int = 0,
    outages: list[tuple[int, int, int]] | None = None,
    fails: bool = False,
    **overload: Any,
) -> tuple[Scenario, Workload]:
    """Requests of stages (arrival, run time) that need all of the only server; each is worth 1.

    A later stage's arrival does not count. The horizon is at 100 ms.
    """
    facts: dict[str, Any] = {
        "name": "one-server",
        "version": 1,
        "summary": "made by a test",
        "servers": {
            "law": "given",
            "capacity": [1],
            "baseline": [[[1.0]]],
            "curve": [[(0.0, 0.0, 1.0, 0.0)]],
        },
        "tasks": {
            "types": 1,
            "demand": [1],
            "run_time_minutes": (0, 1, 0),
            "stages": [1.0] * max(map(len, requests)),
            "deadline_s": [1.0],
        },
        "arrivals": {"rate_per_s": 1.0, "horizon_s": 0.1},
        "overload": {"penalty": 2.0, "loss_sum": "in-order", "refund": True} | overload,
        "episode": {"end": "horizon"},
    }
    rows, details = [], []
    for stages in requests:
        for stage, (_, run_time) in enumerate(stages):
            rows.append((stages[0][0], run_time, 1, 0, 0))
            details.append((stage, len(stages) - 1 - stage, deadline, 0, 0, 0, fails))
    topology = Topology(np.array([1]), np.ones((1, 1, 1)), np.array([[[0.0, 0.0, 1.0, 0.0]]]))
    workload = Workload(
        topology, np.array(rows), np.array(details), np.array(outages) if outages else None
    )
    return Scenario.model_validate(facts), workload


def bound_of(*args: Any, **kwargs: Any) -> float:
    """The bound of requests on one server."""
    return upper_bound(*one_server(*args, **kwargs)).value


def test_reservations_meet_on_a_full_server() -> None:
    assert bound_of([[(0, 10)], [(10, 10)], [(20, 10)]]) == pytest.approx(3, abs=1e-5)
    assert bound_of([[(0, 10)], [(0, 10)], [(0, 10)]]) < 1.01
    assert bound_of([[(0, 20)], [(10, 20)], [(20, 20)]]) == pytest.approx(2, abs=0.02)


def test_value_falls_past_the_deadline() -> None:
    assert bound_of([[(0, 15)]], deadline=10) == pytest.approx(0.5, abs=1e-5)
    assert bound_of([[(0, 20)]], deadline=10) < 1e-5


def test_server_failures_are_known() -> None:
    during, at_end, before = [(5, 0, 0)], [(10, 0, 5)], [(0, 0, 1)]
    assert bound_of([[(0, 10)]], outages=during) < 1e-5
    assert bound_of([[(0, 10)]], outages=at_end) == pytest.approx(1, abs=1e-5)
    assert bound_of([[(0, 10)]], outages=before) < 1e-5
    assert bound_of([[(1, 10)]], outages=before) == pytest.approx(1, abs=1e-5)


def test_what_fails_after_the_end_counts() -> None:
    assert bound_of([[(0, 99)]], fails=True) < 1e-5
    assert bound_of([[(0, 101)]], fails=True) == pytest.approx(1, abs=1e-5)


def test_later_stages_hold_capacity() -> None:
    """Two requests of 30 + 60 ms cannot both be done by their deadline, or the horizon."""
    two = [[(0, 30), (0, 60)], [(0, 30), (0, 60)]]
    assert bound_of([two[0]]) == pytest.approx(1, abs=1e-5)
    assert bound_of(two, deadline=100) < 1.3


def test_stage_after_the_horizon_is_never_sent() -> None:
    assert bound_of([[(0, 99), (0, 5)]]) == pytest.approx(1, abs=1e-5)
    assert bound_of([[(0, 100), (0, 5)]]) < 1e-5


# ---------------------------------------------------------------- the result


def test_bound_is_a_function_of_the_workload() -> None:
    scenario, workload = Tiny(3, frozenset(PARTS)).instance()
    first, second = (upper_bound(scenario, workload) for _ in range(2))
    assert first.value == second.value
    assert (first.prices == second.prices).all()


def test_prices_are_per_step_and_ms_between_edges() -> None:
    scenario, workload = one_server([[(0, 20)], [(0, 20)]])
    bound = upper_bound(scenario, workload)
    assert bound.edges is not None
    blocks = len(bound.edges) - 1
    assert bound.prices.shape == (blocks, 1)
    assert bound.edges[0] == 0
    assert bound.edges[-1] > 100
    assert (np.diff(bound.edges) > 0).all()
    assert bound.prices.min() >= 0
    assert not bound.prices.flags.writeable
    assert not bound.edges.flags.writeable
    # The price of the place that both want is what either is worth.
    held = (bound.prices[:, 0] * np.diff(bound.edges))[bound.edges[1:] <= 20].sum()
    assert held == pytest.approx(1, abs=0.05)


def test_no_bound_without_refund() -> None:
    scenario, workload = one_server([[(0, 10)]], refund=False, restart_s=1.0)
    assert not has_bound(scenario)
    with pytest.raises(ScenarioError, match=r"no bound for scenario 'one-server'.*refund = true"):
        upper_bound(scenario, workload)


def test_scenarios_that_have_a_bound() -> None:
    base = one_server([[(0, 10)]], refund=False)[0]
    tasks = base.tasks.model_copy(update={"deadline_s": ()})
    assert has_bound(base.model_copy(update={"tasks": tasks}))
    assert has_bound(one_server([[(0, 10)]])[0])


def test_numbers_too_large_to_certify_are_refused() -> None:
    scenario, workload = one_server([[(0, 10)]])
    topology = Topology(np.array([1]), np.full((1, 1, 1), 1e8), np.array([[[0.0, 0.0, 1.0, 0.0]]]))
    with pytest.raises(WorkloadError, match="products below"):
        upper_bound(scenario, Workload(topology, workload.tasks, workload.details))


# ---------------------------------------------------------------- anchors


def test_random_end_takes_legal_actions_only() -> None:
    """The only legal action of each gateway, in workflows that end at different times."""
    tiny = Tiny(0, frozenset({"hosting", "stages", "fails"}))
    tiny.services = 2
    scenario, workload = tiny.instance()
    hosted = np.zeros((2, 2), dtype=np.bool_)
    hosted[1, 0] = True
    servers = workload.topology.arrays() | {"hosted": hosted}
    legal = Workload(Topology(**servers), workload.tasks, workload.details)
    simulator, total = Simulator(scenario), 0.0
    simulator.load(0, legal)
    while simulator.done[0] == GOING_ON:
        total += simulator.step_row(0, 2)
    assert anchor_pairs.random_return(scenario, legal) == pytest.approx(total, abs=1e-6)


def test_random_end_does_not_depend_on_how_many_are_played_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scenario, workload = Tiny(1, frozenset({"neighbours", "hosting", "stages"})).instance()
    together = anchor_pairs.random_return(scenario, workload)
    monkeypatch.setattr(anchor_pairs, "MOST_SERVERS", 10)
    assert anchor_pairs.random_return(scenario, workload) == together


def test_cache_tells_extended_scenarios_apart(tmp_path: Path) -> None:
    scenario, workload = one_server([[(0, 10)], [(0, 10)]])
    longer = scenario.overload.model_copy(update={"restart_s": 50.0})
    other = scenario.model_copy(update={"overload": longer})
    ends = [anchor_pairs.anchors(each, [workload], tmp_path) for each in (scenario, other)]
    assert len(list(tmp_path.rglob("*.json"))) == 2
    assert (ends[0].bound >= ends[0].random).all()
