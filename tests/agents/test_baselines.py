"""The Tianshou baselines: that they learn, and that what is illegal counts for nothing."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from tianshou.data import Batch
from tianshou.utils.net.discrete import NoisyLinear as TianshousNoisyLinear

from edge_marl.agents import Agent, TrainProgress, make, policy_agent
from edge_marl.agents.on_tianshou.env import TianshouEnv
from edge_marl.agents.policy_agent import PolicyAgent
from edge_marl.agents.training.settings_text import configure
from edge_marl.agents.training.trainer import LearningTrainer
from edge_marl.agents.value_based.agents import DrqnAgent
from edge_marl.agents.value_based.networks import NoisyLinear, support
from edge_marl.errors import AgentError
from edge_marl.layout import ObservationLayout
from edge_marl.scenario import Scenario, load_scenario
from tests.agents.training.test_training import PLAIN, utility_per_task
from tests.worlds.learners import learnt

SMOKE = load_scenario("smoke")
VALUE_BASED = ["dqn", "drqn", "qrdqn", "rainbow"]
ON_POLICY = ["a2c", "ppo", "reinforce"]
NAMES = [*VALUE_BASED, *ON_POLICY]
SMALL: dict[str, Any] = {"num_envs": 8, "batch_size": 32, "hidden": (32, 32), "gamma": 0.5}
VALUES = {"decisions_per_update": 8, "learning_rate": 5e-3, "updates_per_target": 20}
OWN: dict[str, dict[str, Any]] = {
    "dqn": VALUES,
    "drqn": VALUES | {"hidden": (32,)},
    "qrdqn": VALUES | {"quantiles": 8},
    "rainbow": VALUES | {"atoms": 21},
    "a2c": {"decisions_per_update": 32, "learning_rate": 1e-2, "entropy": 0.1},
    "ppo": {"decisions_per_update": 128, "learning_rate": 5e-3, "entropy": 0.2},
    "reinforce": {"decisions_per_update": 64, "batch_size": 64, "learning_rate": 5e-3},
}
every_baseline = pytest.mark.parametrize("name", NAMES)


def small_trainer(name: str, scenario: Scenario, **settings: Any) -> LearningTrainer:
    trainer = make(name, scenario)
    assert isinstance(trainer, LearningTrainer)
    trainer.config = replace(trainer.config, **{**SMALL, **OWN[name], **settings})
    return trainer


@cache
def learner(name: str) -> Any:
    """A learner with a few transitions of `smoke`, in whose replay some actions are illegal."""
    training: Any = small_trainer(name, SMOKE).start(SMOKE, 100, seed=0)
    training.advance()
    return training.learner


@every_baseline
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_learns_which_service_is_good(name: str, seed: int) -> None:
    """The optimum pays 1 per task."""
    budget = 8000 if name == "reinforce" else 4000
    trainer = small_trainer(name, PLAIN)
    before = utility_per_task(trainer.start(PLAIN, 8, seed).agent(), PLAIN)
    after = utility_per_task(trainer.train(PLAIN, budget, seed), PLAIN)
    assert before < 0.8
    assert after > 0.95


@pytest.mark.parametrize("name", ["a2c", "ppo", "dqn"])
def test_legal_pairs_learn_which_service_is_good(name: str) -> None:
    trainer = small_trainer(name, PLAIN, network="pairs")
    assert utility_per_task(trainer.train(PLAIN, 4000, seed=0), PLAIN) > 0.95


def test_drawn_actions_have_the_policys_probabilities() -> None:
    part = learner("ppo")
    rows = 20_000
    seen = Batch(obs=np.tile(part.replay.obs.obs[:1], (rows, 1)), mask=np.ones((rows, 6), bool))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        shares = np.bincount(part.act(seen), minlength=6) / rows
    with torch.no_grad():
        expected = part.actor(torch.as_tensor(seen.obs[:1]), torch.as_tensor(seen.mask[:1])).exp()
    np.testing.assert_allclose(shares, expected[0], atol=5 * 0.5 / rows**0.5)


def test_no_noise_draws_what_is_illegal(monkeypatch: pytest.MonkeyPatch) -> None:
    part = learner("ppo")
    mask = np.tile([False, True, False, True, False, False], (4, 1))
    monkeypatch.setattr(torch.Tensor, "exponential_", torch.Tensor.zero_)
    action = part.act(Batch(obs=np.tile(part.replay.obs.obs[:1], (4, 1)), mask=mask))
    assert mask[np.arange(4), action].all()


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_rows_are_asked_in_blocks_with_the_same_actions(
    temperature: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not where lots are drawn: row i has the i-th stream."""
    trainer = small_trainer("ppo", SMOKE, network="pairs", temperature=temperature)
    agent = trainer.start(SMOKE, 8, seed=0).agent()
    seen = np.random.default_rng(0).random((50, ObservationLayout(SMOKE).size)).astype(np.float32)
    info = {"action_mask": np.ones((50, SMOKE.num_actions), np.int8)}
    found = []
    for block in (50, 7):
        monkeypatch.setattr(policy_agent, "BLOCK", block)
        agent.reset(3)
        found.append(agent.act(seen, info).tolist())
        assert agent.preferences is not None
        assert len(agent.preferences) == 50
    assert found[0] == found[1]
    assert len(set(found[0])) > 1 or temperature == 0.0


