"""How fast the environments are, each against the others, in one run: `make speed`.

Medians of several rounds, in turn, so that a machine whose speed drifts still gives fair ratios.
The yardstick is the tests' oracle, a straightforward simulator in plain Python (`tests/oracle`), so
this runs from a clone.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np

from edge_marl import EdgeAIGCRows, Workload, draw_workload, edge_aigc_v0, load_scenario
from edge_marl.console import results

__all__ = ["main"]

ROUNDS = 7
VECTOR_ENVS = 1024
VECTOR_STEPS = 1600  # more than an episode of `paper`: automatic resets are part of it
ROW_ENVS = 256
ROW_STEPS = 400

Rate = Callable[[], float]


def main() -> None:
    """Measure and print."""
    rates = {
        "oracle, step by step": _drive_oracle(),
        "gym.make, step by step": _drive_single(),
        f"gym.make_vec, {VECTOR_ENVS} environments": _drive_vector(),
        "parallel_env, 10 gateways (agent steps)": _drive_parallel(),
        "AEC env, 10 gateways (agent steps)": _drive_aec(),
        f"EdgeAIGCRows, {ROW_ENVS} environments x 10 gateways (agent steps)": _drive_rows(),
    }
    for rate in rates.values():
        rate()  # compile, load, allocate
    rounds = [{name: rate() for name, rate in rates.items()} for _ in range(ROUNDS)]
    medians = {name: statistics.median(row[name] for row in rounds) for name in rates}
    console = results()
    for name, value in medians.items():
        low, high = min(row[name] for row in rounds), max(row[name] for row in rounds)
        console.print(f"{name:65} {value:>12,.0f} /s   ({low:,.0f} to {high:,.0f})")
    oracle, single, vector, parallel, aec, rows = rates
    for above, below in ((single, oracle), (vector, single), (aec, parallel), (rows, parallel)):
        ratio = statistics.median(row[above] / row[below] for row in rounds)
        console.print(f"{above} / {below}: {ratio:.2f}")
    console.print(f"import edge_marl: {_import_seconds():.2f} s")


def _drive_oracle() -> Rate:
    from tests.oracle.reference_sim import OracleEnv

    env = OracleEnv(load_scenario("paper"))
    return _drive_one_by_one(env, env.reset)


def _drive_single() -> Rate:
    env = gymnasium.make("EdgeAIGC-v0", scenario="paper")
    return _drive_one_by_one(env, lambda workload: env.reset(options={"workload": workload}))


def _drive_one_by_one(env: Any, reset: Callable[[Workload], object]) -> Rate:
    """An episode with random actions: the same for the oracle and for the environment."""
    scenario = load_scenario("paper")
    workload = draw_workload(scenario, 0)
    count = workload.num_decisions(scenario)
    actions = np.random.default_rng(0).integers(scenario.num_actions, size=count).tolist()

    def rate() -> float:
        reset(workload)
        start = time.perf_counter()
        for action in actions:
            env.step(action)
        return count / (time.perf_counter() - start)

    return rate


def _drive_vector() -> Rate:
    envs = gymnasium.make_vec("EdgeAIGC-v0", num_envs=VECTOR_ENVS, scenario="paper")
    choices = np.random.default_rng(0).integers(40, size=(100, VECTOR_ENVS))
    envs.reset(seed=0)

    def rate() -> float:
        start = time.perf_counter()
        for step in range(VECTOR_STEPS):
            envs.step(choices[step % len(choices)])
        return VECTOR_STEPS * VECTOR_ENVS / (time.perf_counter() - start)

    return rate


def _drive_parallel() -> Rate:
    env = edge_aigc_v0.parallel_env(scenario="paper", gateways="servers")
    choices = _team_choices(env.possible_agents)

    def rate() -> float:
        env.reset(seed=0)
        steps = 0
        start = time.perf_counter()
        while env.agents:
            env.step(choices[steps % len(choices)])
            steps += 1
        return steps * len(env.possible_agents) / (time.perf_counter() - start)

    return rate


def _drive_aec() -> Rate:
    env = edge_aigc_v0.env(scenario="paper", gateways="servers")
    choices = _team_choices(env.possible_agents)

    def rate() -> float:
        env.reset(seed=0)
        rounds = 500
        start = time.perf_counter()
        for turn in range(rounds):
            for choice in choices[turn % len(choices)].values():
                env.last()
                env.step(choice)
        return rounds * len(env.possible_agents) / (time.perf_counter() - start)

    return rate


def _drive_rows() -> Rate:
    rows = EdgeAIGCRows(ROW_ENVS, scenario="paper", gateways="servers")
    choices = np.random.default_rng(0).integers(41, size=(50, ROW_ENVS, rows.num_gateways))
    rows.reset(seed=0)

    def rate() -> float:
        start = time.perf_counter()
        for step in range(ROW_STEPS):
            rows.step(choices[step % len(choices)])
        return ROW_STEPS * ROW_ENVS * rows.num_gateways / (time.perf_counter() - start)

    return rate


def _team_choices(agents: list[str]) -> list[dict[str, int]]:
    """Choices of all agents for a hundred steps; those without a task choose in vain."""
    table = np.random.default_rng(0).integers(40, size=(100, len(agents)))
    return [dict(zip(agents, row, strict=True)) for row in table.tolist()]


def _import_seconds() -> float:
    code = "import time; t = time.perf_counter(); import edge_marl; print(time.perf_counter() - t)"
    return statistics.median(
        float(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)
        for _ in range(5)
    )


if __name__ == "__main__":
    main()
