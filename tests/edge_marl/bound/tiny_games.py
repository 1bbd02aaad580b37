"""Tiny episodes of the extended model, and what is best in them: all that can be played is played.

    python -m tests.edge_marl.bound.tiny_games --games 2000

holds the bound against so many of them, with any parts, the largest that can be played in all ways.
"""

from __future__ import annotations

import itertools
import time
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import typer
from rich.console import Console

from edge_marl.bound import upper_bound
from edge_marl.kernel.world import GOING_ON
from edge_marl.scenario import Scenario
from edge_marl.simulator import Simulator
from edge_marl.simulator.gateways import GatewaySimulator
from edge_marl.workload import Workload
from edge_marl.workload.topology import Topology

PARTS = (
    "classes",
    "cloud",
    "concurrency",
    "deadline",
    "decline",
    "energy",
    "fails",
    "hosting",
    "last-task",
    "levels",
    "neighbours",
    "network",
    "outages",
    "queue",
    "residency",
    "restart",
    "slots",
    "speeds",
    "stages",
    "telemetry",
)
"""Every part that the bound has to do with; refund is always on."""

MOST_SEQUENCES = 300
TERMS = frozenset({"classes", "concurrency", "decline", "levels", "queue", "slots"})


class Tiny:
    """Draws a tiny episode with parts on: coarse times, so that all kinds of ties happen."""

    def __init__(self, seed: int, parts: frozenset[str], most: int = MOST_SEQUENCES) -> None:
        self.most = most
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
        self.levels = [1.0]
        self.slot = 0
        if parts & TERMS:
            self._state_terms()

    def _state_terms(self) -> None:
        """Few places, so that many tasks meet there; few slots."""
        parts = self.parts
        self.services = self.pick([1, 1, 1, 2])
        self.edge = self.pick([1, 1, 2])
        self.servers = self.edge + ("cloud" in parts)
        self.links = self.servers
        if "neighbours" in parts:
            self.links = self.pick(list(range(1 + ("cloud" in parts), self.servers + 1)))
        if "levels" in parts:
            self.levels = self.pick([[0.5, 1.0], [0.5, 1.0], [0.3, 0.7, 1.0]])
        if "slots" in parts:
            self.slot = self.pick([1, 2, 3])
            self.horizon = self.pick([6, 8, 10])
            self.gateways = self.pick([1, 2])

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
            self.weights(details) if "classes" in self.parts else None,
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
        self._add_terms(facts)
        return Scenario.model_validate(facts)

    def _add_terms(self, facts: dict[str, Any]) -> None:
        """Add terms of service, and slots."""
        parts, second = self.parts, self.tick / 1000
        if "classes" in parts:
            facts["tasks"]["classes"] = [{"name": f"{w}", "weight": w} for w in (0.25, 1, 4)]
        if "queue" in parts:
            facts["queue"] = {"limit": self.pick([1, 2, 3])}
        if "concurrency" in parts:
            facts["concurrency"] = {"growth": [self.pick([0.1, 0.5, 1.0])]}
        if "levels" in parts:
            facts["levels"] = {"shares": self.levels}
        if "decline" in parts:
            facts["decline"] = {"price": self.pick([0.0, 0.1])}
        if "slots" in parts:
            facts["clock"] = {"slot_s": self.slot * second, "hold": self.pick([True, False])}

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
        actions = self.links * self.services * len(self.levels) + ("decline" in self.parts)
        most = 1
        while actions ** (most + 1) <= self.most and most < 6:
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

    def weights(self, details: list[tuple[int, ...]]) -> npt.NDArray[np.int64]:
        """Return a weight for each row, the same for those of a request."""
        drawn = self.some([250, 1000, 4000], len(details))
        return np.array([drawn[row - detail[0]] for row, detail in enumerate(details)])

    def outages(self) -> npt.NDArray[np.int64]:
        """Return some failures of edge servers."""
        count = self.pick([1, 2, 3])
        times = np.sort(self.rng.integers(0, self.horizon + 1, count))
        where, long = self.rng.integers(0, self.edge, count), self.rng.integers(0, 4, count)
        return np.column_stack([times * self.tick, where, long * self.tick])


