"""The layout says what the observation holds, and finds the whole numbers behind it."""

from typing import Any

import gymnasium
import numpy as np
import pytest
import torch

from edge_marl import ObservationLayout, draw_workload, load_scenario
from edge_marl.kernel.world import DEMAND, TYPE


@pytest.mark.parametrize(("tier", "task_size", "size"), [("paper", 6, 26), ("agod", 2, 42)])
def test_sizes_are_the_published_ones(tier: str, task_size: int, size: int) -> None:
    layout = ObservationLayout(load_scenario(tier))
    assert (layout.task_size, layout.size) == (task_size, size)


@pytest.mark.parametrize("tier", ["smoke", "agod", "paper"])
def test_every_number_of_the_observation_is_a_named_feature(tier: str) -> None:
    layout = ObservationLayout(load_scenario(tier))
    indices = np.concatenate([feature.indices for feature in layout.features])
    assert sorted(indices) == list(range(layout.size))
    assert len({feature.name for feature in layout.features}) == len(layout.features)


@pytest.mark.parametrize("tier", ["smoke", "agod", "paper"])
def test_decode_gives_the_simulators_whole_numbers(tier: str) -> None:
    scenario = load_scenario(tier)
    env: Any = gymnasium.make("EdgeAIGC-v0", scenario=scenario).unwrapped
    workload = draw_workload(scenario, 5)
    observation, _ = env.reset(options={"workload": workload})
    rng = np.random.default_rng(0)
    for k in range(workload.num_decisions(scenario)):
        seen = ObservationLayout(scenario).decode(observation)
        log = env.log()
        here = log.tasks[log.running]
        used = np.zeros(scenario.num_servers, dtype=np.int64)
        np.add.at(used, here[:, 5] // scenario.num_services, here[:, DEMAND])
        np.testing.assert_array_equal(seen.capacity, workload.topology.capacity)
        np.testing.assert_array_equal(seen.free, workload.topology.capacity - used)
        assert seen.demand == workload.tasks[k, DEMAND]
        assert seen.task_type == workload.tasks[k, TYPE]
        observation, *_ = env.step(rng.integers(scenario.num_actions))


def test_unflatten_splits_arrays_and_tensors_alike() -> None:
    layout = ObservationLayout(load_scenario("paper"))
    flat = np.arange(2 * 3 * 26, dtype=np.float32).reshape(2, 3, 26)
    task, servers, services = layout.unflatten(flat)
    assert task.shape == (2, 3, 6)
    assert servers.shape == (2, 3, 10, 2)
    assert services.shape == (2, 3, 10, 4, 0)
    np.testing.assert_array_equal(servers[0, 0, 1], flat[0, 0, 8:10])
    for array, tensor in zip(
        layout.unflatten(flat), layout.unflatten(torch.tensor(flat)), strict=True
    ):
        assert tuple(tensor.shape) == array.shape
        np.testing.assert_array_equal(tensor.numpy(), array)
