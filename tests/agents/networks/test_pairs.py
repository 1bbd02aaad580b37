"""The network of legal pairs against a plain form of it, its features against the heuristics'."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from edge_marl.agents import load
from edge_marl.agents.heuristics.known import Known
from edge_marl.agents.heuristics.queueing import outstanding_share, pressure
from edge_marl.agents.heuristics.view import View
from edge_marl.agents.networks.pairs import (
    MOST_ROWS,
    PairActor,
    PairCritic,
    PairFeatures,
    PairNetwork,
    PairValue,
)
from edge_marl.agents.networks.places import legal_first
from edge_marl.agents.networks.priors import Shown
from edge_marl.agents.policy_gradient.agents import PpoAgent
from edge_marl.agents.policy_gradient.settings import PpoConfig
from edge_marl.agents.policy_gradient.trainers import PpoTrainer
from edge_marl.envs import EdgeAIGCVectorEnv
from edge_marl.errors import AgentError
from edge_marl.layout import ObservationLayout
from edge_marl.scenario import Scenario, load_scenario
from tests.worlds.learners import learnt

ROWS = 6


def shown(scenario: Scenario) -> tuple[Tensor, Tensor]:
    """Observations (ROWS, D) after 30 random decisions, and their masks (ROWS, A)."""
    envs = EdgeAIGCVectorEnv(ROWS, scenario=scenario)
    generator = np.random.default_rng(0)
    seen, info = envs.reset(seed=0)
    for _ in range(30):
        legal = info["action_mask"]
        seen, *_, info = envs.step((generator.random(legal.shape) * legal).argmax(axis=1))
    return torch.as_tensor(seen, dtype=torch.float64), torch.as_tensor(info["action_mask"]).bool()


def unequal(mask: Tensor) -> Tensor:
    """The mask with most of it taken away, a different number in each row; one is left."""
    kept = torch.rand(mask.shape, generator=torch.Generator().manual_seed(0)) < 0.3
    first = torch.zeros_like(mask).scatter(1, legal_first(mask)[:, :1], True)
    return mask & (kept | first)


def actor_of(scenario: Scenario) -> PairActor:
    torch.manual_seed(0)
    return PairActor(scenario, (16, 8)).double()


def plain(actor: PairActor, observation: Tensor, mask: Tensor) -> Tensor:
    """Every pair's score, then a softmax over the legal ones."""
    every = torch.arange(mask.shape[1]).expand(len(mask), -1)
    scores = actor.score.layers(actor.score.features(observation, every)).squeeze(-1)
    log_p: Tensor = scores.masked_fill(~mask, -torch.inf).log_softmax(dim=1)
    return log_p


@pytest.mark.parametrize("tier", ["smoke", "campus", "metro"])
@pytest.mark.parametrize("alike", [True, False])
def test_values_and_gradients_are_those_of_the_padded_form(tier: str, alike: bool) -> None:
    scenario = load_scenario(tier)
    observation, mask = shown(scenario)
    if not alike:
        mask = unequal(mask)
        assert len(set(mask.sum(dim=1).tolist())) > 1
    actor = actor_of(scenario)
    weights = list(actor.parameters())
    worth = torch.randn(mask.shape, dtype=torch.float64)
    values, gradients = [], []
    for log_p in (actor(observation, mask), plain(actor, observation, mask)):
        values.append(log_p[mask])
        gain = (log_p[mask].exp() * worth[mask]).sum()
        gradients.append(torch.autograd.grad(gain, weights))
    torch.testing.assert_close(values[0], values[1], rtol=0, atol=1e-12)
    for own, other in zip(*gradients, strict=True):
        torch.testing.assert_close(own, other, rtol=1e-9, atol=1e-12)
    assert (actor(observation, mask)[~mask].exp() == 0).all()


