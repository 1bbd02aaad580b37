"""The schedule against its closed form, the chain against what it must do."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention, silu

from edge_marl.agents.networks.attention import TokenCritic, TokenEncoder
from edge_marl.agents.networks.diffusion import DiffusionActor, hidden_layer, make_schedule
from edge_marl.agents.networks.flat import FlatActor, FlatNetwork
from edge_marl.envs import EdgeAIGCVectorEnv
from edge_marl.layout import ObservationLayout
from edge_marl.scenario import Scenario, load_scenario

PAPER, SMOKE = load_scenario("paper"), load_scenario("smoke")
T, BETA_MIN, BETA_MAX = 5, 0.1, 10.0


def abar(t: int) -> float:
    """Product of alpha_1..alpha_t: the exponents telescope, since 1 + 3 + ... + (2t - 1) = t^2."""
    return math.exp(-BETA_MIN * t / T - (BETA_MAX - BETA_MIN) * t**2 / (2 * T**2))


def small_actor(scenario: Scenario, draws: int = 2) -> DiffusionActor:
    torch.manual_seed(0)
    return DiffusionActor(
        ObservationLayout(scenario),
        width=16,
        schedule=make_schedule(T, BETA_MIN, BETA_MAX),
        denoiser_width=8,
        noise_draws=draws,
    ).double()


def observations(scenario: Scenario, rows: int = 6) -> Tensor:
    envs = EdgeAIGCVectorEnv(rows, scenario=scenario)
    envs.reset(seed=0)
    for step in range(30):
        seen, *_ = envs.step((np.arange(rows) + step) % scenario.num_actions)
    return torch.as_tensor(seen, dtype=torch.float64)


def test_published_values_at_the_ends() -> None:
    assert abar(1) == pytest.approx(math.exp(-0.1 / 5 - 9.9 / 50))
    assert abar(5) == pytest.approx(0.0064, abs=1e-4)


@pytest.mark.parametrize("t", range(1, T + 1))
def test_schedule_is_the_posterior_of_the_closed_form(t: int) -> None:
    """Bayes: q(x_{t-1} | x_t, x_0) is prior q(x_{t-1} | x_0) times likelihood q(x_t | x_{t-1})."""
    schedule = make_schedule(T, BETA_MIN, BETA_MAX)
    alpha, before = abar(t) / abar(t - 1), abar(t - 1)
    from_x0, from_xt, noise, _ = (part[t - 1] for part in schedule)
    if t == 1:
        assert (from_x0, from_xt, noise) == pytest.approx((1.0, 0.0, 0.0), abs=1e-12)
        return
    precision = 1 / (1 - before) + alpha / (1 - alpha)
    assert noise**2 == pytest.approx(1 / precision)
    assert from_x0 == pytest.approx(math.sqrt(before) / (1 - before) / precision)
    assert from_xt == pytest.approx(math.sqrt(alpha) / (1 - alpha) / precision)


def test_chain_keeps_the_marginals() -> None:
    """With the true x_0 as prediction, x_{t-1} ~ N(sqrt(abar_{t-1}) x_0, 1 - abar_{t-1})."""
    schedule, x0 = make_schedule(T, BETA_MIN, BETA_MAX), 1.7
    mean, variance = math.sqrt(abar(T)) * x0, 1 - abar(T)
    for t in range(T, 0, -1):
        from_x0, from_xt, noise, _ = (part[t - 1] for part in schedule)
        mean, variance = from_x0 * x0 + from_xt * mean, from_xt**2 * variance + noise**2
        assert mean == pytest.approx(math.sqrt(abar(t - 1)) * x0)
        assert variance == pytest.approx(1 - abar(t - 1))


def test_the_denoisers_gradients_by_hand_are_those_of_its_function() -> None:
    generator = torch.Generator().manual_seed(0)
    shapes = (3, 4, 5), (2, 3, 4), (5,), (5,)  # B = 3, A = 4, H = 5, M = 2
    parts = [torch.randn(s, generator=generator, dtype=torch.float64) for s in shapes]
    state, x, of_x, out = (part.requires_grad_() for part in parts)
    expected = (silu(state + x[..., None] * of_x) * out).sum(-1)
    assert torch.allclose(hidden_layer(state, x, of_x, out), expected)
    assert torch.autograd.gradcheck(hidden_layer, (state, x, of_x, out))


def test_the_end_of_the_chain_is_the_last_prediction() -> None:
    actor, seen = small_actor(PAPER), observations(PAPER)

    class Constant(nn.Module):
        def forward(self, state: Tensor, x: Tensor, step: int) -> Tensor:
            return torch.full_like(x, float(step))

    noise = actor.draw_noise(len(seen), torch.Generator().manual_seed(0))
    actor.denoiser = Constant()  # type: ignore[assignment]  # stands in for the network
    assert torch.allclose(actor.denoise(seen, noise), torch.zeros(1, dtype=torch.float64))


def test_policy_is_the_mean_of_the_draws_probabilities() -> None:
    actor, seen = small_actor(PAPER, draws=3), observations(PAPER)
    mask = torch.ones(len(seen), PAPER.num_actions, dtype=torch.bool)
    noise = actor.draw_noise(len(seen), torch.Generator().manual_seed(0))
    each = [actor(seen, mask, noise[:, [m]]).exp() for m in range(3)]
    mixture = actor(seen, mask, noise).exp()
    assert torch.allclose(mixture, sum(each) / 3)
    assert torch.allclose(mixture.sum(-1), torch.ones((), dtype=torch.float64))
    # Entropy is concave: the mixture's is above the draws' mean, which is what one draw would say.
    entropies = [-(p * p.log()).sum(-1) for p in (mixture, *each)]
    assert (entropies[0] > sum(entropies[1:]) / 3).all()


def test_fresh_noise_differs_between_rows_and_given_noise_is_shared() -> None:
    actor = small_actor(PAPER)
    seen = observations(PAPER)[:1].expand(4, -1)
    mask = torch.ones(4, PAPER.num_actions, dtype=torch.bool)
    fresh = actor(seen, mask)
    assert not torch.allclose(fresh[0], fresh[1])
    shared = actor(seen, mask, actor.draw_noise(1, torch.Generator().manual_seed(0)))
    assert torch.allclose(shared, shared[0])


@pytest.mark.parametrize("kind", ["diffusion", "flat"])
def test_masked_actions_have_no_probability_and_spoil_no_gradient(kind: str) -> None:
    actor: nn.Module = small_actor(SMOKE)
    if kind == "flat":
        actor = FlatActor(ObservationLayout(SMOKE), (8,)).double()
    seen = observations(SMOKE)
    mask = torch.ones(len(seen), SMOKE.num_actions, dtype=torch.bool)
    mask[:, 1] = False
    mask[0, 1:] = False
    dist: Any = torch.distributions.Categorical(logits=actor(seen, mask))
    assert (dist.probs[~mask] == 0).all()
    assert dist.entropy()[0].item() == pytest.approx(0.0)
    loss = (dist.probs * torch.randn(len(seen), SMOKE.num_actions)).sum() + dist.entropy().sum()
    loss.backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in actor.parameters())


@pytest.mark.parametrize("scenario", [PAPER, SMOKE, load_scenario("agod")])
def test_servers_may_be_renumbered(scenario: Scenario) -> None:
    """Permuting servers, with what was learnt about each, permutes the scores and nothing else."""
    layout = ObservationLayout(scenario)
    torch.manual_seed(0)
    critic, seen = TokenCritic(layout, 16).double(), observations(scenario)
    order = torch.randperm(layout.num_servers)
    task, servers, _ = layout.unflatten(seen)
    moved = torch.cat([task, servers[:, order].flatten(1)], dim=1)
    before = critic(seen).unflatten(1, (layout.num_servers, -1))
    with torch.no_grad():
        critic.encoder.identity.copy_(critic.encoder.identity[order])
        critic.pairs.key.copy_(critic.pairs.key[order])
    after = critic(moved).unflatten(1, (layout.num_servers, -1))
    assert torch.allclose(after, before[:, order])


def test_attention_in_two_products_is_pytorchs() -> None:
    torch.manual_seed(0)
    encoder = TokenEncoder(ObservationLayout(PAPER), 16).double()
    tokens = torch.randn(4, 11, 16, dtype=torch.float64)
    query, key, value = encoder.attend(tokens)[:, None].chunk(3, dim=-1)
    attended = scaled_dot_product_attention(query, key, value)[:, 0]
    assert torch.allclose(encoder.mixed(tokens), encoder.attended(attended))


def test_derived_features_are_those_of_the_decoded_observation() -> None:
    layout, seen = ObservationLayout(PAPER), observations(PAPER, rows=50)
    _, servers, _ = FlatNetwork(layout, (8,)).features(seen)
    decoded = layout.decode(seen.numpy())
    room = decoded.free - decoded.demand[:, None]
    assert np.allclose(servers[..., 2], decoded.free / layout.max_capacity, atol=1e-6)
    assert np.allclose(servers[..., 3], np.clip(room / layout.max_demand, -1, 1), atol=1e-6)
    assert (servers[..., 4].numpy() == (room >= 0)).all()
