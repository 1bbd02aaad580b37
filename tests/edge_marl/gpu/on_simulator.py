"""What `test_gpu.py` runs on Numba's CUDA simulator, which a process has from its start or not.

NUMBA_ENABLE_CUDASIM=1 python -m pytest tests/edge_marl/gpu/on_simulator.py
"""

from dataclasses import replace
from typing import Any
from unittest import mock

import numpy as np
import numpy.typing as npt
import pytest
from numba import cuda

import edge_marl.gpu.batch
from edge_marl.benchmarks.measure.on_gpu import check, check_same, main
from edge_marl.draw import draw_workload
from edge_marl.envs.vector import EdgeAIGCVectorEnv
from edge_marl.errors import ActionError, EpisodeOverError, ScenarioError, WorkloadError
from edge_marl.gpu import CudaBatch, rows
from edge_marl.scenario import Scenario, load_scenario
from edge_marl.simulator import Simulator
from edge_marl.workload import Workload
from tests.worlds.every_part import world

# The simulator has a thread of Python's for each of the device's: few of them, and fewer blocks
# than rows, so that a block has several.
rows.COPY_THREADS, rows.MOST_BLOCKS = 3, 2

SMOKE = load_scenario("smoke")

SHARED = ("spec", "rates", "services")
"""Arrays of the base model that have no rows of their own."""

SHORT = world(arrivals={"horizon_s": 40.0}, outages={"every_s": 60, "repair_s": 5})
"""Every part of the extended model, in episodes of some 30 decisions."""


def in_order(size: int) -> npt.NDArray[np.int64]:
    """Actions, another one for every row."""
    return np.arange(size) % SMOKE.num_actions


def test_the_base_model_is_bit_for_bit_the_processors() -> None:
    assert check_same(SMOKE, num_envs=3, steps=130) > 3


def test_the_extended_model_is_bit_for_bit_the_processors() -> None:
    assert check_same(SHORT, num_envs=3, steps=100) > 3  # rows become longer on the way


def test_a_difference_is_seen() -> None:
    batch = CudaBatch(SMOKE, 2)
    step = batch.reset(0)
    observations, _ = EdgeAIGCVectorEnv(2, SMOKE).reset(seed=1)
    with pytest.raises(RuntimeError, match="after step 7: observations differ, first at"):
        check("observations", 7, step.observations, observations)


def test_rows_may_share_workloads() -> None:
    """Rows e and e + W play the same; without `refill` the same episode, again and again."""
    batch = CudaBatch(SMOKE, 4, num_workloads=2)
    first = batch.reset(5).observations.copy_to_host()
    assert (first[:2] == first[2:]).all()
    assert (first[0] != first[1]).any()
    opened: list[Any] = []
    while len(opened) < 2:
        step = batch.step(np.zeros(4, dtype=np.int64))
        if step.done.copy_to_host()[0]:
            opened.append(step.observations.copy_to_host()[0])
    assert (opened[0] == opened[1]).all()
    assert (opened[0] != first[0]).any()
    assert batch.refill() == 2
    assert batch.refill() == 0


def test_a_reset_starts_over() -> None:
    batch = CudaBatch(SHORT, 2)
    first = batch.reset(0)
    seen = first.observations.copy_to_host()
    for _ in range(5):
        batch.step(np.zeros(2, dtype=np.int64))
    assert (first.observations.copy_to_host() != seen).any()
    assert (batch.reset(0).observations.copy_to_host() == seen).all()


def test_actions_outside_the_space_change_nothing() -> None:
    batch = CudaBatch(SMOKE, 3)
    before = batch.reset(0).observations.copy_to_host()
    step = batch.step(np.array([-1, 0, SMOKE.num_actions]))
    rewards = step.rewards.copy_to_host()
    assert np.isnan(rewards).tolist() == [True, False, True]
    after = step.observations.copy_to_host()
    assert (after != before).any(1).tolist() == [False, True, False]
    batch.step(cuda.to_device(in_order(3)))
    for wrong in (np.zeros(2, dtype=np.int64), np.zeros(3), np.zeros((3, 1), dtype=np.int64)):
        with pytest.raises(ActionError, match="must be 3 of int64"):
            batch.step(wrong)


def test_errors_name_the_rule() -> None:
    for count in (0, 3):
        with pytest.raises(ScenarioError, match=f"num_workloads = {count}: must be from 1 to 2"):
            CudaBatch(SMOKE, 2, num_workloads=count)
    with pytest.raises(ScenarioError, match="num_envs"):
        CudaBatch(SMOKE, 0)
    batch = CudaBatch(SMOKE, 2)
    with pytest.raises(WorkloadError, match="seed"):
        batch.reset(-1)
    for call in (batch.refill, batch.snapshot, lambda: batch.step(in_order(2))):
        with pytest.raises(EpisodeOverError, match="reset"):
            call()


def test_the_command_compares_and_measures(capsys: pytest.CaptureFixture[str]) -> None:
    main("smoke", decisions=100, envs=2, steps=1)
    _, line = capsys.readouterr().out.splitlines()
    name, compared, ended, _rate, kilobytes = line.split()
    assert (name, compared) == ("smoke", "100")
    assert int(ended) >= 0
    batch = CudaBatch(SMOKE, 2)
    batch.reset(0)
    arrays = [array for name, array in batch.snapshot().items() if name not in SHARED]
    assert int(kilobytes) == round(sum(array.nbytes for array in arrays) / 2 / 1000)


def test_workloads_may_bring_servers_of_their_own() -> None:
    """As replays have them in the base model: other objects each time, the same servers."""

    def drawn(scenario: Scenario, seed: int, *, episode: int) -> Workload:
        workload = draw_workload(scenario, seed, episode=episode)
        better = replace(workload.topology, baseline=workload.topology.baseline + 0.25)
        return replace(workload, topology=better)

    with mock.patch.object(edge_marl.gpu.batch, "draw_workload", drawn):
        batch = CudaBatch(SMOKE, 2)
        batch.reset(0)
    simulator = Simulator(SMOKE, 2)
    for row in range(2):
        simulator.load(row, drawn(SMOKE, row, episode=0))
    rewards = np.zeros(2)
    simulator.step(in_order(2), rewards)
    assert batch.step(in_order(2)).rewards.copy_to_host().tolist() == rewards.tolist()
