"""`iadsac`, `idqn`, `ippo`: what they learn from, that they learn, and that they are agents."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tianshou.algorithm.modelfree.discrete_sac import DiscreteSACPolicy
from tianshou.data import Batch, Collector, CollectStats
from torch import nn

from edge_marl.agents import Agent, Trainer, TrainProgress, load
from edge_marl.agents.independent.agents import IppoAgent
from edge_marl.agents.independent.iadsac import GatewayCritic, GatewayReplay
from edge_marl.agents.independent.iadsac import make_learner as make_iadsac
from edge_marl.agents.independent.settings import IadsacConfig, IppoConfig
from edge_marl.agents.independent.trainers import IadsacTrainer, IdqnTrainer, IppoTrainer
from edge_marl.agents.networks.attention import TokenCritic
from edge_marl.agents.on_tianshou.on_batch import GatewayActor, OnBatch
from edge_marl.agents.on_tianshou.rows import TianshouRows
from edge_marl.agents.policy_agent import PolicyAgent
from edge_marl.agents.policy_gradient.settings import PpoConfig
from edge_marl.agents.soft_actor_critic.settings import AdsacConfig
from edge_marl.agents.value_based.settings import DqnConfig
from edge_marl.benchmarks.run.evaluation import draw_test_workloads, evaluate, evaluate_gateways
from edge_marl.envs.spaces import gateway_action_space
from edge_marl.errors import AgentError
from edge_marl.layout import ObservationLayout
from edge_marl.scenario import Scenario, load_scenario
from tests.agents.test_contract import play, some_observations
from tests.agents.training.test_training import PLAIN, utility_per_task
from tests.worlds.learners import learnt

SMOKE = load_scenario("smoke")
EVENTS = SMOKE.with_gateways(3)
SLOTS = EVENTS.with_clock(600.0, hold=True)
NAMES = ["iadsac", "idqn", "ippo"]
every_learner = pytest.mark.parametrize("name", NAMES)


def small_trainer(name: str, scenario: Scenario, **settings: Any) -> Trainer:
    """A trainer with a small network; `settings` replace the small ones."""
    small: dict[str, Any] = {"num_envs": 8, "batch_size": 32, **settings}
    if name == "iadsac":
        sizes = {"width": 16, "denoiser_width": 8, "decisions_per_update": 16}
        return IadsacTrainer(scenario, IadsacConfig(**{**sizes, **small}))
    small = {"hidden": (32, 32), **small}
    if name == "ippo":
        return IppoTrainer(scenario, IppoConfig(**{"decisions_per_update": 64, **small}))
    return IdqnTrainer(scenario, DqnConfig(**{"updates_per_target": 20, **small}))


@cache
def trained(name: str) -> Agent:
    """An agent that has seen a little of `smoke`. Shared by tests: reset it before use."""
    return learnt(small_trainer(name, SMOKE), SMOKE, 320)


def weights(agent: Agent) -> dict[str, torch.Tensor]:
    assert isinstance(agent, PolicyAgent)
    return agent.actor.state_dict()


@every_learner
@pytest.mark.parametrize(
    "scenario",
    [PLAIN, PLAIN.with_gateways(2), PLAIN.with_gateways(2).with_clock(5.0, hold=True)],
    ids=["alone", "events", "slots"],
)
def test_learns_which_service_is_good(name: str, scenario: Scenario) -> None:
    own: dict[str, dict[str, Any]] = {
        "iadsac": {"learning_rate": 1e-2},
        "idqn": {},
        # PPO that explores less settles on one type's best service for all, in some seeds.
        "ippo": {"entropy": 0.2, "decisions_per_update": 128, "batch_size": 64},
    }
    trainer = small_trainer(name, scenario, **{"gamma": 0.5, "learning_rate": 5e-3, **own[name]})
    before = utility_per_task(trainer.train(scenario, 8, seed=0), scenario)
    after = utility_per_task(trainer.train(scenario, 3200, seed=0), scenario)
    assert before < 0.8
    assert after > 0.95


@every_learner
@pytest.mark.parametrize("scenario", [EVENTS, SLOTS], ids=["events", "slots"])
def test_the_same_seed_gives_the_same_agent_bit_for_bit(name: str, scenario: Scenario) -> None:
    torch.manual_seed(5)
    np.random.seed(5)  # noqa: NPY002  Tianshou's, which is given back
    expected = torch.rand(1), np.random.rand()  # noqa: NPY002
    torch.manual_seed(5)
    np.random.seed(5)  # noqa: NPY002
    first, again, other = (
        weights(learnt(small_trainer(name, scenario), scenario, 160, seed)) for seed in (1, 1, 2)
    )
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert any(not torch.equal(first[key], other[key]) for key in first)
    assert (torch.rand(1), np.random.rand()) == expected  # noqa: NPY002


@every_learner
@pytest.mark.parametrize("budget", [1, 100, 161])
@pytest.mark.parametrize("scenario", [SMOKE, EVENTS, SLOTS], ids=["alone", "events", "slots"])
def test_the_budget_is_never_exceeded(name: str, scenario: Scenario, budget: int) -> None:
    seen: list[TrainProgress] = []
    learnt(small_trainer(name, scenario), scenario, budget, 0, seen.append)
    decisions = [0, *(now.decisions for now in seen)]
    most = min(8, budget) * (3 if scenario is SLOTS else 1)
    assert max(0, budget - most) < decisions[-1] + 1 <= budget + 1
    assert all(0 < step <= most for step in np.diff(decisions))
    assert all(np.isfinite(now.utility_per_task) for now in seen)


@every_learner
def test_progress_tells_the_returns_of_whole_environments(name: str) -> None:
    seen: list[TrainProgress] = []
    learnt(small_trainer(name, EVENTS), EVENTS, 800, 0, seen.append)
    assert seen[0].mean_return is None
    assert seen[-1].mean_return is not None
    assert seen[-1].updates > 0


@every_learner
def test_settings_are_checked_and_a_budget_is_needed(name: str) -> None:
    with pytest.raises(AgentError, match="batch_size = 0: must be a whole number of at least 1"):
        small_trainer(name, SMOKE, batch_size=0)
    with pytest.raises(AgentError, match=r"gamma = 1\.5: must be from 0 to 1"):
        small_trainer(name, SMOKE, gamma=1.5)
    with pytest.raises(AgentError, match="budget = 0 decisions"):
        small_trainer(name, SMOKE).train(SMOKE, 0, seed=0)


@every_learner
def test_a_loaded_agent_acts_as_the_saved_one(name: str, tmp_path: Path) -> None:
    agent, seen = trained(name), some_observations(7)
    agent.save(tmp_path)
    loaded = load(tmp_path, SMOKE)
    assert type(loaded) is type(agent)
    assert loaded.settings == agent.settings
    assert (play(loaded, seen) == play(agent, seen)).all()
    loaded.save(tmp_path / "again")
    for file in ("config.json", "weights.safetensors"):
        assert (tmp_path / file).read_bytes() == (tmp_path / "again" / file).read_bytes()


@every_learner
def test_masked_actions_are_never_chosen(name: str) -> None:
    seen = some_observations(6).reshape(-1, some_observations(6).shape[-1])
    mask = np.random.default_rng(0).integers(0, 2, (len(seen), SMOKE.num_actions), dtype=np.int8)
    mask[:, 3] = 1
    action = trained(name).act(seen, {"action_mask": mask})
    assert mask[np.arange(len(seen)), action].all()


@every_learner
def test_it_is_the_policy_of_all_gateways_and_of_the_single_environment(name: str) -> None:
    workloads = draw_test_workloads(EVENTS, 2)
    alone = evaluate(trained(name), EVENTS, workloads, seed=0)
    np.testing.assert_equal(evaluate_gateways(trained(name), EVENTS, workloads, seed=0), alone)
    in_slots = evaluate_gateways(trained(name), SLOTS, workloads, seed=0)
    assert [m["tasks"] for m in in_slots] == [m["tasks"] for m in alone]


@every_learner
def test_gateways_without_a_task_are_not_asked_and_nothing_else_changes(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent, asked = trained(name), []
    workloads = draw_test_workloads(EVENTS, 2)
    act = type(agent).act

    def counting(self: Any, seen: Any, info: Any) -> Any:
        asked.append(len(seen))
        return act(self, seen, info)

    monkeypatch.setattr(type(agent), "act", counting)
    found = evaluate_gateways(agent, SLOTS, workloads, seed=0)
    few = sum(asked)
    asked.clear()
    monkeypatch.setattr(agent, "stateless", False)
    np.testing.assert_equal(evaluate_gateways(agent, SLOTS, workloads, seed=0), found)
    assert sum(asked) > 2 * few


def test_a_gateway_does_nothing_if_and_only_if_it_has_no_task() -> None:
    actor = GatewayActor(IppoAgent.build_actor(SMOKE, PpoConfig(hidden=(8,))))
    rows = TianshouRows(EVENTS, 4)
    seen, _ = rows.reset(seed=0)
    mask = torch.as_tensor(seen.mask)
    probability = actor(torch.as_tensor(seen.obs), mask).softmax(-1)
    waits = mask[:, :-1].any(dim=1)
    assert waits.sum() == 4
    assert (probability[~mask] == 0).all()
    assert (probability[~waits, -1] == 1).all()
    assert torch.allclose(probability[waits, :-1].sum(1), torch.ones(4))


def some_steps(gateways: int, steps: int = 40) -> GatewayReplay:
    """A full replay buffer of random play in two environments."""
    scenario = SMOKE.with_gateways(gateways)
    env = TianshouRows(scenario, 2)
    replay = GatewayReplay(steps * env.env_num, env.env_num, np.random.SeedSequence(0))
    policy = DiscreteSACPolicy(
        actor=OnBatch(GatewayActor(Uniform()), actor=True),
        action_space=gateway_action_space(scenario),
        deterministic_eval=False,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        collector: Collector[CollectStats] = Collector(policy, env, replay)
        collector.reset(gym_reset_kwargs={"seed": 0})
        for _ in range(steps):
            collector.collect(n_step=env.env_num)
    return replay


class Uniform(nn.Module):
    """Every action alike."""

    def forward(self, observation: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return torch.zeros(mask.shape)


def idle_steps(gateways: int) -> Any:
    """Observations and masks of gateways without a task."""
    rows = TianshouRows(SMOKE.with_gateways(gateways), 4)
    seen, _ = rows.reset(seed=0)
    return seen[seen.mask[:, -1]]


def test_steps_without_a_task_do_not_move_the_policy() -> None:
    seed = np.random.SeedSequence(0)
    config = IadsacConfig(width=16, denoiser_width=8)
    learner: Any = make_iadsac(EVENTS, config, 12, 100, seed)
    result: Any = learner.algorithm.policy(Batch(obs=idle_steps(3), info=Batch()))
    log_probability = result.dist.log_prob(result.act)
    assert (log_probability == 0).all()
    (log_probability.sum() + result.dist.entropy().sum()).backward()
    assert all(p.grad is None or not p.grad.any() for p in learner.actor.parameters())


@pytest.mark.parametrize("gateways", [1, 4])
def test_a_batch_has_its_decisions_and_at_most_as_many_steps_without_a_task(gateways: int) -> None:
    replay = some_steps(gateways)
    drawn = replay.sample_indices(50)
    idle = replay.obs.mask[drawn, -1]
    assert (~idle).sum() == 50
    assert idle.sum() == (0 if gateways == 1 else 50)
    # Each kind uniformly: 40,000 of 80 decisions are 500 for each, five deviations are 112.
    many = replay.sample_indices(40_000)
    count = np.bincount(many, minlength=replay.maxsize)
    waits = ~replay.obs.mask[:, -1]
    assert np.abs(count[waits] - 500).max() < 112
    if gateways > 1:
        mean = 40_000 / (~waits).sum()
        assert np.abs(count[~waits] - mean).max() < 5 * mean**0.5
    assert (np.sort(replay.sample_indices(0)) == np.arange(replay.maxsize)).all()


def test_critics_value_doing_nothing_as_the_state_and_count_a_gateways_share() -> None:
    layout = ObservationLayout(SMOKE)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        critic, single = GatewayCritic(layout, 8, gateways=4), TokenCritic(layout, 8)
    single.load_state_dict(critic.state_dict())
    seen = torch.as_tensor(some_observations(1)[-1])
    values = critic(seen)
    assert torch.allclose(4 * values[:, :-1], single(seen))
    assert torch.allclose(4 * values[:, -1:], single.value(single.encoder(seen)[0][:, 0]))


@pytest.mark.parametrize("gateways", [1, 10])
def test_the_temperature_starts_at_a_gateways_share(gateways: int) -> None:
    config = AdsacConfig(width=8, denoiser_width=8)
    scenario = SMOKE.with_gateways(gateways)
    learner: Any = make_iadsac(scenario, config, gateways, 100, np.random.SeedSequence(0))
    start = np.exp(config.initial_log_alpha) / gateways
    assert learner.algorithm.alpha.value == pytest.approx(start)
