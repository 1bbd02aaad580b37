"""What is in the replay buffer after playing the multi-agent game, against the environment's own.

The same checker is held against Tianshou's own path for PettingZoo environments, to show what the
row adapter is there for.
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import numpy.typing as npt
import pytest
from tianshou.algorithm.algorithm_base import Policy
from tianshou.data import Batch, Collector, CollectStats, VectorReplayBuffer
from tianshou.env import BaseVectorEnv, DummyVectorEnv
from tianshou.env.pettingzoo_env import PettingZooEnv

from edge_marl import edge_aigc_v0
from edge_marl.agents.on_tianshou.rows import TianshouRows
from edge_marl.scenario import Scenario, load_scenario
from tests.worlds.by_hand import make_world

GATEWAYS = 3
ENVS = 2
STEPS = 150
SEED = 11

EVENTS = load_scenario("smoke").with_gateways(GATEWAYS)
SLOTS = EVENTS.with_clock(600.0, hold=True)
TERMINATING = make_world([[[0.5, 0.2]], [[0.1, 0.9]]], [400, 300], end="last-task").with_gateways(
    GATEWAYS
)

Columns = dict[str, npt.NDArray[Any]]


class AnyLegal(Policy):
    """Draws among the legal actions."""

    def __init__(self, actions: int) -> None:
        super().__init__(action_space=gym.spaces.Discrete(actions))
        self._random = np.random.default_rng(0)

    def forward(self, batch: Any, state: Any = None, **kwargs: Any) -> Any:
        mask = np.asarray(batch.obs.mask, dtype=bool)
        return Batch(act=(self._random.random(mask.shape) * mask).argmax(axis=1), state=None)


def collected(scenario: Scenario, env: BaseVectorEnv, steps: int) -> VectorReplayBuffer:
    """A buffer filled by random play, `steps` in each slot."""
    replay = VectorReplayBuffer(steps * env.env_num, env.env_num)
    policy = AnyLegal(scenario.num_actions + 1)
    collector: Collector[CollectStats] = Collector(policy, env, replay)
    collector.reset(gym_reset_kwargs={"seed": SEED})
    for _ in range(steps):
        collector.collect(n_step=env.env_num)
    return replay


def columns(kept: Any) -> Columns:
    """The columns of transitions, by name."""
    return {
        "obs": kept.obs.obs,
        "mask": kept.obs.mask,
        "act": kept.act,
        "rew": kept.rew,
        "obs_next": kept.obs_next.obs,
        "mask_next": kept.obs_next.mask,
        "terminated": kept.terminated,
        "truncated": kept.truncated,
    }


def wrong(scenario: Scenario, seed: int, stored: Columns) -> dict[str, int]:
    """How many of the stored entries, (steps, gateways, ...), are not the environment's own."""
    env = edge_aigc_v0.parallel_env(scenario=scenario)
    agents = env.possible_agents
    seen, infos = env.reset(seed=seed)
    errors = dict.fromkeys([*stored, "ends"], 0)
    for step, choices in enumerate(stored["act"]):
        before = {"obs": seen, "mask": {a: infos[a]["action_mask"] for a in agents}}
        actions = dict(zip(agents, map(int, choices), strict=True))
        seen, rewards, terminated, truncated, infos = env.step(actions)
        own = before | {
            "act": actions,
            "rew": rewards,
            "obs_next": seen,
            "mask_next": {a: infos[a]["action_mask"] for a in agents},
            "terminated": terminated,
            "truncated": truncated,
        }
        for name, values in own.items():
            for g, agent in enumerate(agents):
                errors[name] += not np.array_equal(stored[name][step, g], values[agent])
        if not env.agents:
            errors["ends"] += 1
            seen, infos = env.reset()
    return errors


@pytest.mark.parametrize("scenario", [EVENTS, SLOTS, TERMINATING])
def test_every_transition_is_the_gateways_own(scenario: Scenario) -> None:
    replay = collected(scenario, TianshouRows(scenario, ENVS), STEPS)
    every = columns(replay[np.arange(len(replay))])
    for e in range(ENVS):
        stored = {
            name: values.reshape(ENVS, GATEWAYS, STEPS, *values.shape[1:])[e].swapaxes(0, 1)
            for name, values in every.items()
        }
        errors = wrong(scenario, SEED + e, stored)
        assert errors.pop("ends") >= 1
        assert not any(errors.values()), errors
        assert stored["rew"].any()


def test_tianshous_own_path_stores_others_observations_and_no_rewards() -> None:
    def make() -> Any:
        env: Any = edge_aigc_v0.raw_env(scenario=EVENTS, action_mask="observation")
        return PettingZooEnv(env)

    steps = 20  # within the first episode: one agent of a round after the other
    replay = collected(EVENTS, DummyVectorEnv([make]), steps * GATEWAYS)
    kept: Any = replay[np.arange(steps * GATEWAYS)]
    assert kept.obs.agent_id.tolist() == [f"gateway_{g}" for g in range(GATEWAYS)] * steps
    stored = columns(kept)
    # Each agent's own entry of the reward vector, as Tianshou's multi-agent dispatcher picks it.
    stored["rew"] = stored["rew"][np.arange(len(kept)), np.arange(len(kept)) % GATEWAYS]
    errors = wrong(
        EVENTS,
        SEED,
        {name: v.reshape(steps, GATEWAYS, *v.shape[1:]) for name, v in stored.items()},
    )
    # What was seen and done is right, what came of it is not.
    assert errors["obs"] == errors["mask"] == errors["act"] == 0
    assert errors["rew"] == steps * (GATEWAYS - 1)
    assert errors["obs_next"] >= steps
    others = stored["rew"].reshape(steps, GATEWAYS)[:, :-1]
    assert not others.any()


def test_environments_are_reset_whole() -> None:
    env = TianshouRows(EVENTS, ENVS)
    everything, infos = env.reset(seed=1)
    assert everything.obs.shape[0] == len(infos) == ENVS * GATEWAYS
    part, _ = env.reset(env_id=[3, 4, 5])
    assert part.obs.shape == (GATEWAYS, everything.obs.shape[1])
    with pytest.raises(ValueError, match="the gateways of an environment start together"):
        env.reset(env_id=[2, 3])
    with pytest.raises(ValueError, match="all slots step together"):
        env.step(np.zeros(2, dtype=np.int64), id=[0, 2])


def test_spaces_are_given_per_slot() -> None:
    env = TianshouRows(EVENTS, ENVS)
    choices = gym.spaces.Discrete(EVENTS.num_actions + 1)
    assert env.action_space == [choices] * ENVS * GATEWAYS
    env.close()
    assert env.is_closed


def test_rewards_are_the_teams_mean_or_of_own_tasks() -> None:
    """Both in one game, with the same choices: the same in all, and not the same for each."""
    team, local = TianshouRows(SLOTS, ENVS), TianshouRows(SLOTS, ENVS, reward="local")
    seen, _ = team.reset(seed=SEED)
    local.reset(seed=SEED)
    shared, own = [], []
    for _ in range(STEPS):
        choices = seen.mask.argmax(axis=1)
        seen, reward, *_ = team.step(choices)
        shared.append(reward.reshape(ENVS, GATEWAYS))
        own.append(local.step(choices)[1].reshape(ENVS, GATEWAYS))
    np.testing.assert_allclose(np.sum(own, axis=-1), np.sum(shared, axis=-1), atol=1e-9)
    assert np.ptp(shared, axis=-1).max() == 0
    assert np.ptp(own, axis=-1).max() > 0.1
