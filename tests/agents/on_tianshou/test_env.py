"""What Tianshou's collector puts into the buffer, against the environment itself."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from tianshou.algorithm.modelfree.discrete_sac import DiscreteSACPolicy
from tianshou.data import Batch, Collector, CollectStats
from torch import nn

from edge_marl.agents.on_tianshou.env import TianshouEnv
from edge_marl.agents.on_tianshou.replay_buffer import UniformReplay
from edge_marl.agents.soft_actor_critic.losses import SacLearner
from edge_marl.envs import EdgeAIGCEnv
from edge_marl.envs.spaces import action_space
from edge_marl.scenario import Scenario, load_scenario
from tests.worlds.by_hand import make_world
from tests.worlds.learners import small_trainer

SMOKE = load_scenario("smoke")
TERMINATING = make_world([[[0.5, 0.2]], [[0.1, 0.9]]], [400, 300], end="last-task")
ROWS = 3


class Uniform(nn.Module):
    """Every action alike; the mask is looked at, so that its shape is checked."""

    def forward(self, obs: Any, state: Any = None, info: Any = None) -> tuple[torch.Tensor, Any]:
        return torch.zeros(obs.mask.shape), state


def collected(scenario: Scenario, steps: int, size: int = 10_000) -> UniformReplay:
    """A buffer filled by random play, `steps` in each of ROWS rows, seeded 11, 12, 13."""
    torch.manual_seed(0)
    policy = DiscreteSACPolicy(
        actor=Uniform(),
        action_space=gym.spaces.Discrete(scenario.num_actions),
        deterministic_eval=False,
    )
    replay = UniformReplay(size, ROWS, np.random.SeedSequence(0))
    collector: Collector[CollectStats] = Collector(policy, TianshouEnv(scenario, ROWS), replay)
    collector.reset(gym_reset_kwargs={"seed": 11})
    for _ in range(steps):
        collector.collect(n_step=ROWS)
    return replay


@pytest.mark.parametrize("scenario", [SMOKE, TERMINATING])
def test_every_transition_is_the_environments(scenario: Scenario) -> None:
    steps = 150
    replay = collected(scenario, steps)
    ends = 0
    for row in range(ROWS):
        env = EdgeAIGCEnv(scenario=scenario)
        seen, info = env.reset(seed=11 + row)
        for step in range(steps):
            kept: Any = replay[int(replay._offset[row] + step)]
            assert (kept.obs.obs == seen).all()
            assert (kept.obs.mask == info["action_mask"].astype(bool)).all()
            seen, reward, terminated, truncated, info = env.step(int(kept.act))
            assert kept.rew == reward
            assert (kept.obs_next.obs == seen).all()
            assert (kept.obs_next.mask == info["action_mask"].astype(bool)).all()
            assert (kept.terminated, kept.truncated) == (terminated, truncated)
            if terminated or truncated:
                ends += 1
                seen, info = env.reset()
    assert ends >= ROWS


@pytest.mark.parametrize("scenario", [SMOKE, TERMINATING])
@pytest.mark.parametrize("n_step", [1, 3])
def test_targets_bootstrap_after_a_truncation_and_not_after_a_termination(
    scenario: Scenario, n_step: int
) -> None:
    trainer: Any = small_trainer("sac", scenario, n_step=n_step, gamma=0.9)
    replay = collected(scenario, 150)
    two = 2.0

    class Always0(nn.Linear):  # a layer only because an optimiser wants parameters
        def forward(self, observation: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
            return torch.zeros(mask.shape).masked_fill(torch.arange(mask.shape[1]) > 0, -1e9)

    class AlwaysTwo(nn.Linear):
        def forward(self, observation: torch.Tensor) -> torch.Tensor:
            return torch.full((len(observation), scenario.num_actions), two)

    learner = SacLearner(
        action_space(scenario), trainer.config, Always0(1, 1), lambda: AlwaysTwo(1, 1), replay, 1000
    )
    algorithm: Any = learner.algorithm
    indices = np.concatenate([start + np.arange(150) for start in replay._offset])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(algorithm.policy, "is_within_training_step", True)
        batch: Any = algorithm._preprocess_batch(replay[indices], replay, indices)
    for place, got in zip(indices, batch.returns.flatten().tolist(), strict=True):
        last = replay.last_index[np.searchsorted(replay._offset, place, side="right") - 1]
        want, discount, at = 0.0, 1.0, place - 1
        for _ in range(n_step):
            at += 1
            want += discount * replay.rew[at]
            discount *= 0.9
            if replay.done[at] or at == last:
                break
        want += 0.0 if replay.terminated[at] else discount * two
        assert got == pytest.approx(want, abs=1e-5)


def test_replay_is_uniform_and_its_seed_counts() -> None:
    replay = collected(SMOKE, 20)
    drawn = replay.sample_indices(60_000)
    places = np.concatenate([start + np.arange(20) for start in replay._offset])
    count = np.bincount(drawn, minlength=replay.maxsize)
    assert set(np.flatnonzero(count)) == set(places) == set(replay.sample_indices(0))
    # 1,000 expected in each of 60 places: five standard deviations are 160.
    assert np.abs(count[places] - 1000).max() < 160
    replays = [UniformReplay(100, ROWS, np.random.SeedSequence(seed)) for seed in (1, 1, 2)]
    for other in replays:
        other._lengths = replay._lengths
    first, again, other_seed = (r.sample_indices(50).tolist() for r in replays)
    assert first == again != other_seed


def test_a_full_buffer_forgets_the_oldest() -> None:
    replay = collected(SMOKE, 40, size=30)
    assert len(replay) == 30
    late = collected(SMOKE, 40)
    for row in range(ROWS):
        kept = {replay.rew[place] for place in range(10 * row, 10 * row + 10)}
        start = late._offset[row]
        assert kept == set(late.rew[start + 30 : start + 40])


def test_some_rows_may_be_reset_but_all_step() -> None:
    env = TianshouEnv(SMOKE, ROWS)
    everything, _ = env.reset(seed=1)
    env.step(np.zeros(ROWS, dtype=np.int64))
    part, infos = env.reset(env_id=[0, 2])
    assert isinstance(part, Batch)
    assert part.obs.shape == (2, everything.obs.shape[1])
    assert len(infos) == 2
    with pytest.raises(ValueError, match="all rows step together"):
        env.step(np.zeros(2, dtype=np.int64), id=[0, 2])


def test_spaces_are_given_per_row() -> None:
    env = TianshouEnv(SMOKE, ROWS)
    assert env.action_space == [gym.spaces.Discrete(SMOKE.num_actions)] * ROWS
    env.close()
    assert env.is_closed
