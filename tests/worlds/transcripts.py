"""What the multi-agent game returns, written down in one form, so that APIs can be compared."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Choose = Callable[[npt.NDArray[np.int8]], list[int]]
"""Masks (G, A + 1) to the choices of G gateways."""


class Step(NamedTuple):
    """What a step returned, agent by agent, and the state after it; a reset paid nothing."""

    observations: dict[str, Any]
    rewards: dict[str, float]
    terminations: dict[str, bool]
    truncations: dict[str, bool]
    infos: dict[str, dict[str, Any]]
    state: Any

    @property
    def last(self) -> bool:
        """Whether the episode ended with it."""
        return any(self.terminations.values()) or any(self.truncations.values())

    @property
    def masks(self) -> npt.NDArray[np.int8]:
        """(G, A + 1) what each gateway may choose."""
        return np.array([info["action_mask"] for info in self.infos.values()])


class Choices:
    """Choices of gateways: mostly legal, some of them illegal, many to the first server.

    The same seed and masks give the same choices. The first server is overloaded soon.
    """

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)

    def __call__(self, masks: npt.NDArray[np.int8]) -> list[int]:
        return [self._choose(mask) for mask in masks]

    def _choose(self, mask: npt.NDArray[np.int8]) -> int:
        kind = self._rng.random()
        if kind < 0.1:
            return int(self._rng.integers(len(mask)))
        legal = np.flatnonzero(mask)
        return int(legal[0] if kind < 0.4 else self._rng.choice(legal))


def play(env: Any, choose: Choose, **reset: Any) -> Iterator[Step]:
    """Play an episode of a Parallel environment; yield what it returns, from the reset on."""
    observations, infos = env.reset(**reset)
    agents = env.agents[:]
    assert agents == env.possible_agents
    paid, going_on = dict.fromkeys(agents, 0.0), dict.fromkeys(agents, False)
    step = Step(observations, paid, going_on, going_on.copy(), infos, env.state())
    while env.agents:
        choices = dict(zip(agents, choose(step.masks), strict=True))
        yield step
        returned: tuple[Any, ...] = env.step(choices)
        step = Step._make((*returned, env.state()))
        assert all(list(part) == agents for part in step[:5])
        assert env.agents == ([] if step.last else agents)
    yield step


class Turn(NamedTuple):
    """What an AEC environment holds when an agent's turn comes."""

    agent: str
    agents: list[str]
    found: tuple[Any, ...]
    """What `last()` returned: observation, reward, termination, truncation, info."""
    shown: tuple[dict[str, Any], ...]
    """All agents' rewards, terminations and truncations."""


def turns(env: Any, choose: Choose, **reset: Any) -> Iterator[Turn]:
    """Play an episode of an AEC environment; yield every turn, those after the end included."""
    env.reset(**reset)
    assert env.agents == env.possible_agents
    while env.agents:
        order = env.agents[:]
        ended = env.terminations[order[0]] or env.truncations[order[0]]
        masks = np.array([env.infos[agent]["action_mask"] for agent in order])
        for choice in [None] * len(order) if ended else choose(masks):
            shown = (env.rewards, env.terminations, env.truncations)
            copies = tuple(part.copy() for part in shown)
            yield Turn(env.agent_selection, env.agents[:], env.last(), copies)
            env.step(choice)


def frozen(value: Any) -> Any:
    """The same with arrays as (type, shape, bytes): it cannot change, and `==` is bit for bit."""
    if isinstance(value, np.ndarray):
        if value.dtype.hasobject:
            return list(map(frozen, value))
        return value.dtype.str, value.shape, value.tobytes()
    if isinstance(value, dict):
        return {key: frozen(part) for key, part in value.items()}
    if isinstance(value, Step | Turn):
        return type(value)(*map(frozen, value))
    if isinstance(value, tuple):
        return tuple(map(frozen, value))
    return value


def transcript(
    env: Any, choose: Choose, resets: Iterable[dict[str, Any]], play: Any = play
) -> list[Any]:
    """All that some episodes return, one after the other, frozen."""
    return [frozen(step) for reset in resets for step in play(env, choose, **reset)]


def assert_same(left: list[Any], right: list[Any]) -> None:
    """Compare transcripts; a difference is shown at its step only."""
    for number, (one, other) in enumerate(zip(left, right, strict=False)):
        assert one == other, f"at step {number}"
    assert len(left) == len(right)
