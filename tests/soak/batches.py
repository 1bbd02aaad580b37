"""A world as it is played: a batch and a game behind one face, and rows of it played again alone.

What a row went through is a list of moments, the same whoever plays it: a batch of many rows, one
of a few, or an environment of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium.vector import AutoresetMode

from edge_marl import EdgeAIGCRows, edge_aigc_v0
from edge_marl.envs import EdgeAIGCVectorEnv
from edge_marl.kernel import world as k
from edge_marl.simulator import Simulator
from tests.soak.worlds import World

__all__ = ["Batch", "Choices", "Moment", "play_alone"]

Choices = npt.NDArray[np.int64]
"""(E,) actions, or (E, G) choices."""


@dataclass(frozen=True)
class Moment:
    """What a row saw at the start of an episode, or after a step."""

    paid: bytes
    """The rewards of the step; nothing at a start."""
    done: int
    seen: int
    """Hash of the observation, and of the mask where the episode goes on."""

    @classmethod
    def of(cls, paid: Any, done: Any, seen: npt.NDArray[Any], mask: npt.NDArray[Any]) -> Moment:
        """Return it of one row's arrays."""
        shown = seen.tobytes() + (b"" if done else mask.tobytes())
        return cls(np.asarray(paid, float).tobytes(), int(done), hash(shown))


class Batch:
    """The rows of a world, seeded; every method is about all of them.

    Args:
        world: what is played.
        seeds: of each row.
        watched: rows whose moments are kept.
    """

    def __init__(self, world: World, seeds: list[int], watched: tuple[int, ...]) -> None:
        self.world = world
        self.seeds = seeds
        self.moments: dict[int, list[Moment]] = {row: [] for row in watched}
        self.actions: dict[int, list[Any]] = {row: [] for row in watched}
        """What was chosen where it counted."""
        make: Any = EdgeAIGCRows if world.game else EdgeAIGCVectorEnv
        more = {"reward": "local"} if world.game else {}
        self.env = make(len(seeds), scenario=world.scenario, autoreset_mode=world.mode, **more)
        self.simulator: Simulator = self.env._simulator
        self.episodes = np.full(len(seeds), -1)
        """(E,) number of the episode that a row plays."""
        self.decided = np.zeros(len(seeds), np.int64)
        """(E,) decisions of the episode so far."""
        self.total = np.zeros(len(seeds))
        """(E,) rewards of the episode so far."""
        self.going_on = np.ones(len(seeds), np.bool_)
        """(E,) rows that no step has told the end of their episode."""
        self.seen, infos = self.env.reset(seed=seeds)
        self.masks = infos["action_mask"]
        self._began(np.ones(len(seeds), np.bool_))

    def deciding(self, chosen: Choices) -> npt.NDArray[np.int64]:
        """(E,) tasks that these choices decide on."""
        deciding: npt.NDArray[np.int64] = np.equal(self.simulator.done, k.GOING_ON).astype(np.int64)
        if self.world.game:
            simulator: Any = self.simulator
            acts = simulator.waiting
            if self.world.scenario.clock.hold:
                acts = acts & (chosen != simulator.nothing)
            deciding = deciding * acts.sum(axis=1, dtype=np.int64)
        return deciding

    def step(self, chosen: Choices) -> None:
        """Take a step in every row, and start the next episode where the mode does not."""
        deciding, told = self.deciding(chosen), ~self.going_on
        self.seen, rewards, terminated, truncated, infos = self.env.step(chosen)
        self.masks = infos["action_mask"]
        done = np.where(terminated, k.TERMINATED, np.where(truncated, k.TRUNCATED, k.GOING_ON))
        self.decided += deciding
        self.total += rewards.reshape(len(rewards), -1).sum(axis=1)
        same_step = self.world.mode == AutoresetMode.SAME_STEP
        for row, moments in self.moments.items():
            if self.going_on[row]:
                seen = infos["final_obs"][row] if same_step and done[row] else self.seen[row]
                moments.append(Moment.of(rewards[row], done[row], seen, self.masks[row]))
                self.actions[row].append(chosen[row].copy())
        self.going_on &= done == k.GOING_ON
        if same_step:
            self._began(~self.going_on)
        elif self.world.mode == AutoresetMode.NEXT_STEP:
            self._began(told)

    def restart(self) -> None:
        """Start the next episode in the rows that are at an end (without automatic resets)."""
        ended = ~self.going_on
        self.seen, infos = self.env.reset(options={"reset_mask": ended})
        self.masks = infos["action_mask"]
        self._began(ended)

    def _began(self, rows: npt.NDArray[np.bool_]) -> None:
        """Rows are at the start of their next episode."""
        self.episodes[rows] += 1
        self.decided[rows] = 0
        self.total[rows] = 0.0
        self.going_on[rows] = True
        for row, moments in self.moments.items():
            if rows[row]:
                moments.append(Moment.of((), 0, self.seen[row], self.masks[row]))


def play_alone(world: World, seed: int, actions: list[Any], count: int) -> list[Moment]:
    """Return the first moments of a row that an environment of its own plays.

    Args:
        world: what is played.
        seed: of the row.
        actions: of its decisions; whole numbers, or (G,) choices in a game.
        count: moments that are wanted.
    """
    env: Any = _single(world)
    moments = [env.reset(seed)]
    for action in actions:
        if len(moments) >= count:
            break
        moments.append(env.step(action))
        if moments[-1].done:
            moments.append(env.reset(None))
    return moments[:count]


def _single(world: World) -> _OneOrchestrator | _OneGame:
    return _OneGame(world) if world.game else _OneOrchestrator(world)


class _OneOrchestrator:
    """`gym.make` of a world."""

    def __init__(self, world: World) -> None:
        self._env = gymnasium.make(
            "EdgeAIGC-v0", scenario=world.scenario, disable_env_checker=True
        ).unwrapped

    def reset(self, seed: int | None) -> Moment:
        seen, info = self._env.reset(seed=seed)
        return Moment.of((), 0, seen, info["action_mask"])

    def step(self, action: Any) -> Moment:
        seen, reward, terminated, truncated, info = self._env.step(int(action))
        done = k.TERMINATED if terminated else k.TRUNCATED if truncated else k.GOING_ON
        return Moment.of(reward, done, seen, info["action_mask"])


class _OneGame:
    """`parallel_env` of a world."""

    def __init__(self, world: World) -> None:
        self._env: Any = edge_aigc_v0.parallel_env(scenario=world.scenario, reward="local")

    def reset(self, seed: int | None) -> Moment:
        seen, infos = self._env.reset(seed=seed)
        return Moment.of((), 0, _stack(seen), _masks(infos))

    def step(self, choices: Any) -> Moment:
        given = dict(zip(self._env.agents, choices.tolist(), strict=True))
        seen, rewards, terminated, truncated, infos = self._env.step(given)
        done = k.TERMINATED if any(terminated.values()) else k.GOING_ON
        done = k.TRUNCATED if any(truncated.values()) else done
        return Moment.of(list(rewards.values()), done, _stack(seen), _masks(infos))


def _stack(of_agents: dict[str, Any]) -> npt.NDArray[Any]:
    return np.stack(list(of_agents.values()))


def _masks(infos: dict[str, Any]) -> npt.NDArray[np.int8]:
    return np.stack([info["action_mask"] for info in infos.values()])
