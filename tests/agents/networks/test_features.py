"""What networks see, in the base model and in the extended one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from edge_marl.agents import load
from edge_marl.agents.networks.features import TokenFeatures
from edge_marl.benchmarks.run.evaluation import evaluate
from edge_marl.draw import draw_workload
from edge_marl.envs import EdgeAIGCVectorEnv
from edge_marl.errors import AgentError
from edge_marl.layout import ObservationLayout
from edge_marl.scenario import load_scenario
from tests.worlds.every_part import PLAIN, world
from tests.worlds.learners import learnt, small_trainer
from tests.worlds.two_services import make_world, observe


def test_a_server_has_five_features_in_the_base_model() -> None:
    layout = ObservationLayout(load_scenario("smoke"))
    features = TokenFeatures(layout)
    task, servers, services = features(torch.rand(7, layout.size))
    assert features.server_size == 5
    assert services.shape == (7, layout.num_servers, layout.num_services, 0)
    assert task.shape == (7, layout.task_size)
    assert servers.shape == (7, layout.num_servers, 5)


def test_in_the_extended_model_services_show_features_of_their_own() -> None:
    scenario = make_world()
    features = TokenFeatures(ObservationLayout(scenario))
    quality = np.array([[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]])
    seen = observe(scenario, [100, 19, 20], service_quality=quality, server_up=[1, 0, 1])
    task, servers, services = features(torch.from_numpy(seen))
    assert task.shape == (1, features.task_size)
    assert servers.shape == (1, 3, features.server_size) == (1, 3, 5 + 3)
    assert services.shape == (1, 3, 2, features.service_size) == (1, 3, 2, 4 + 1)
    assert servers[0, :, 2].tolist() == [1, 0, 1]  # up
    assert servers[0, :, 7].tolist() == [1, 0, 1]  # the task of 20 steps fits
    assert services[0, ..., 0].numpy() == pytest.approx(quality / 2)


def test_times_mean_the_same_in_every_tier() -> None:
    """One task, one place: the features of its times are equal, whatever the tiers' largest are."""
    shown = []
    for tier in ("campus@1", "metro@1", "nation@1"):
        layout = ObservationLayout(load_scenario(tier))
        features = TokenFeatures(layout)
        seen = np.zeros((1, layout.size))
        times = {
            "task run time": 40_000,
            "deadline left": 90_000,
            "server delay": 9,
            "service duration": 60_000,
        }
        for feature in layout.features:
            if feature.name in times:
                seen[:, feature.indices] = times[feature.name] / feature.scale
        task, servers, services = features(torch.from_numpy(seen))
        shown.append([*task[0].tolist(), *servers[0, 0].tolist(), *services[0, 0, 0].tolist()])
    assert shown[1] == pytest.approx(shown[0])
    assert shown[2] == pytest.approx(shown[0])
    longest = 180_000
    assert shown[0][1:3] == pytest.approx([40_000 / longest, 90_000 / longest])
    assert shown[0][-1] == pytest.approx((90_000 - 9 - 60_000) / longest)


@pytest.mark.parametrize("name", ["sac", "adsac"])
def test_learners_train_in_the_extended_model(name: str) -> None:
    scenario = world(arrivals={**PLAIN, "horizon_s": 120.0})
    agent = learnt(small_trainer(name, scenario), scenario, 320)
    metrics = evaluate(agent, scenario, [draw_workload(scenario, 0)], seed=0)[0]
    assert metrics["illegal_actions"] == 0


def test_an_agent_decides_in_scenarios_of_other_sizes(tmp_path: Path) -> None:
    campus, metro = load_scenario("campus@1"), load_scenario("metro@1")
    learnt(small_trainer("adsac", campus), campus, 64).save(tmp_path)
    with pytest.raises(AgentError, match=f"made for scenario '{campus.label}'"):
        load(tmp_path, metro)
    agent = load(tmp_path, metro, transfer=True)
    envs = EdgeAIGCVectorEnv(3, scenario=metro)
    seen, info = envs.reset(seed=0)
    agent.reset(0)
    action = agent.act(seen, info)
    assert info["action_mask"][np.arange(3), action].all()


def test_an_agent_of_one_topology_does_not_move_to_another_size(tmp_path: Path) -> None:
    smoke, paper = load_scenario("smoke"), load_scenario("paper")
    learnt(small_trainer("adsac", smoke), smoke, 64).save(tmp_path)
    with pytest.raises(AgentError, match="are not those of this version's 'adsac'"):
        load(tmp_path, paper, transfer=True)
