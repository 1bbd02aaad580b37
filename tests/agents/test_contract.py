"""What every agent promises, learned or not."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from edge_marl.agents import Agent, make
from edge_marl.envs import EdgeAIGCVectorEnv
from edge_marl.layout import ObservationLayout
from edge_marl.scenario import load_scenario
from tests.worlds.learners import HEURISTICS, LEARNERS, RANDOMISED, trained

SMOKE = load_scenario("smoke")
ROWS = 12
STEPS = 25

Actions = npt.NDArray[np.int64]
every_agent = pytest.mark.parametrize("name", HEURISTICS + LEARNERS)


def agent_of(name: str) -> Agent:
    agent = trained(name) if name in LEARNERS else make(name, SMOKE)
    assert isinstance(agent, Agent)
    return agent


def some_observations(seed: int) -> npt.NDArray[np.float32]:
    """(STEPS, ROWS, D): what random dispatch meets in `smoke`."""
    envs = EdgeAIGCVectorEnv(ROWS, scenario=SMOKE)
    generator = np.random.default_rng(seed)
    observation, _ = envs.reset(seed=seed)
    seen = []
    for _ in range(STEPS):
        seen.append(observation)
        observation, *_ = envs.step(generator.integers(SMOKE.num_actions, size=ROWS))
    return np.array(seen)


def masks(seed: int) -> npt.NDArray[np.int8]:
    """(STEPS, ROWS, A) masks with at least one legal action each."""
    generator = np.random.default_rng(seed)
    drawn = generator.integers(2, size=(STEPS, ROWS, SMOKE.num_actions), dtype=np.int8)
    drawn[..., 2] |= drawn.sum(-1) == 0
    return drawn


def play(agent: Agent, seen: npt.NDArray[np.float32], seed: int = 3, mask: Any = None) -> Actions:
    """Actions (STEPS, rows) after a reset."""
    agent.reset(seed)
    infos = [{}] * len(seen) if mask is None else [{"action_mask": now} for now in mask]
    return np.array([agent.act(now, info) for now, info in zip(seen, infos, strict=True)])


@every_agent
def test_actions_are_int64_within_the_space(name: str) -> None:
    actions = play(agent_of(name), some_observations(1))
    assert actions.dtype == np.int64
    assert actions.shape == (STEPS, ROWS)
    assert ((actions >= 0) & (actions < SMOKE.num_actions)).all()


@every_agent
def test_masked_actions_are_never_chosen(name: str) -> None:
    mask = masks(2)
    actions = play(agent_of(name), some_observations(2), mask=mask)
    assert np.take_along_axis(mask, actions[..., None], -1).all()


@every_agent
def test_a_read_only_mask_does(name: str) -> None:
    mask = masks(2)
    mask.flags.writeable = False
    play(agent_of(name), some_observations(2), mask=mask)


@every_agent
def test_a_row_does_not_depend_on_the_other_rows(name: str) -> None:
    agent, seen = agent_of(name), some_observations(3)
    others = seen.copy()
    others[:, 1:] = some_observations(4)[:, 1:]
    assert (play(agent, seen)[:, 0] == play(agent, others)[:, 0]).all()


@every_agent
@pytest.mark.parametrize("rows", [1, 5])
def test_a_row_does_not_depend_on_the_number_of_rows(name: str, rows: int) -> None:
    agent, seen = agent_of(name), some_observations(3)
    assert (play(agent, seen)[:, :rows] == play(agent, seen[:, :rows])).all()


@every_agent
def test_the_same_seed_gives_the_same_actions(name: str) -> None:
    agent, seen = agent_of(name), some_observations(5)
    first = play(agent, seen, seed=1)
    play(agent, seen, seed=2)
    assert (play(agent, seen, seed=1) == first).all()


@pytest.mark.parametrize("name", [name for name in HEURISTICS if name not in RANDOMISED] + ["sac"])
def test_deterministic_agents_act_alike_for_every_seed(name: str) -> None:
    agent, seen = agent_of(name), some_observations(5)
    assert agent.deterministic
    assert (play(agent, seen, seed=1) == play(agent, seen, seed=2)).all()


@every_agent
def test_observations_and_masks_are_left_as_they_are(name: str) -> None:
    seen, mask = some_observations(6), masks(6)
    before = seen.copy(), mask.copy()
    play(agent_of(name), seen, mask=mask)
    assert (seen == before[0]).all()
    assert (mask == before[1]).all()


@every_agent
def test_the_last_observation_of_an_episode_does(name: str) -> None:
    agent = agent_of(name)
    agent.reset(0)
    last = np.zeros((3, ObservationLayout(SMOKE).size), dtype=np.float32)
    assert agent.act(last, {}).shape == (3,)