@pytest.mark.parametrize("name", ["ppo", "sac", "adsac"])
def test_a_trained_agent_draws_by_its_probabilities(name: str) -> None:
    """The log-probabilities themselves are without lots."""
    made = make(name, SMOKE)
    assert isinstance(made, LearningTrainer)
    configure(made, {"temperature": 1.0})
    agent: Any = made.start(SMOKE, 8, seed=0).agent()
    assert not agent.deterministic
    assert not agent.stateless
    rows, mask = 4000, np.ones(SMOKE.num_actions, dtype=np.int8)
    mask[1] = 0
    layout = ObservationLayout(SMOKE)
    seen = np.tile(np.random.default_rng(0).random(layout.size, dtype=np.float32), (rows, 1))
    info = {"action_mask": np.tile(mask, (rows, 1))}
    agent.reset(3)
    shares = np.bincount(agent.act(seen, info), minlength=SMOKE.num_actions) / rows
    legal = torch.from_numpy(mask[None] == 1)
    with torch.inference_mode():
        expected = agent.log_probabilities(torch.from_numpy(seen[:1]).double(), legal)[0].exp()
    np.testing.assert_allclose(shares, expected.numpy(), atol=5 * 0.5 / rows**0.5)
    assert shares[1] == 0.0
    again = agent.act(seen, info)
    agent.reset(3)
    assert (agent.act(seen, info) != again).any()


@pytest.mark.parametrize("network", ["flat", "pairs"])
def test_what_is_kept_of_an_action_is_its_log_probability(network: str) -> None:
    training: Any = small_trainer("ppo", SMOKE, network=network).start(SMOKE, 100, seed=0)
    training.advance()
    part = training.learner
    kept = part.replay[part.replay.sample_indices(0)]
    with torch.no_grad():
        log_p = part.actor(torch.as_tensor(kept.obs.obs), torch.as_tensor(kept.obs.mask))
    np.testing.assert_allclose(kept.policy.log_p, log_p[np.arange(len(kept)), kept.act], rtol=1e-5)


@every_baseline
def test_defaults_train_in_base_and_extended_tiers(name: str) -> None:
    for tier in ("smoke", "agod", "campus"):
        scenario = load_scenario(tier)
        trainer = make(name, scenario)
        assert isinstance(trainer, LearningTrainer)
        seen: list[TrainProgress] = []
        agent = learnt(trainer, scenario, 64, 0, seen.append)
        assert agent.name == name
        assert agent.settings == trainer.settings
        assert [now.decisions for now in seen] == [64]


@every_baseline
def test_only_legal_actions_are_taken_in_training(name: str) -> None:
    part = learner(name)
    rows = 4000
    seen = np.tile(part.replay.obs.obs[:1], (rows, 1))
    mask = np.random.default_rng(0).random((rows, SMOKE.num_actions)) < 0.4
    mask[:, 2] |= ~mask.any(axis=1)
    for spent in (0.0, 1.0):  # exploring much, and little
        part.explore(spent)
        with torch.random.fork_rng(devices=[]):
            taken = part.act(Batch(obs=seen, mask=mask))
        assert mask[np.arange(rows), taken].all()
        assert len(set(taken.tolist())) > 1


@pytest.mark.parametrize("name", VALUE_BASED)
def test_targets_leave_illegal_actions_out(name: str) -> None:
    """What an illegal next action is worth changes no target."""
    part = learner(name)
    policy = part.algorithm.policy
    mask = np.zeros((1, SMOKE.num_actions), dtype=bool)
    mask[0, 3] = True
    for row in (0, 1, 2):
        seen = Batch(obs=part.replay.obs.obs[row : row + 1], mask=mask)
        assert policy(Batch(obs=seen, info=Batch())).act.tolist() == [3]


