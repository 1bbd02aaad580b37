"""Training: reproducible, within its budget, and it learns."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from edge_marl.agents import Agent, TrainProgress, make
from edge_marl.agents.policy_agent import PolicyAgent
from edge_marl.draw import draw_workload
from edge_marl.envs import EdgeAIGCVectorEnv
from edge_marl.errors import AgentError
from edge_marl.scenario import Scenario, load_scenario
from tests.worlds.by_hand import make_world
from tests.worlds.learners import LEARNERS, learnt, small_trainer

SMOKE = load_scenario("smoke")
# Room for everything, and for each type one service that pays 1 where the others pay 0.1 or less.
PLAIN = make_world(
    [[[0.0, 0.1], [0.1, 0.0]], [[1.0, 0.0], [0.1, 0.1]], [[0.0, 0.1], [0.1, 1.0]]],
    [20_000, 20_000, 20_000],
)

every_learner = pytest.mark.parametrize("name", LEARNERS)


def weights(agent: Agent) -> dict[str, torch.Tensor]:
    assert isinstance(agent, PolicyAgent)
    return agent.actor.state_dict()


def utility_per_task(agent: Agent, scenario: Scenario) -> float:
    workloads = [draw_workload(scenario, k, split="validation") for k in range(4)]
    envs = EdgeAIGCVectorEnv(4, scenario=scenario.on_events())
    seen, info = envs.reset(options={"workloads": workloads})
    agent.reset(0)
    total, steps = 0.0, 20
    for _ in range(steps):
        seen, reward, *_, info = envs.step(agent.act(seen, info))
        total += reward.sum()
    return total / (4 * steps)


@every_learner
def test_the_same_seed_gives_the_same_agent_bit_for_bit(name: str) -> None:
    first, again, other = (
        weights(learnt(small_trainer(name, SMOKE), SMOKE, 256, seed)) for seed in (1, 1, 2)
    )
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert any(not torch.equal(first[key], other[key]) for key in first)


@every_learner
def test_global_randomness_is_left_alone(name: str) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    small_trainer(name, SMOKE).train(SMOKE, 32, seed=0)
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize(("budget", "decisions", "updates"), [(100, 96, 6), (3, 3, 0), (16, 16, 1)])
def test_the_budget_is_never_exceeded(budget: int, decisions: int, updates: int) -> None:
    seen: list[TrainProgress] = []
    learnt(small_trainer("sac", SMOKE), SMOKE, budget, 0, seen.append)
    assert [now.decisions for now in seen] == sorted({now.decisions for now in seen})
    assert (seen[-1].decisions, seen[-1].updates, seen[-1].budget) == (decisions, updates, budget)


def test_progress_tells_rewards_and_returns() -> None:
    seen: list[TrainProgress] = []
    learnt(small_trainer("sac", SMOKE), SMOKE, 800, 0, seen.append)
    assert seen[0].mean_return is None
    assert seen[-1].mean_return is not None
    assert all(np.isfinite(now.utility_per_task) for now in seen)


@every_learner
def test_no_budget_is_an_error(name: str) -> None:
    with pytest.raises(AgentError, match="budget = 0 decisions"):
        small_trainer(name, SMOKE).train(SMOKE, 0, seed=0)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"batch_size": 0}, "batch_size = 0: must be a whole number of at least 1"),
        ({"noise_draws": 0}, "noise_draws = 0"),
        ({"gamma": 1.5}, r"gamma = 1\.5: must be from 0 to 1"),
        ({"learning_rate": 0.0}, r"learning_rate = 0\.0: must be above 0"),
    ],
)
def test_settings_outside_their_range(setting: dict[str, float], message: str) -> None:
    with pytest.raises(AgentError, match=message):
        small_trainer("adsac", SMOKE, **setting)


@every_learner
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_learns_which_service_is_good(name: str, seed: int) -> None:
    trainer = small_trainer(name, PLAIN, gamma=0.5, learning_rate=1e-2)
    before = utility_per_task(trainer.train(PLAIN, 8, seed), PLAIN)
    after = utility_per_task(trainer.train(PLAIN, 3200, seed), PLAIN)
    assert before < 0.8
    assert after > 0.95


@every_learner
def test_legal_pairs_learn_which_service_is_good(name: str) -> None:
    trainer = small_trainer(name, PLAIN, gamma=0.5, learning_rate=1e-2, network="pairs")
    assert utility_per_task(trainer.train(PLAIN, 3200, seed=0), PLAIN) > 0.95


@every_learner
def test_defaults_train_in_every_base_tier(name: str) -> None:
    for tier in ("smoke", "agod", "paper"):
        scenario = load_scenario(tier)
        trainer = make(name, scenario)
        assert not isinstance(trainer, Agent)
        agent = learnt(trainer, scenario, 64)
        assert agent.settings == trainer.settings
        assert agent.name == name


@every_learner
def test_the_replayed_networks_are_in_evaluation_and_frozen(name: str) -> None:
    agent = learnt(small_trainer(name, SMOKE), SMOKE, 32)
    assert isinstance(agent, PolicyAgent)
    assert not agent.actor.training
    assert all(p.dtype == torch.float64 and not p.requires_grad for p in agent.actor.parameters())