@pytest.mark.parametrize(
    "tier", ["campus@1", "campus@2", "metro@1", "metro@2", "nation", "studio@1", "studio@2"]
)
def test_worth_and_time_left_are_the_heuristics(tier: str) -> None:
    scenario = load_scenario(tier)
    observation, mask = shown(scenario)
    legal = legal_first(mask)
    features = PairFeatures(scenario)(observation, legal)
    time_left, worth = features[..., -3 if scenario.queue else -2], features[..., -1]
    info = {"action_mask": mask.numpy()}
    view = View(Known(scenario), observation.float().numpy(), info)
    value, until_end = (numbers.reshape(ROWS, -1) for numbers in (view.value, view.until_end_ms))
    if scenario.decline:
        no = -scenario.decline.price * view.weight.reshape(ROWS, 1)
        value, until_end = np.hstack([value, no]), np.hstack([until_end, np.zeros((ROWS, 1))])
    expected = torch.as_tensor(value).gather(1, legal)
    torch.testing.assert_close(worth, expected, rtol=0, atol=1e-6)
    takes = torch.as_tensor(until_end).gather(1, legal)
    layout = ObservationLayout(scenario)
    longest = max(layout.max_deadline_ms, 2)
    left = layout.feature("deadline left", observation.numpy())
    late = ((torch.as_tensor(left) - takes) / longest).clamp(-1.0, 1.0)
    if scenario.tasks.deadline_s:
        torch.testing.assert_close(time_left, late, rtol=0, atol=1e-6)
    if scenario.queue:
        pressed = pressure(view, view.duration_ms > 0, outstanding_share(view)).reshape(ROWS, -1)
        pressed = np.hstack([pressed, np.zeros((ROWS, len(value[0]) - len(pressed[0])))])
        expected = torch.as_tensor(pressed).gather(1, legal)
        torch.testing.assert_close(features[..., -2], expected, rtol=1e-4, atol=1e-4)


def own_server_first(layout: ObservationLayout) -> Tensor:
    """The gateway's own server, and the others in another order."""
    others = torch.randperm(layout.num_servers - 1, generator=torch.Generator().manual_seed(1))
    return torch.cat([torch.zeros(1, dtype=torch.int64), 1 + others])


@pytest.mark.parametrize("tier", ["metro@1", "campus@2"])
def test_a_pair_shows_whether_the_server_is_the_gateways_own(tier: str) -> None:
    scenario = load_scenario(tier)
    observation, mask = shown(scenario)
    action = legal_first(mask)
    flag = -3 - bool(scenario.decline) - bool(scenario.queue)
    is_own = PairFeatures(scenario)(observation, action)[..., flag]
    first = action < ObservationLayout(scenario).num_choices
    assert torch.equal(is_own, first.double())
    assert 0 < first.sum() < first.numel()


def test_a_server_and_its_services_may_stand_anywhere() -> None:
    """With others than its own in another order pairs keep their scores, the state its value."""
    scenario = load_scenario("metro@1")
    observation, mask = shown(scenario)
    layout = ObservationLayout(scenario)
    order = own_server_first(layout)
    task, servers, services = layout.unflatten(observation)
    moved = torch.cat([task, servers[:, order].flatten(1), services[:, order].flatten(1)], dim=1)
    grid = (ROWS, layout.num_servers, layout.num_services)
    moved_mask = mask.view(grid)[:, order].flatten(1)
    actor, value = actor_of(scenario), PairValue(layout, (8,)).double()
    expected = actor(observation, mask).view(grid)[:, order].flatten(1)
    torch.testing.assert_close(actor(moved, moved_mask), expected)
    torch.testing.assert_close(value(moved), value(observation))
    assert value(observation).shape == (ROWS, 1)


def test_without_masks_a_pair_has_the_value_that_it_has_among_legal_ones() -> None:
    scenario = load_scenario("metro")
    observation, mask = shown(scenario)
    network = PairNetwork(scenario, (16, 8), nothing=True).double()
    critic = PairCritic(scenario, (16, 8)).double()
    critic.load_state_dict(network.state_dict())
    values = network(observation)
    torch.testing.assert_close(values[:, :-1][mask], critic(observation, mask)[mask])
    torch.testing.assert_close(values[:, -1:], network.value(observation))