@pytest.mark.parametrize("name", ON_POLICY)
def test_policies_give_illegal_actions_no_probability(name: str) -> None:
    part = learner(name)
    mask = np.ones((3, SMOKE.num_actions), dtype=bool)
    mask[:, ::2] = False
    seen = Batch(obs=part.replay.obs.obs[:3], mask=mask)
    probabilities = part.algorithm.policy(Batch(obs=seen, info=Batch())).dist.probs
    assert (probabilities[:, ::2] == 0).all()
    assert (probabilities[:, 1::2] > 0).all()


def test_rainbow_bootstraps_from_the_state_n_decisions_later() -> None:
    training: Any = small_trainer("rainbow", SMOKE, n_step=3).start(SMOKE, 200, seed=0)
    for _ in range(8):
        training.advance()
    part = training.learner
    places = np.array([0, 1])
    batch = part.replay[places]
    prepared = part.algorithm._preprocess_batch(batch, part.replay, places)
    np.testing.assert_array_equal(prepared.obs_next.obs, part.replay.obs_next.obs[[2, 3]])


def test_rainbow_explores_by_noise_and_acts_without_it() -> None:
    part = learner("rainbow")
    seen = Batch(obs=part.replay.obs.obs[:4].repeat(50, axis=0), mask=np.ones((200, 6), dtype=bool))
    part._policy.set_eps_training(0.0)
    with torch.random.fork_rng(devices=[]):
        taken = [tuple(part.act(seen)[::50]) for _ in range(30)]
    assert len(set(taken)) > 1
    agent = small_trainer("rainbow", SMOKE).start(SMOKE, 8, seed=0).agent()
    info = {"action_mask": np.ones((4, 6), dtype=np.int8)}
    acts = [agent.act(part.replay.obs.obs[:4], info).tolist() for _ in range(5)]
    assert acts == [acts[0]] * 5


@pytest.mark.parametrize("training", [True, False])
def test_noisy_layers_are_tianshous_to_the_last_bit(training: bool) -> None:
    """Names, numbers that are drawn, outputs and gradients: files of agents and trainings stay."""
    made: list[Any] = []
    for kind in (NoisyLinear, TianshousNoisyLinear):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            layer: Any = kind(5, 3, 0.3).train(training)
            first = {name: weights.clone() for name, weights in layer.state_dict().items()}
            layer.sample()
            outputs = layer(torch.rand(7, 5))
        outputs.square().sum().backward()
        made.append([first, layer.state_dict(), outputs, layer.mu_W.grad, layer.sigma_bias.grad])
        assert [name for name, part in layer.named_parameters() if part.requires_grad] == [
            *("mu_W", "sigma_W", "mu_bias", "sigma_bias"),
        ]
    assert list(made[0][0]) == list(made[1][0])
    torch.testing.assert_close(made[0], made[1], rtol=0.0, atol=0.0)


def test_rainbows_atoms_reach_beyond_any_return() -> None:
    paper = load_scenario("paper")
    least, most = support(paper, 0.97)
    # A prophet's 1.32 per decision for ever, and four overloads at once.
    assert most > 1.32 / (1 - 0.97) * 0.75
    assert least <= -4 * paper.overload.penalty


def test_returns_of_reinforce() -> None:
    training: Any = small_trainer("reinforce", SMOKE, decisions_per_update=10_000).start(
        SMOKE, 200, seed=0
    )
    for _ in range(6):
        training.advance()
    part = training.learner
    places = part.replay.sample_indices(0)
    prepared = part.algorithm._preprocess_batch(part.replay[places], part.replay, places)
    rewards = part.replay.rew[places].reshape(8, 6)  # row by row
    returns = np.zeros((8, 7))
    for step in reversed(range(6)):
        returns[:, step] = rewards[:, step] + 0.5 * returns[:, step + 1]
    flat = returns[:, :6].ravel()
    expected = (flat - flat.mean()) / flat.std()
    np.testing.assert_allclose(prepared.returns, expected, atol=1e-5)


