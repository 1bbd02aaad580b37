"""Playing a board's episodes side by side, with a hash chain over each.

Submitting, replaying and re-executing are this one walk; they differ in who chooses.
"""

from __future__ import annotations

import hashlib
import string
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium.vector import AutoresetMode

from edge_marl.envs import EdgeAIGCVectorEnv
from edge_marl.scenario import Scenario
from edge_marl.workload import Workload

__all__ = ["Choose", "Episode", "Moment", "first_difference", "play_episodes"]

CHAIN_START = b"edge-marl-chain-1"
BASE64 = string.ascii_uppercase + string.ascii_lowercase + string.digits + "+/"


@dataclass(frozen=True, eq=False)
class Moment:
    """What is to be decided: the same decision number in every episode that goes on."""

    number: int
    """Decisions before this one."""
    observation: npt.NDArray[np.float32]
    """(E, D); of an episode that is over, its last."""
    mask: npt.NDArray[np.int8]
    """(E, A), 1 where an action is legal."""
    agent_index: npt.NDArray[np.int64]
    """(E,) the gateway that decides."""
    going: npt.NDArray[np.bool_]
    """(E,) episodes that go on."""

    @property
    def info(self) -> dict[str, Any]:
        """What an agent is told besides what it sees (`Agent.act`)."""
        return {"action_mask": self.mask, "agent_index": self.agent_index}


Choose = Callable[[Moment], npt.NDArray[np.int64] | None]
"""Returns (E,) actions, of an episode that is over any: they count for nothing. None ends all."""


@dataclass(frozen=True, eq=False)
class Episode:
    """What came of one workload."""

    actions: npt.NDArray[np.int64]
    metrics: dict[str, float | None]
    """None where the episode has no value."""
    head: str
    """Last hash of its chain (hex)."""
    marks: str
    """A base64 digit of the hash after each decision."""


def play_episodes(
    scenario: Scenario, workloads: Sequence[Workload], choose: Choose
) -> list[Episode]:
    """Play one episode per workload, side by side, until the last has ended.

    Args:
        scenario: the world.
        workloads: one episode each.
        choose: what decides.
    """
    count = len(workloads)
    envs = EdgeAIGCVectorEnv(count, scenario=scenario, autoreset_mode=AutoresetMode.DISABLED)
    chains = [_Chain(workload) for workload in workloads]
    observation, info = envs.reset(options={"workloads": list(workloads)})
    going = np.ones(count, dtype=np.bool_)
    number = 0
    while going.any():
        legal, gateway = info["action_mask"], info["agent_index"]
        choice = choose(Moment(number, observation, legal, gateway, going))
        if choice is None:
            break
        action = np.where(going, choice, 0)
        seen = observation
        observation, reward, terminated, truncated, info = envs.step(action)
        for row in np.flatnonzero(going):
            chains[row].add(seen[row], int(action[row]), float(reward[row]))
        going = going & ~(terminated | truncated)
        number += 1
    return [chain.episode(envs.metrics(row)) for row, chain in enumerate(chains)]


def first_difference(marks: str, others: str) -> int:
    """Return the decision at which two chains part; the shorter's length if only that differs."""
    pairs = zip(marks, others, strict=False)
    parted = (k for k, (one, other) in enumerate(pairs) if one != other)
    return next(parted, min(len(marks), len(others)))


class _Chain:
    """The hash chain of an episode, and its actions."""

    def __init__(self, workload: Workload) -> None:
        self._hash = hashlib.sha256(CHAIN_START + bytes.fromhex(workload.digest)).digest()
        self._actions: list[int] = []
        self._marks: list[str] = []

    def add(self, observation: npt.NDArray[np.float32], action: int, reward: float) -> None:
        """Add a decision: what was seen, done and earned."""
        sha = hashlib.sha256(self._hash)
        sha.update(observation.astype("<f4", copy=False).tobytes())
        sha.update(np.int64(action).astype("<i8").tobytes())
        sha.update(np.float64(reward).astype("<f8").tobytes())
        self._hash = sha.digest()
        self._actions.append(action)
        self._marks.append(BASE64[self._hash[0] >> 2])

    def episode(self, metrics: dict[str, float]) -> Episode:
        """Return the episode, given its metrics."""
        return Episode(
            actions=np.array(self._actions, dtype=np.int64),
            metrics={k: None if v != v else float(v) for k, v in metrics.items()},
            head=self._hash.hex(),
            marks="".join(self._marks),
        )
