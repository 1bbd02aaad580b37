"""Tiny games in slots, of both models, and what is best in them: all that can be played is played.

    python -m tests.edge_marl.bound.tiny_slots --games 2000

holds the bound against so many of them, half of them of the base model, half of those with `hold`;
in every third gateways sleep.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console

from edge_marl.bound import upper_bound
from edge_marl.scenario import Scenario
from edge_marl.workload import Workload
from edge_marl.workload.topology import Topology
from tests.edge_marl.bound.tiny_games import Tiny, best_in_slots, parts_of

MOST_GAMES = 300


def base_game(seed: int, hold: bool) -> tuple[Scenario, Workload]:
    """A tiny game of the base model: coarse times, crashes that pay, queues at gateways."""
    rng = np.random.Generator(np.random.PCG64(seed))

    def some(values: list[Any], shape: Any = None) -> Any:
        return np.array(values)[rng.integers(len(values), size=shape)]

    servers, services, gateways = (int(some([1, 2])) for _ in range(3))
    gateways += int(some([0, 0, 1]))
    last, slot = bool(some([True, False, False])), int(some([1, 2, 3]))
    horizon, tick = int(some([5, 8, 12])), int(some([1, 1000]))
    actions = servers * services + hold
    most = 1
    while (actions + 1) ** (most + 1) <= MOST_GAMES and most < 6:
        most += 1
    count = int(rng.integers(1, most + 1)) + last
    capacity = some([1, 2, 3, 4, 6], servers)
    baseline = some([0.0, 0.3, 1.0, 1.85, 3.0, -0.5], (servers, services, 1))
    flat = np.tile([0.0, 0.0, 1.0, 0.0], (servers, services, 1))
    facts: dict[str, Any] = {
        "name": "tiny",
        "version": 1,
        "summary": "made by a test",
        "servers": {
            "law": "given",
            "capacity": capacity.tolist(),
            "baseline": baseline.tolist(),
            "curve": flat.tolist(),
        },
        "tasks": {"types": 1, "demand": [1, 2, 3], "run_time_minutes": (0, 1, 0)},
        "arrivals": {"rate_per_s": 0.1, "horizon_s": horizon * tick / 1000},
        "gateways": {"count": gateways},
        "overload": {"penalty": float(some([2.0, 0.5, 0.1, 0.0])), "loss_sum": "in-order"},
        "episode": {"end": "last-task" if last else "horizon"},
        "clock": {"slot_s": slot * tick / 1000, "hold": hold},
    }
    arrival = np.sort(some([0, 0, 0, 1, 2, 3, 5], count)).clip(max=horizon)
    tasks = np.column_stack(
        [
            arrival * tick,
            some([1, 2, 3, 4, 8], count) * tick,
            some([1, 1, 2, 3], count),
            np.zeros(count, dtype=np.int64),
            rng.integers(0, gateways, count),
        ]
    )
    return Scenario.model_validate(facts), Workload(Topology(capacity, baseline, flat), tasks)


def extended_game(seed: int, hold: bool) -> tuple[Scenario, Workload]:
    """A tiny game of the extended model, with any parts."""
    scenario, workload = Tiny(seed, parts_of(seed, (0.2, 0.4)[seed % 2], "slots")).instance()
    return scenario.with_clock(scenario.clock.slot_s, hold), workload


def with_sleep(
    seed: int, scenario: Scenario, workload: Workload, unit_ms: int
) -> tuple[Scenario, Workload]:
    """The same game with gateways that sleep, for some units of time."""
    rng = np.random.Generator(np.random.PCG64([seed, 1]))
    rows = []
    for gateway in range(scenario.gateways.count):
        time = int(rng.integers(4))
        while time < 12 and rng.random() < 0.8:
            length = int(rng.integers(1, 5))
            rows.append((time * unit_ms, gateway, length * unit_ms))
            time += length + int(rng.integers(5))
    sleeps = np.array(rows, dtype=np.int64).reshape(-1, 3)
    return scenario.with_sleep(1.0, 1.0), replace(workload, sleeps=sleeps)


def check(seed: int, most: int = MOST_GAMES) -> tuple[float, float, bool]:
    """Hold the bound of a game against the best way to play it; and whether all were tried."""
    make = base_game if seed % 2 else extended_game
    scenario, workload = make(seed, hold=bool(seed // 2 % 2))
    if seed % 3 == 2:
        slot = scenario.clock.slot_ms
        scenario, workload = with_sleep(seed, scenario, workload, max(1, slot // 2))
    best, whole = best_in_slots(scenario, workload, most)
    value = upper_bound(scenario, workload).value
    assert best <= value, f"seed {seed}: {best} > {value}"
    return best, value, whole


def main(
    games: Annotated[int, typer.Option(help="number of games")] = 2000,
    first: Annotated[int, typer.Option(help="seed of the first one")] = 0,
    most: Annotated[int, typer.Option(help="ways to play a game")] = 300,
) -> None:
    """Hold the bound against what is best in games in slots."""
    console = Console(markup=False, highlight=False)
    start, wrong, whole = time.monotonic(), 0, 0
    ratios: dict[str, list[float]] = {}
    for seed in range(first, first + games):
        kind = ("extended", "base")[seed % 2] + (", hold" if seed // 2 % 2 else "")
        try:
            best, value, tried_all = check(seed, most)
        except AssertionError as error:
            wrong += 1
            console.print(str(error), soft_wrap=True)
            continue
        whole += tried_all
        if value > 0.01:
            ratios.setdefault(kind, []).append(max(best, 0.0) / value)
    console.print(f"{games} games, {whole} played in all ways: {wrong} beat the bound")
    for kind, found in sorted(ratios.items()):
        tight = np.mean(np.array(found) > 0.99)
        console.print(
            f"{kind}: best / bound {np.mean(found):.3f} in the mean, {tight:.0%} within 1 %"
        )
    console.print(f"{time.monotonic() - start:.0f} s")
    raise typer.Exit(wrong > 0)


if __name__ == "__main__":
    typer.run(main)