@pytest.mark.parametrize("name", ["ppo", "a2c", "ippo"])
def test_centred_rewards_are_those_less_their_mean(name: str) -> None:
    returns = []
    for centred in (False, True):
        trainer = make(name, SMOKE)
        assert isinstance(trainer, LearningTrainer)
        settings = SMALL | {"num_envs": 4, "decisions_per_update": 10_000, "centred": centred}
        trainer.config = replace(trainer.config, **settings)
        training: Any = trainer.start(SMOKE, 200, seed=0)
        for _ in range(6):
            training.advance()
        replay, algorithm = training.learner.replay, training.learner.algorithm
        batch, places = replay.sample(0)
        kept = np.array(batch.rew)
        prepared = algorithm._preprocess_batch(batch, replay, places)
        np.testing.assert_allclose(prepared.rew, kept - centred * kept.mean(), atol=1e-7)
        again, _ = replay.sample(0)
        np.testing.assert_array_equal(again.rew, kept)  # once, however often it is used
        returns.append(np.ravel(prepared.returns))
    assert kept.mean() != 0
    assert (returns[0] != returns[1]).all()


@pytest.mark.parametrize("entropy", [0.0, 0.3])
def test_reinforce_climbs_returns_and_entropy(entropy: float) -> None:
    """One step of plain gradient descent, against the gradient of the formula in the docstring."""
    settings = {"decisions_per_update": 10_000, "batch_size": 10_000, "entropy": entropy}
    training: Any = small_trainer("reinforce", SMOKE, **settings).start(SMOKE, 200, seed=0)
    for _ in range(6):
        training.advance()
    learner = training.learner
    places = learner.replay.sample_indices(0)
    batch = learner.algorithm._preprocess_batch(learner.replay[places], learner.replay, places)
    log_p = learner.actor(torch.as_tensor(batch.obs.obs), torch.as_tensor(batch.obs.mask))
    of_action = log_p.gather(1, torch.as_tensor(batch.act)[:, None]).squeeze(1)
    gain = of_action * torch.as_tensor(batch.returns, dtype=torch.float32)
    gain = gain - entropy * (log_p.exp() * log_p).sum(dim=1)
    weights = list(learner.actor.parameters())
    expected = torch.autograd.grad(-gain.mean(), weights)
    learner.algorithm._update_with_batch(batch, None, 1)
    for weight, gradient in zip(weights, expected, strict=True):
        torch.testing.assert_close(weight.grad, gradient, rtol=1e-4, atol=1e-7)


def drqn() -> PolicyAgent[Any]:
    """One with large random weights, which takes many actions."""
    agent = small_trainer("drqn", SMOKE).start(SMOKE, 8, seed=0).agent()
    assert isinstance(agent, DrqnAgent)
    for weight in agent.actor.parameters():
        weight.mul_(5.0)
    return agent


def test_drqn_decides_from_the_last_observations_of_its_own_row() -> None:
    agent = drqn()
    generator = np.random.default_rng(3)
    size = TianshouEnv(SMOKE, 1).envs.layout.size
    steps = generator.random((9, 5, size)).astype(np.float32)
    agent.reset(0)
    together = np.array([agent.act(step, {}) for step in steps])
    for row in range(5):
        agent.reset(0)
        alone = [int(agent.act(step[row : row + 1], {})[0]) for step in steps]
        assert alone == together[:, row].tolist()
    # What an observation is worth depends on those before it.
    actor: Any = agent.actor
    frames = torch.from_numpy(steps[:4, 0].reshape(1, -1)).double()
    other = frames.clone()
    other[:, :size] = 0.5
    assert not torch.equal(actor.network(frames), actor.network(other))
    assert len(set(together.ravel().tolist())) > 1


def test_drqn_sees_the_same_frames_in_training_and_evaluation() -> None:
    env = TianshouEnv(SMOKE, 2, frames=4)
    seen, _ = env.reset(seed=0)
    size = env.envs.layout.size
    assert not seen.obs[:, : 3 * size].any()
    first = seen.obs[:, 3 * size :].copy()
    after, *_ = env.step(np.zeros(2, dtype=np.int64))
    np.testing.assert_array_equal(after.obs[:, 2 * size : 3 * size], first)
    again, _ = env.reset([1])
    assert not again.obs[:, : 3 * size].any()


def test_settings_outside_their_range() -> None:
    with pytest.raises(AgentError, match="batch_size = 0"):
        small_trainer("ppo", SMOKE, batch_size=0)
    with pytest.raises(AgentError, match=r"gamma = 1\.5"):
        small_trainer("dqn", SMOKE, gamma=1.5)


def test_published_settings_can_be_stated() -> None:
    published = {"falling": False, "weight_decay": 1e-4, "n_step": 3, "gamma": 0.95}
    agent: Agent = learnt(small_trainer("dqn", SMOKE, **published), SMOKE, 64)
    assert agent.settings["falling"] is False
