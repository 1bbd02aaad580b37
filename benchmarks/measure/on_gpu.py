"""The batch on a GPU: the same bits as on the processor, and decisions per second.

    python -m edge_marl.benchmarks.measure.on_gpu

For one who has a GPU of NVIDIA's (`pip install 'edge-marl[cuda]'`); no figure of it was ever
published here. For each scenario (`--scenarios paper,metro`) it takes

* random decisions in `CudaBatch` and in `EdgeAIGCVectorEnv`, ten million by default, and compares
  after each step what they return, and after the last one what became of every task. It stops at
  the first bit that differs, and says where;
* random decisions in 131,072 environments, automatic resets included, five times, and reports the
  median of the rates. Actions lie on the device beforehand; workloads are drawn before, 4,096 of
  them, and rows that end start on one of these again: drawing is the host's and is not measured.
"""

from __future__ import annotations

import statistics
import time
from typing import Annotated, Any, NamedTuple

import numpy as np
import numpy.typing as npt
import typer
from numba import cuda

from edge_marl.console import print_rows, run_command
from edge_marl.envs.vector import EdgeAIGCVectorEnv
from edge_marl.gpu import CudaBatch
from edge_marl.kernel import world as k
from edge_marl.kernel.world import TERMINATED, TRUNCATED
from edge_marl.scenario import Scenario, load_scenario

__all__ = ["Measured", "check_same", "difference", "measure"]

ENVS, WORKLOADS = 131_072, 4_096
COMPARED_ENVS = 4_096
ACTIONS = 16
"""Steps whose actions are drawn; later steps take them again."""


def check_same(scenario: Scenario, num_envs: int, steps: int, seed: int = 0) -> int:
    """Compare so many steps on the device with the same on the processor; return how many ended.

    Raises:
        RuntimeError: at the first difference, with what differs.
    """
    batch, env = CudaBatch(scenario, num_envs), EdgeAIGCVectorEnv(num_envs, scenario)
    step = batch.reset(seed)
    observations, infos = env.reset(seed=seed)
    check("observations", -1, step.observations, observations)
    check("action_masks", -1, step.action_masks, infos["action_mask"])
    check("agent_index", -1, step.agent_index, infos["agent_index"])
    rng = np.random.default_rng(seed)
    ended = 0
    for number in range(steps):
        actions = rng.integers(scenario.num_actions, size=num_envs)
        step = batch.step(actions)
        ended += batch.refill()
        observations, rewards, terminated, truncated, infos = env.step(actions)
        done = TERMINATED * terminated.astype(np.int8) + TRUNCATED * truncated.astype(np.int8)
        check("observations", number, step.observations, observations)
        check("rewards", number, step.rewards, rewards)
        check("done", number, step.done, done)
        check("action_masks", number, step.action_masks, infos["action_mask"])
        check("agent_index", number, step.agent_index, infos["agent_index"])
        if done.any():
            finals = np.stack(infos["final_obs"][done > 0])
            check("final_observations", number, step.final_observations, finals, done > 0)
    problem = difference(batch.snapshot(), env._simulator.snapshot())
    if problem:
        raise RuntimeError(f"after step {steps - 1}: {problem}")
    return ended


def check(name: str, step: int, ours: Any, theirs: npt.NDArray[Any], rows: Any = ...) -> None:
    """Raise RuntimeError unless an array on the device is, bit for bit, one on the host."""
    host = ours.copy_to_host()[rows]
    if host.dtype != theirs.dtype or host.tobytes() != np.ascontiguousarray(theirs).tobytes():
        where = np.argwhere(host != theirs)[:1].tolist()
        raise RuntimeError(f"after step {step}: {name} differ, first at {where}")


def difference(ours: dict[str, npt.NDArray[Any]], theirs: dict[str, npt.NDArray[Any]]) -> str:
    """Say in what two batches' episodes differ, of `snapshot`s; nothing if in nothing."""
    for row in range(len(theirs["episode"])):
        mine, other = facts_of(ours, row), facts_of(theirs, row)
        for name, array in mine.items():
            if array.tobytes() != other[name].tobytes():
                return f"{name} of row {row} differ"
    return ""


def facts_of(arrays: dict[str, npt.NDArray[Any]], row: int) -> dict[str, npt.NDArray[Any]]:
    """Return what the arrays say of a row's episode, without what earlier ones have left there."""
    episode = arrays["episode"][row].copy()
    episode[k.TOPOLOGY] = 0  # where its servers are noted, which is each batch's own affair
    facts = {"episode": episode}
    for name in ("servers", "soonest", "observations", "sites", "models"):
        if name in arrays:
            facts[name] = arrays[name][row]
    for name in ("tasks", "rewards", "details"):
        if name in arrays:
            facts[name] = arrays[name][row, : episode[k.NUM_TASKS]]
    if "agenda" in arrays:
        facts["agenda"] = arrays["agenda"][row, : episode[k.AGENDA]]
    for server, running in enumerate(arrays["servers"][row, :, k.NUM_RUNNING]):
        facts[f"tasks running on server {server}"] = arrays["running"][row, server, :running]
    return facts


class Measured(NamedTuple):
    """What a batch does and takes."""

    rate: float
    """Decisions per second."""
    row_bytes: int
    """Memory of a row on the device; a workload that waits takes as much."""


def measure(
    scenario: Scenario, num_envs: int, num_workloads: int, steps: int, rounds: int = 5
) -> Measured:
    """Take random decisions for some rounds, after one to warm up; the rate is their median."""
    batch = CudaBatch(scenario, num_envs, num_workloads)
    batch.reset(seed=0)
    rng = np.random.default_rng(0)
    actions = [
        cuda.to_device(rng.integers(scenario.num_actions, size=num_envs)) for _ in range(ACTIONS)
    ]
    rates = []
    for _ in range(1 + rounds):
        cuda.synchronize()
        start = time.perf_counter()
        for number in range(steps):
            batch.step(actions[number % ACTIONS])
        cuda.synchronize()
        rates.append(steps * num_envs / (time.perf_counter() - start))
    return Measured(statistics.median(rates[1:]), batch.num_bytes // (num_envs + num_workloads))


def main(
    scenarios: Annotated[str, typer.Option(help="Names, with commas.")] = "paper,metro",
    decisions: Annotated[int, typer.Option(help="To compare, per scenario.")] = 10_000_000,
    envs: Annotated[int, typer.Option(help="Environments at a time, to measure.")] = ENVS,
    steps: Annotated[int, typer.Option(help="Of a round that is measured.")] = 200,
) -> None:
    """Compare with the processor and measure."""
    rows = [("scenario", "decisions compared", "episodes ended", "M decisions/s", "kB per row")]
    compared_envs = min(envs, COMPARED_ENVS)
    compared_steps = -(-decisions // compared_envs)
    for name in scenarios.split(","):
        scenario = load_scenario(name)
        ended = check_same(scenario, compared_envs, compared_steps)
        rate, row_bytes = measure(scenario, envs, min(envs, WORKLOADS), steps)
        compared = f"{compared_steps * compared_envs:,}"
        rows.append((name, compared, f"{ended:,}", f"{rate / 1e6:.1f}", f"{row_bytes / 1e3:.0f}"))
    print_rows(rows)


if __name__ == "__main__":
    run_command(main)