def best_return(scenario: Scenario, workload: Workload) -> float:
    """Highest return of all action sequences on the event clock, played in the simulator."""
    decisions, count = workload.num_decisions(scenario), scenario.num_actions
    sequences = np.array(list(itertools.product(range(count), repeat=decisions)), dtype=np.int64)
    simulator = Simulator(scenario, num_envs=len(sequences), num_threads=1)
    for row in range(len(sequences)):
        simulator.load(row, workload)
    total, rewards = np.zeros(len(sequences)), np.zeros(len(sequences))
    for actions in sequences.T:
        simulator.step(np.ascontiguousarray(actions), rewards)
        total += rewards
    assert (simulator.done != GOING_ON).all()
    return float(total.max())


def best_in_slots(scenario: Scenario, workload: Workload, most: int) -> tuple[float, bool]:
    """Highest return of the game in slots, and whether all ways to play it were tried.

    A row's number says what is done in it: its remainder by the number of joint choices is the
    first choice, what is left is the number for the rest of the game. If there are more games than
    `most`, as many of large random numbers are played too.
    """
    best, ways = _play_numbers(scenario, workload, np.arange(most))
    if ways > most:
        rng = np.random.Generator(np.random.PCG64(0))
        numbers = rng.integers(0, 2**62, most)
        best = max(best, _play_numbers(scenario, workload, numbers)[0])
    return best, ways <= most


def _play_numbers(
    scenario: Scenario, workload: Workload, numbers: npt.NDArray[np.int64]
) -> tuple[float, float]:
    """Return the best of the games that numbers stand for, and how many games there are, about."""
    numbers = numbers.copy()
    simulator = GatewaySimulator(scenario, num_envs=len(numbers), num_threads=1)
    for row in range(len(numbers)):
        simulator.load(row, workload)
    shape = len(numbers), scenario.gateways.count
    options = scenario.num_actions + 1  # to do nothing is one more
    total, ways, rewards = np.zeros(len(numbers)), np.ones(len(numbers)), np.zeros(shape)
    while (simulator.done == GOING_ON).any():
        going_on = simulator.done == GOING_ON
        choices = np.full(shape, simulator.nothing)
        for gateway, waits in enumerate(simulator.waiting.T):
            acts = waits & going_on
            choices[acts, gateway] = numbers[acts] % options
            numbers[acts] //= options
            ways[acts] *= options
        simulator.play(choices, rewards)
        total += np.where(going_on, rewards.sum(axis=1), 0.0)
    return float(total.max()), float(ways.max())


def check(seed: int, parts: frozenset[str], most: int = MOST_SEQUENCES) -> tuple[float, float]:
    """Hold the bound of a tiny episode against the best of all ways to play it; return both."""
    scenario, workload = Tiny(seed, parts, most).instance()
    best, value = best_return(scenario, workload), upper_bound(scenario, workload).value
    if scenario.clock.slot_ms:
        best = max(best, best_in_slots(scenario, workload, most)[0])
    assert best <= value, f"seed {seed}, parts {sorted(parts)}: {best} > {value}"
    return best, value


def parts_of(seed: int, share: float, *given: str) -> frozenset[str]:
    """Parts that are given, and others by chance."""
    rng = np.random.Generator(np.random.PCG64(seed))
    return frozenset(part for part in PARTS if rng.random() < share) | set(given)


def main(
    games: Annotated[int, typer.Option(help="number of games")] = 2000,
    first: Annotated[int, typer.Option(help="seed of the first one")] = 0,
    most: Annotated[int, typer.Option(help="action sequences of a game")] = 4000,
) -> None:
    """Hold the bound against what is best in games with a part of `TERMS` at least."""
    console = Console(markup=False, highlight=False)
    start, wrong, tight = time.monotonic(), 0, 0
    for seed in range(first, first + games):
        parts = parts_of(seed, (0.2, 0.35, 0.6)[seed % 3], sorted(TERMS)[seed % len(TERMS)])
        try:
            best, value = check(seed, parts, most)
            tight += value <= max(best, 0.0) * 1.01 + 1e-5
        except AssertionError as error:
            wrong += 1
            console.print(str(error), soft_wrap=True)
    console.print(f"{games} games: {wrong} beat the bound, {tight} come within 1 % of it")
    console.print(f"{time.monotonic() - start:.0f} s")
    raise typer.Exit(wrong > 0)


if __name__ == "__main__":
    typer.run(main)
