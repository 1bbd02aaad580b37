"""Attention over servers, then legal pairs only: against all pairs, and what must not matter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tianshou.data import Batch
from torch import Tensor

from edge_marl.agents import load
from edge_marl.agents.networks.diffusion import PairDiffusionActor, make_schedule
from edge_marl.agents.networks.pair_tokens import PairTokenCritic
from edge_marl.agents.on_tianshou.on_batch import OnBatch, seen_once
from edge_marl.agents.soft_actor_critic.settings import AdsacConfig
from edge_marl.agents.soft_actor_critic.trainers import AdsacTrainer
from edge_marl.layout import ObservationLayout
from edge_marl.scenario import Scenario, load_scenario
from tests.agents.networks.test_pairs import ROWS, own_server_first, shown, unequal
from tests.worlds.learners import learnt

TIERS = ["smoke", "paper", "campus", "metro"]


def critic_of(scenario: Scenario, *, attention: bool = True) -> PairTokenCritic:
    torch.manual_seed(0)
    return PairTokenCritic(scenario, 16, attention=attention).double()


def actor_of(scenario: Scenario, draws: int = 2) -> PairDiffusionActor:
    torch.manual_seed(0)
    schedule = make_schedule(5, 0.1, 10.0)
    parts: dict[str, Any] = {"width": 16, "denoiser_width": 8, "noise_draws": draws}
    return PairDiffusionActor(scenario, schedule=schedule, **parts).double()


def noise_of(actor: PairDiffusionActor) -> Tensor:
    return actor.draw_noise(1, torch.Generator().manual_seed(0))


@pytest.mark.parametrize("tier", TIERS)
def test_a_legal_pairs_value_is_that_among_all_pairs(tier: str) -> None:
    scenario = load_scenario(tier)
    observation, mask = shown(scenario)
    every = torch.ones_like(mask)
    critic = critic_of(scenario)
    for legal in (mask, unequal(mask)):
        values = critic(observation, legal)
        torch.testing.assert_close(values[legal], critic(observation, every)[legal])
        assert (values[~legal] == torch.finfo(values.dtype).min).all()


@pytest.mark.parametrize("tier", TIERS)
def test_a_draws_probabilities_are_those_of_all_pairs_but_for_their_sum(tier: str) -> None:
    scenario = load_scenario(tier)
    observation, mask = shown(scenario)
    legal = unequal(mask)
    actor = actor_of(scenario, draws=1)
    noise = noise_of(actor)
    every = actor(observation, torch.ones_like(mask), noise=noise)
    expected = every.masked_fill(~legal, -torch.inf).log_softmax(dim=1)
    own = actor(observation, legal, noise=noise)
    torch.testing.assert_close(own[legal], expected[legal])
    assert (own[~legal].exp() == 0).all()


def test_the_policy_is_the_mean_of_the_draws_probabilities() -> None:
    scenario = load_scenario("metro")
    observation, mask = shown(scenario)
    actor = actor_of(scenario, draws=3)
    noise = noise_of(actor)
    each = [actor(observation, mask, noise=noise[:, [m]]).exp() for m in range(3)]
    torch.testing.assert_close(actor(observation, mask, noise=noise).exp(), sum(each) / 3)


def test_fresh_noise_differs_between_rows_and_given_noise_is_shared() -> None:
    scenario = load_scenario("metro")
    observation, mask = (part[:1].expand(4, -1) for part in shown(scenario))
    actor = actor_of(scenario)
    fresh = actor(observation, mask)
    assert not torch.allclose(fresh[0], fresh[1])
    shared = actor(observation, mask, noise=noise_of(actor))
    torch.testing.assert_close(shared, shared[:1].expand(4, -1))


@pytest.mark.parametrize("tier", ["smoke", "metro"])
def test_gradients_are_finite_where_masks_differ_and_where_nothing_is_legal(tier: str) -> None:
    scenario = load_scenario(tier)
    observation, mask = shown(scenario)
    mask = unequal(mask)
    mask[2] = False
    actor, critic = actor_of(scenario), critic_of(scenario)
    log_p, values = actor(observation, mask), critic(observation, mask)
    has = mask.any(dim=1)
    assert (log_p[has].exp() * values.clamp_min(-1e9)[has]).sum().isfinite()
    (log_p[has].exp() * log_p[has]).sum().backward()
    values[mask].sum().backward()
    for network in (actor, critic):
        assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


def test_a_server_and_its_services_may_stand_anywhere() -> None:
    """But for the gateway's own, which a pair is told of."""
    scenario = load_scenario("metro@1")
    observation, mask = shown(scenario)
    layout = ObservationLayout(scenario)
    order = own_server_first(layout)
    task, servers, services = layout.unflatten(observation)
    moved = torch.cat([task, servers[:, order].flatten(1), services[:, order].flatten(1)], dim=1)
    grid = (ROWS, layout.num_servers, layout.num_services)
    critic = critic_of(scenario)
    expected = critic(observation, mask).view(grid)[:, order].flatten(1)
    torch.testing.assert_close(critic(moved, mask.view(grid)[:, order].flatten(1)), expected)


@pytest.mark.parametrize("attention", [True, False])
def test_servers_see_each_other_by_attention_only(attention: bool) -> None:
    """The last server's free capacity changes: what is said of the first one's services?"""
    scenario = load_scenario("metro")
    observation, mask = shown(scenario)
    layout = ObservationLayout(scenario)
    changed = observation.clone()
    free = next(f for f in layout.features if f.name == "server free share")
    changed[:, free.indices[-1]] = 1.0 - changed[:, free.indices[-1]]
    critic = critic_of(scenario, attention=attention)
    first = slice(0, layout.num_services)
    before, after = critic(observation, mask)[:, first], critic(changed, mask)[:, first]
    assert torch.equal(before, after) is not attention


def test_what_an_actor_and_critics_both_see_is_computed_once() -> None:
    scenario = load_scenario("metro")
    observation, mask = shown(scenario)
    actor = OnBatch(actor_of(scenario), actor=True)
    critic = OnBatch(critic_of(scenario), actor=False)
    obs: Any = Batch(obs=observation, mask=mask)
    once = seen_once(obs, actor, critic)
    assert set(once.get_keys()) == {"mask", "pair tokens"}
    torch.testing.assert_close(critic(once), critic(obs))
    noise = noise_of(actor.network)
    once["pair tokens"]["noise"] = noise
    own, _ = actor(once)
    torch.testing.assert_close(own, actor.network(observation, mask, noise=noise))


def test_a_trained_agent_is_loaded_and_moves_to_another_tier(tmp_path: Path) -> None:
    campus, metro = load_scenario("campus@1"), load_scenario("metro@1")
    settings: dict[str, Any] = {"num_envs": 8, "decisions_per_update": 32, "batch_size": 32}
    config = AdsacConfig(network="pairs", width=16, denoiser_width=8, **settings)
    agent = learnt(AdsacTrainer(campus, config), campus, 64)
    agent.save(tmp_path)
    for scenario in (campus, metro):
        observation, mask = (part.numpy() for part in shown(scenario))
        seen, info = observation.astype(np.float32), {"action_mask": mask}
        again = load(tmp_path, scenario, transfer=scenario is metro)
        again.reset(3)
        action = again.act(seen, info)
        assert mask[np.arange(ROWS), action].all()
        alone = [again.act(seen[[row]], {"action_mask": mask[[row]]})[0] for row in range(ROWS)]
        np.testing.assert_array_equal(alone, action)
        if scenario is campus:
            agent.reset(3)
            np.testing.assert_array_equal(agent.act(seen, info), action)
