"""What networks see, in the base model and in the extended one."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from edge_marl.agents.features import TokenFeatures
from edge_marl.benchmarks.evaluation import evaluate
from edge_marl.draw import draw_workload
from edge_marl.layout import ObservationLayout
from edge_marl.scenario import load_scenario
from tests.agents.extended import make_world, observe
from tests.agents.learners import small_trainer
from tests.edge_marl.extended_worlds import PLAIN, world


def test_a_server_has_five_features_in_the_base_model() -> None:
    layout = ObservationLayout(load_scenario("smoke"))
    features = TokenFeatures(layout)
    task, servers = features(torch.rand(7, layout.size))
    assert features.server_size == 5
    assert task.shape == (7, layout.task_size)
    assert servers.shape == (7, layout.num_servers, 5)


def test_in_the_extended_model_a_server_shows_its_services_too() -> None:
    scenario = make_world()
    features = TokenFeatures(ObservationLayout(scenario))
    quality = np.array([[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]])
    seen = observe(scenario, [100, 19, 20], service_quality=quality, server_up=[1, 0, 1])
    _, servers = features(torch.from_numpy(seen))
    assert servers.shape == (1, 3, features.server_size) == (1, 3, 5 + 3 + 2 * 4)
    shown = servers[0].numpy()
    assert shown[:, 2].tolist() == [1, 0, 1]  # up
    assert shown[:, 7].tolist() == [1, 0, 1]  # the task of 20 steps fits
    assert shown[:, [8, 12]] == pytest.approx(quality / 2)


@pytest.mark.parametrize("name", ["sac", "adsac"])
def test_learners_train_in_the_extended_model(name: str) -> None:
    scenario = world(arrivals={**PLAIN, "horizon_s": 120.0})
    agent = small_trainer(name, scenario).train(scenario, 320, seed=0)
    metrics = evaluate(agent, scenario, [draw_workload(scenario, 0)], seed=0)[0]
    assert metrics["illegal_actions"] == 0
