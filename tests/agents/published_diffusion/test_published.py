"""The published diffusion policies: their sizes, what depends on what, and their losses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from tianshou.data import Batch
from torch import Tensor, nn

from edge_marl.agents import make
from edge_marl.agents.networks.diffusion import make_schedule
from edge_marl.agents.published_diffusion.agents import AdsacPublishedAgent, D2sacAgent
from edge_marl.agents.published_diffusion.losses import published_learner
from edge_marl.agents.published_diffusion.networks import (
    AttentionDenoiser,
    Critics,
    DiffusionPolicy,
    PlainDenoiser,
)
from edge_marl.agents.published_diffusion.settings import PublishedConfig
from edge_marl.agents.training.trainer import LearningTrainer
from edge_marl.errors import AgentError
from edge_marl.layout import ObservationLayout
from edge_marl.scenario import load_scenario
from tests.agents.training.test_training import PLAIN, utility_per_task

SMOKE = load_scenario("smoke")
S, A = 36, 40
SMOKE_SIZE = ObservationLayout(SMOKE).size
SEED = np.random.SeedSequence(0)
AGENTS = {"adsac-published": AdsacPublishedAgent, "d2sac": D2sacAgent}
both = pytest.mark.parametrize("name", AGENTS)


def count(network: nn.Module) -> int:
    return sum(weights.numel() for weights in network.parameters())


def test_sizes_are_the_published_ones() -> None:
    assert count(AttentionDenoiser(S, A)) == 491_288
    assert count(PlainDenoiser(S, A)) == 138_008
    assert count(Critics(S, A)) == 171_088
    # The published observation has ten constants more than ours.
    assert ObservationLayout(load_scenario("paper")).size + 10 == S


def outputs(kind: Any, alone: bool) -> tuple[Tensor, Tensor]:
    """Log-probabilities of a row in a batch of 64, and by itself, with the same noise."""
    torch.manual_seed(0)
    policy = DiffusionPolicy(kind(S, A), make_schedule(5, 0.1, 10.0), A).eval().double()
    seen, noise = torch.rand(64, S).double(), torch.randn(64, 5, A).double()
    mask = torch.ones(64, A, dtype=torch.bool)
    with torch.no_grad():
        return (
            policy(seen, mask, noise, alone=alone)[:1],
            policy(seen[:1], mask[:1], noise[:1], alone=alone),
        )


def test_attention_is_over_the_batch_and_only_there() -> None:
    together, single = outputs(AttentionDenoiser, alone=False)
    assert (together - single).abs().max() > 1e-3
    together, single = outputs(AttentionDenoiser, alone=True)
    torch.testing.assert_close(together, single)
    together, single = outputs(PlainDenoiser, alone=False)
    torch.testing.assert_close(together, single)


def test_a_batch_of_one_is_a_row_by_itself() -> None:
    network = AttentionDenoiser(S, A).eval()
    x, seen = torch.randn(1, A), torch.rand(1, S)
    torch.testing.assert_close(network(x, 3, seen, alone=True), network(x, 3, seen, alone=False))


def test_dropout_is_on_in_training_with_attention_only() -> None:
    x, seen = torch.randn(4, A), torch.rand(4, S)
    attention, plain = AttentionDenoiser(S, A).train(), PlainDenoiser(S, A).train()
    assert not torch.equal(attention(x, 1, seen, False), attention(x, 1, seen, False))
    assert torch.equal(plain(x, 1, seen, False), plain(x, 1, seen, False))


def test_noise_is_taken_off_as_published() -> None:
    """One denoising step by hand: x_0 from the predicted noise, then the posterior's mean."""
    schedule = make_schedule(2, 0.1, 10.0)
    policy = DiffusionPolicy(PlainDenoiser(S, A), schedule, A)
    seen, noise = torch.rand(1, S), torch.randn(1, 2, A)
    alphas = [np.exp(-0.1 / 2 - 9.9 * (2 * t - 1) / (2 * 4)) for t in (1, 2)]
    x = noise[:, 1]
    for t in (2, 1):
        abar, before = np.prod(alphas[:t]), np.prod(alphas[: t - 1])
        predicted = policy.denoiser(x, t - 1, seen, False)
        x0 = (x - np.sqrt(1 - abar) * predicted) / np.sqrt(abar)
        beta = 1 - alphas[t - 1]
        x = (
            np.sqrt(before) * beta / (1 - abar) * x0
            + np.sqrt(alphas[t - 1]) * (1 - before) / (1 - abar) * x
        )
        if t == 2:
            x = x + np.sqrt(beta * (1 - before) / (1 - abar)) * noise[:, 0]
    got = policy(seen, torch.ones(1, A, dtype=torch.bool), noise)
    torch.testing.assert_close(got, x.float().log_softmax(-1), atol=1e-4, rtol=1e-4)