def test_many_rows_have_the_features_that_each_has_alone() -> None:
    scenario = load_scenario("metro")
    observation, mask = (part.repeat(200, 1) for part in shown(scenario))
    legal = legal_first(mask)
    assert len(legal) > 2 * MOST_ROWS
    assert len(legal) % MOST_ROWS
    features = PairFeatures(scenario)
    own = features(observation, legal)
    for row in (0, MOST_ROWS, len(legal) - 1):
        alone = features(observation[[row]], legal[[row]])
        torch.testing.assert_close(own[[row]], alone, rtol=0, atol=0)


def test_a_row_without_a_legal_action_disturbs_no_other() -> None:
    scenario = load_scenario("metro")
    observation, mask = shown(scenario)
    actor = actor_of(scenario)
    expected = actor(observation, mask)
    mask[2] = False
    kept = [0, 1, 3, 4, 5]
    torch.testing.assert_close(actor(observation, mask)[kept], expected[kept])


@pytest.mark.parametrize(("tier", "heuristic"), [("metro@1", "prophet"), ("metro@2", "max-weight")])
def test_untrained_scores_are_those_of_the_heuristic_that_they_begin_with(
    tier: str, heuristic: Any
) -> None:
    scenario = load_scenario(tier)
    observation, mask = shown(scenario)
    actor = PairActor(scenario, (16, 16), Shown(heuristic, 0.05)).double()
    features = PairFeatures(scenario)(observation, legal_first(mask))
    value = features[..., -1] - (features[..., -2] if heuristic == "max-weight" else 0.0)
    found = actor(observation, mask).gather(1, legal_first(mask))
    torch.testing.assert_close(found, (value / 0.05).log_softmax(dim=-1))


@pytest.mark.parametrize(
    ("tier", "prior", "message"),
    [
        ("paper", "prophet", "services of the base model do not show what they are worth"),
        ("metro@1", "max-weight", "servers of this scenario have no lines; take prophet"),
    ],
)
def test_a_prior_that_is_not_seen_is_refused(tier: str, prior: Any, message: str) -> None:
    with pytest.raises(AgentError, match=f"prior = {prior}: {message}"):
        PairActor(load_scenario(tier), (16, 16), Shown(prior, 0.05))


def test_a_policy_may_be_drawn_from() -> None:
    scenario = load_scenario("metro@2")
    observation, mask = shown(scenario)
    config = PpoConfig(network="pairs", hidden=(16, 16), prior="prophet", temperature=1.0)
    agent = PpoAgent(scenario, config, PpoAgent.build_actor(scenario, config))
    assert PpoAgent.deterministic
    assert not agent.deterministic
    seen, info = observation.float().numpy(), {"action_mask": mask.numpy()}
    drawn = []
    for seed in range(400):
        agent.reset(seed)
        drawn.append(agent.act(seen, info)[0])
    found = np.bincount(drawn, minlength=scenario.num_actions) / len(drawn)
    expected = agent.actor(observation[:1], mask[:1])[0].exp().numpy()
    np.testing.assert_allclose(found, expected, atol=0.1)
    assert len(set(drawn)) > 1


def test_a_trained_agent_is_loaded_and_moves_to_another_tier(tmp_path: Path) -> None:
    campus, metro = load_scenario("campus@1"), load_scenario("metro@1")
    settings: dict[str, Any] = {"num_envs": 8, "decisions_per_update": 32, "batch_size": 32}
    config = PpoConfig(network="pairs", hidden=(16, 16), **settings)
    agent = learnt(PpoTrainer(campus, config), campus, 64)
    agent.save(tmp_path)
    observation, mask = shown(campus)
    seen, info = observation.float().numpy(), {"action_mask": mask.numpy()}
    again = load(tmp_path, campus)
    np.testing.assert_array_equal(again.act(seen, info), agent.act(seen, info))
    observation, mask = shown(metro)
    seen, info = observation.float().numpy(), {"action_mask": mask.numpy()}
    action = load(tmp_path, metro, transfer=True).act(seen, info)
    assert info["action_mask"][np.arange(ROWS), action].all()
