"""The bound of extended scenarios: no action sequence beats it, and it is not silly.

What is best is found by playing all action sequences of tiny episodes in the simulator.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from edge_marl.bound import (
    extended_choices,
    extended_facts,
    extended_prices,
    upper_bound,
)
from edge_marl.kernel.world import GOING_ON
from edge_marl.scenario import Scenario
from edge_marl.simulator import Simulator
from edge_marl.workload import Workload
from edge_marl.workload.topology import Topology

PARTS = (
    "cloud",
    "deadline",
    "energy",
    "fails",
    "hosting",
    "last-task",
    "neighbours",
    "network",
    "outages",
    "residency",
    "restart",
    "speeds",
    "stages",
    "telemetry",
)
"""Every part that the bound has to do with; refund is always on."""

MOST_SEQUENCES = 300


# ---------------------------------------------------------------- instances


class Tiny:
    """Draws a tiny episode with parts on: coarse times, so that all kinds of ties happen."""

    def __init__(self, seed: int, parts: frozenset[str]) -> None:
        self.rng = np.random.Generator(np.random.PCG64(seed))
        self.parts = parts - {"last-task"} if "stages" in parts else parts
        self.services = self.pick([1, 1, 2])
        self.edge = self.pick([1, 2, 2]) if "cloud" in parts else 2
        self.servers = self.edge + ("cloud" in parts)
        self.gateways = self.pick([1, 2]) if "neighbours" in parts else 1
        self.links = self.pick([1, 2, self.servers]) if "neighbours" in parts else self.servers
        if self.links == 1 and "cloud" in parts:
            self.links = 2
        self.links = min(self.links, self.servers)
        self.tick = self.pick([1, 1000])
        self.horizon = self.pick([8, 15, 40])

    def pick(self, values: list[Any]) -> Any:
        """One of the values."""
        return values[int(self.rng.integers(len(values)))]

    def some(self, values: list[Any], shape: Any) -> npt.NDArray[Any]:
        """Values in an array of a shape."""
        picked: npt.NDArray[Any] = np.array(values)[self.rng.integers(len(values), size=shape)]
        return picked

    def instance(self) -> tuple[Scenario, Workload]:
        """Return the scenario and the workload."""
        rows, details = self.requests()
        workload = Workload(
            self.topology(),
            np.array(rows, dtype=np.int64),
            np.array(details, dtype=np.int64),
            self.outages() if "outages" in self.parts else None,
        )
        return self.scenario(), workload

    def scenario(self) -> Scenario:
        """Return the scenario."""
        parts, second = self.parts, self.tick / 1000
        device = {"name": "device", "capacity": [1, 2, 3, 4, 5, 6]}
        models = [{"name": f"model {v}"} for v in range(self.services)]
        facts: dict[str, Any] = {
            "name": "tiny",
            "version": 1,
            "summary": "made by a test",
            "servers": {
                "law": "devices",
                "count": self.edge,
                "devices": [device],
                "models": models,
            },
            "tasks": {
                "types": 1,
                "demand": [1, 2, 3],
                "run_time_minutes": (0, 1, 0),
                "stages": [1.0] * (3 if "stages" in parts else 1),
                "fail_share": 0.1 * ("fails" in parts),
            },
            "arrivals": {"rate_per_s": 0.1, "horizon_s": self.horizon * second},
            "gateways": {
                "count": self.gateways,
                "neighbourhood": self.links if "neighbours" in parts else 0,
            },
            "overload": {
                "penalty": self.pick([2.0, 0.5, 0.0]),
                "loss_sum": "in-order",
                "refund": True,
                "restart_s": self.pick([1, 5]) * second if "restart" in parts else 0.0,
            },
            "episode": {"end": "last-task" if "last-task" in parts else "horizon"},
        }
        if "network" in parts:
            facts["network"] = {"latency_ms": 1.0, "bandwidth_mbit": (8.0, 8.0)}
        if "residency" in parts:
            facts["residency"] = {"load": [{"share": 1.0, "median_s": 1.0, "sd_log": 0.0}]}
        if "cloud" in parts:
            facts["cloud"] = {"price_per_step": self.pick([0.0, 0.1, 0.5])}
        if "outages" in parts:
            facts["outages"] = {"every_s": 100.0, "repair_s": 1.0}
        if "telemetry" in parts:
            facts["telemetry"] = {"period_s": 2 * second}
        if "energy" in parts:
            facts["energy"] = {"weight": self.pick([0.001, 0.1])}
        return Scenario.model_validate(facts)

    def topology(self) -> Topology:
        """Return the servers."""
        s, v, parts = self.servers, self.services, self.parts
        curve = np.zeros((s, v, 4))
        curve[..., 2:] = 4.0, 0.5
        curve[..., 3] = self.some([0.0, 0.5], (s, v))
        arrays: dict[str, Any] = {
            "capacity": self.some([1, 2, 3, 4, 6], s),
            "baseline": self.some([0.0, 0.3, 1.0, 1.85, 3.0, -0.5], (s, v, 1)),
            "curve": curve,
        }
        if "speeds" in parts:
            arrays["slowdown"] = self.some([1000, 500, 2000, 1500, 333], (s, v))
        if "hosting" in parts:
            arrays["hosted"] = self.some([True, True, False], (s, v))
        if "energy" in parts:
            arrays["energy"] = self.some([0, 1000, 5000], (s, v))
        if "residency" in parts:
            arrays["memory"] = self.some([1, 2, 3], s)
            arrays["model_memory"] = self.some([0, 1, 2, 3], v)
        if parts & {"cloud", "neighbours", "network"}:
            shape = (self.gateways, self.links)
            near = [self.rng.permutation(self.edge) for _ in range(self.gateways)]
            clouds = [[self.edge] if "cloud" in parts else []] * self.gateways
            arrays["neighbours"] = [
                [*order[: self.links - len(far)], *far]
                for order, far in zip(near, clouds, strict=True)
            ]
            if "network" in parts:
                arrays["propagation"] = self.some([0, 0, 1, 3], shape) * self.tick
                arrays["us_per_kb"] = self.some([1, 500, 1000], shape)
        return Topology(**arrays)

    def requests(self) -> tuple[list[tuple[int, ...]], list[tuple[int, ...]]]:
        """Return the rows of tasks and details; no more than can be played in all ways."""
        actions = self.links * self.services
        most = 1
        while actions ** (most + 1) <= MOST_SEQUENCES and most < 6:
            most += 1
        rows: list[tuple[int, ...]] = []
        details: list[tuple[int, ...]] = []
        now, last = 0, "last-task" in self.parts
        most += last
        while len(rows) < most:
            now = min(now + self.pick([0, 0, 1, 1, 2, 5]), self.horizon)
            stages = self.pick([1, 2, 3]) if "stages" in self.parts else 1
            if len(rows) + stages > most:
                stages = 1
            gateway = int(self.rng.integers(self.gateways))
            due = self.pick([0, 1, 2, 3, 4, 6, 9]) * self.tick if "deadline" in self.parts else 0
            for stage in range(stages):
                runs = self.pick([1, 2, 3, 4, 8])
                rows.append(
                    (now * self.tick, runs * self.tick, self.pick([1, 1, 2, 3]), 0, gateway)
                )
                details.append((stage, stages - 1 - stage, due, *self.detail()))
            if len(rows) > 1 and self.pick([True, True, True, False]) and not last:
                most -= 1
        return rows, details

    def detail(self) -> tuple[int, ...]:
        """Return load time, upload, download and whether the task fails."""
        return (
            self.pick([0, 1, 3]) * self.tick,
            self.pick([0, 1, 2]) * self.tick,
            self.pick([0, 1]) * self.tick,
            self.pick([0, 0, 1]) if "fails" in self.parts else 0,
        )

    def outages(self) -> npt.NDArray[np.int64]:
        """Return some failures of edge servers."""
        count = self.pick([1, 2, 3])
        times = np.sort(self.rng.integers(0, self.horizon + 1, count))
        where, long = self.rng.integers(0, self.edge, count), self.rng.integers(0, 4, count)
        return np.column_stack([times * self.tick, where, long * self.tick])


def best_return(scenario: Scenario, workload: Workload) -> float:
    """Highest return of all action sequences, played in the simulator."""
    decisions, count = workload.num_decisions(scenario), scenario.num_actions
    sequences = np.array(list(itertools.product(range(count), repeat=decisions)), dtype=np.int64)
    simulator = Simulator(scenario, num_envs=len(sequences))
    for row in range(len(sequences)):
        simulator.load(row, workload)
    total, rewards = np.zeros(len(sequences)), np.zeros(len(sequences))
    for actions in sequences.T:
        simulator.step(np.ascontiguousarray(actions), rewards)
        total += rewards
    assert (simulator.done != GOING_ON).all()
    return float(total.max())


# ---------------------------------------------------------------- validity


def check(seed: int, parts: frozenset[str]) -> None:
    """Hold the bound of a tiny episode against the best of all action sequences."""
    scenario, workload = Tiny(seed, parts).instance()
    best, value = best_return(scenario, workload), upper_bound(scenario, workload).value
    assert best <= value, f"seed {seed}, parts {sorted(parts)}: {best} > {value}"


@pytest.mark.parametrize("part", PARTS)
def test_no_action_sequence_beats_the_bound_with_one_part_on(part: str) -> None:
    for seed in range(10):
        check(seed, frozenset({part}))


@pytest.mark.parametrize("share", [0.25, 0.5])
def test_no_action_sequence_beats_the_bound_with_many_parts_on(share: float) -> None:
    for seed in range(100):
        rng = np.random.Generator(np.random.PCG64(seed))
        check(seed, frozenset(part for part in PARTS if rng.random() < share))


def test_any_prices_give_a_bound() -> None:
    """The certificate does not trust its prices: wild ones bound what is best, too."""
    rng = np.random.Generator(np.random.PCG64(0))
    for seed in range(20):
        parts = frozenset(part for part in PARTS if rng.random() < 0.4)
        scenario, workload = Tiny(seed, parts).instance()
        facts = extended_facts.gather(scenario, workload)
        grid = extended_facts.lay_grid(facts)
        ready, rest = extended_facts.least_times(facts)
        choices = extended_choices.list_choices(facts, grid, ready, rest)
        held = np.zeros((len(facts.room), grid.blocks + 2), dtype=np.int64)
        last, load = extended_choices.up(grid, facts.end - 1), np.zeros(held.shape)
        best = best_return(scenario, workload)
        for scale in (1e-3, 1e-2, 0.1, 1.0):
            wild = rng.exponential(scale * extended_facts.UNIT, (len(facts.room), grid.blocks))
            prices = wild.astype(np.int64)
            total = extended_prices._certificate(facts, choices, ready, prices, last, held, load)
            assert best <= total / extended_facts.UNIT + 1e-9


# ---------------------------------------------------------------- tightness

EXACT_PARTS = ("cloud", "deadline", "neighbours", "network", "speeds", "telemetry")


@pytest.mark.parametrize("seed", range(30))
def test_without_contention_it_is_what_is_best(seed: int) -> None:
    """Single stages, room for all of them, and nothing that fails or costs."""
    rng = np.random.Generator(np.random.PCG64(seed))
    tiny = Tiny(seed, frozenset(part for part in EXACT_PARTS if rng.random() < 0.5))
    scenario, workload = tiny.instance()
    servers = workload.topology.arrays() | {
        "capacity": np.full(tiny.servers, 50),
        "baseline": tiny.some([0.3, 1.0, 1.85], (tiny.servers, tiny.services, 1)),
    }
    roomy = Workload(Topology(**servers), workload.tasks, workload.details)
    best = best_return(scenario, roomy)
    assert best <= upper_bound(scenario, roomy).value <= best + 1e-5