def small(name: str, **settings: Any) -> LearningTrainer:
    trainer = make(name, SMOKE)
    assert isinstance(trainer, LearningTrainer)
    trainer.config = PublishedConfig(**{"batch_size": 16, "collect": 20, **settings})
    return trainer


def steps(rows: int) -> Any:
    training: Any = small("d2sac", num_envs=rows).start(SMOKE, 40 * rows, seed=1)
    for _ in range(12):
        training.advance()
    return training.learner


def linear(weights: dict[str, Tensor], name: str, x: Tensor) -> Tensor:
    return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]


def mish(x: Tensor) -> Tensor:
    return x * torch.tanh(torch.log1p(torch.exp(x)))


def noise_by_hand(w: dict[str, Tensor], x: Tensor, step: int, seen: Tensor) -> Tensor:
    """The predicted noise from the weights alone, with no dropout; attention over all rows."""
    angles = (step * 10_000.0 ** (-torch.arange(8) / 7)).expand(len(x), 8)
    time = torch.cat([angles.sin(), angles.cos()], dim=1)
    time = linear(w, "inputs.time.2", mish(linear(w, "inputs.time.0", time)))
    parts = [mish(linear(w, f"inputs.{n}.0", v)) for n, v in (("action", x), ("state", seen))]
    features = torch.cat([parts[0], time, parts[1]], dim=1)
    if "norm.weight" not in w:
        hidden = mish(linear(w, "body.1.0", mish(linear(w, "body.0.0", features))))
        return torch.tanh(linear(w, "body.2", hidden))
    hidden = mish(linear(w, "first.0", features))
    query, key, value = (
        hidden @ w["attention.in_proj_weight"].T + w["attention.in_proj_bias"]
    ).chunk(3, dim=1)
    attended = linear(w, "attention.out_proj", (query @ key.T / 16).softmax(dim=1) @ value)
    y = hidden + attended
    y = (y - y.mean(1, keepdim=True)) / (y.var(1, unbiased=False, keepdim=True) + 1e-5).sqrt()
    y = y * w["norm.weight"] + w["norm.bias"]
    beside = mish(linear(w, "beside.0.0", torch.cat([x, time, seen], dim=1)))
    y = y + mish(linear(w, "beside.1", beside))
    return torch.tanh(linear(w, "last.1", mish(linear(w, "last.0.0", y))))


def policy_by_hand(network: nn.Module, seen: Tensor, mask: Tensor) -> Tensor:
    """Probabilities (B, A); the noise is what torch draws next."""
    w = {k.removeprefix("denoiser."): v for k, v in network.state_dict().items()}
    noise = torch.randn(len(seen), 5, mask.shape[1])
    alphas = np.exp([-0.1 / 5 - 9.9 * (2 * t - 1) / 50 for t in range(1, 6)])
    x = noise[:, 4]
    for t in range(5, 0, -1):
        alpha, abar, before = alphas[t - 1], np.prod(alphas[:t]), np.prod(alphas[: t - 1])
        x0 = (x - np.sqrt(1 - abar) * noise_by_hand(w, x, t - 1, seen)) / np.sqrt(abar)
        x = np.sqrt(before) * (1 - alpha) * x0 + np.sqrt(alpha) * (1 - before) * x
        x = x / (1 - abar)
        if t > 1:
            x = x + np.sqrt((1 - alpha) * (1 - before) / (1 - abar)) * noise[:, t - 2]
    return x.masked_fill(~mask, -torch.inf).softmax(dim=1).float()


def q_by_hand(critics: nn.Module, seen: Tensor) -> list[Tensor]:
    w, found = critics.state_dict(), []
    for one in ("first", "second"):
        hidden = mish(linear(w, f"{one}.1.0", mish(linear(w, f"{one}.0.0", seen))))
        found.append(linear(w, f"{one}.2", hidden))
    return found


def without_dropout(network: nn.Module) -> None:
    for part in network.modules():
        if isinstance(part, nn.Dropout):
            part.p = 0.0
        if isinstance(part, nn.MultiheadAttention):
            part.dropout = 0.0


def ready(name: str, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, dict[str, float]]:
    """A learner whose six networks all differ; the losses of its next update are written down."""
    training: Any = small(name, num_envs=3, collect=1000).start(SMOKE, 300, seed=1)
    while not training.done:
        training.advance()
    learner, losses = training.learner, {}
    algorithm = learner.algorithm
    torch.manual_seed(3)
    for network in (algorithm.target_actor, algorithm.target_critics):
        for weights in network.parameters():
            weights.add_(0.05 * torch.randn_like(weights))
    for part in ("critic_step", "actor_step"):
        step = getattr(algorithm, part).step

        def keep(loss: Tensor, part: str = part, step: Any = step) -> None:
            losses[part] = loss.item()
            step(loss)

        monkeypatch.setattr(getattr(algorithm, part), "step", keep)
    algorithm.policy.is_within_training_step = True
    return learner, losses


@both
def test_an_update_is_that_of_the_equations(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with torch.random.fork_rng(devices=[]):
        learner, losses = ready(name, monkeypatch)
        algorithm, replay = learner.algorithm, learner.replay
        without_dropout(algorithm)
        # Sums over three decisions, and shorter ones: before and at an end of either kind, and at
        # the end of what was collected. (Episodes of `smoke` do not terminate by themselves.)
        replay.terminated[[20, 21, 150]] = replay.done[[20, 21, 150, 60, 250]] = True
        replay.truncated[[60, 250]] = True
        places = np.arange(len(replay))
        monkeypatch.setattr(replay, "sample_indices", lambda size: places)
        rewards, last, go_on = [], [], []
        for place in places.tolist():
            total, here = 0.0, place
            for i in range(3):
                total += 0.95**i * float(replay.rew[here])
                if replay.terminated[here] or replay.next(here) == here or i == 2:
                    break
                here = int(replay.next(here))
            rewards.append(total)
            last.append(here)
            go_on.append(0.0 if replay.terminated[here] else 0.95 ** (i + 1))
        torch.manual_seed(11)
        after, legal = (torch.as_tensor(replay.obs_next[k][last]) for k in ("obs", "mask"))
        seen, mask = (torch.as_tensor(replay.obs[k][places]) for k in ("obs", "mask"))
        value = policy_by_hand(algorithm.target_actor, after, legal)
        value = (value * torch.minimum(*q_by_hand(algorithm.target_critics, after))).sum(1)
        target = torch.tensor(rewards) + torch.tensor(go_on) * value
        action = torch.as_tensor(replay.act[places])
        rows = torch.arange(len(places))
        critic_loss = sum(
            (q[rows, action] - target).square().mean() for q in q_by_hand(algorithm.critics, seen)
        )
        p = policy_by_hand(algorithm.actor, seen, mask)
        torch.manual_seed(11)
        algorithm.update(buffer=replay, sample_size=len(places))
        q = torch.minimum(*q_by_hand(algorithm.critics, seen))  # the critics have moved before
    actor_loss = -(0.05 * torch.special.entr(p).sum(1) + (p * q).sum(1)).mean()
    assert losses["critic_step"] == pytest.approx(float(critic_loss), rel=1e-4)
    assert losses["actor_step"] == pytest.approx(float(actor_loss), rel=1e-4)


def test_targets_have_dropout_with_attention(monkeypatch: pytest.MonkeyPatch) -> None:
    """Published so: the target actor is in training mode, and its four dropouts are on."""
    with torch.random.fork_rng(devices=[]):
        learner, _ = ready("adsac-published", monkeypatch)
        target, on = learner.algorithm.target_actor, []
        for part in target.modules():
            if isinstance(part, nn.Dropout | nn.MultiheadAttention):
                rate = part.p if isinstance(part, nn.Dropout) else part.dropout
                part.register_forward_hook(
                    lambda module, *_, rate=rate: on.append((module.training, rate))
                )
        target.eval()
        learner.algorithm.update(buffer=learner.replay, sample_size=16)
    assert on == [(True, 0.4)] * (5 * 4)


@both
def test_optimisers_are_the_published_ones(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with torch.random.fork_rng(devices=[]):
        algorithm = ready(name, monkeypatch)[0].algorithm
    for part, rate in (("actor_step", 1e-4), ("critic_step", 1e-3)):
        (group,) = getattr(algorithm, part)._optim.param_groups
        assert (group["lr"], group["weight_decay"]) == (rate, 1e-4)


@pytest.mark.parametrize("wrong", [{"beta_max": -3.0}, {"actor_learning_rate": 0.0}])
def test_settings_outside_their_range_are_errors(wrong: dict[str, Any]) -> None:
    with pytest.raises(AgentError, match=next(iter(wrong))):
        PublishedConfig(**wrong)


def test_an_update_moves_all_networks_and_targets_slowly() -> None:
    learner = steps(2)
    algorithm = learner.algorithm
    parts = ("actor", "critics", "target_actor", "target_critics")
    before = {p: [w.detach().clone() for w in getattr(algorithm, p).parameters()] for p in parts}
    algorithm.policy.is_within_training_step = True
    with torch.random.fork_rng(devices=[]):
        algorithm.update(buffer=learner.replay, sample_size=16)
    for part in parts:
        assert any(
            not torch.equal(old, new)
            for old, new in zip(before[part], getattr(algorithm, part).parameters(), strict=True)
        )
    for part in ("actor", "critics"):
        old = before[f"target_{part}"]
        new = list(getattr(algorithm, f"target_{part}").parameters())
        fast = list(getattr(algorithm, part).parameters())
        for o, n, f in zip(old, new, fast, strict=True):
            torch.testing.assert_close(n, o + 0.005 * (f - o))


def test_updates_are_taken_in_a_row_once_enough_are_due() -> None:
    training = small("d2sac", collect=20).start(SMOKE, 100, seed=0)
    updates = []
    while not training.done:
        updates.append(training.advance().updates)
    assert updates[18] == 0
    assert updates[19] == 20
    assert updates[-1] == 100


@both
def test_rows_are_alike_alone_and_in_a_batch(name: str) -> None:
    agent = small(name).start(SMOKE, 40, seed=0).agent()
    generator = np.random.default_rng(0)
    seen = generator.random((30, 4, SMOKE_SIZE)).astype(np.float32)
    agent.reset(5)
    together = np.array([agent.act(step, {}) for step in seen])
    agent.reset(5)
    alone = np.array([agent.act(step[:1], {})[0] for step in seen])
    assert alone.tolist() == together[:, 0].tolist()
    assert len(set(together.ravel().tolist())) > 1
    agent.reset(6)
    other = np.array([agent.act(step, {}) for step in seen])
    assert (other != together).any()  # an untrained policy's action is decided by its noise


@both
def test_illegal_actions_have_no_probability(name: str) -> None:
    learner = published_learner(AGENTS[name], SMOKE, PublishedConfig(), 1, 10, SEED)
    mask = np.zeros((50, SMOKE.num_actions), dtype=bool)
    mask[:, [1, 4]] = True
    with torch.random.fork_rng(devices=[]):
        taken = learner.act(Batch(obs=np.zeros((50, SMOKE_SIZE), np.float32), mask=mask))
    assert set(taken.tolist()) == {1, 4}


def test_d2sac_learns_as_far_as_its_noise_lets_it() -> None:
    """The optimum pays 1 per task: 0.92 is reached, in every seed tried and however long it trains.

    The noise that the network can predict is at most 1 in size, what is left of it in x_0 is twelve
    times as large at the first step: in some 8 % of decisions the noise decides, not the network.
    """
    trainer = make("d2sac", PLAIN)
    assert isinstance(trainer, LearningTrainer)
    trainer.config = PublishedConfig(
        num_envs=8, decisions_per_update=8, collect=64, batch_size=64, gamma=0.5, n_step=1,
        actor_learning_rate=1e-3, critic_learning_rate=3e-3,
    )  # fmt: skip
    before = utility_per_task(trainer.start(PLAIN, 8, 0).agent(), PLAIN)
    after = utility_per_task(trainer.train(PLAIN, 3200, 0), PLAIN)
    assert before < 0.4
    assert after > 0.85
