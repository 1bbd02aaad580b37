"""Replay buffers: sampled with a generator of one's own, and kept and restored whole."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from tianshou.data import Batch, ReplayBufferManager, VectorReplayBuffer
from tianshou.data.batch import create_value

__all__ = [
    "Rollout",
    "UniformReplay",
    "arrays_of",
    "batch_of",
    "replay_size",
    "replay_state",
    "restore_replay",
]

PLACES = ("_size", "_insertion_idx", "_ep_return", "_ep_len", "_ep_start_idx")
"""What the part of one environment knows besides its transitions."""

PRIORITIES = ("_max_prio", "_min_prio")
"""What a prioritised buffer knows besides its tree of weights."""


class Rollout(VectorReplayBuffer):
    """What was collected since the last update, for learners that then forget it.

    All rows step together and none ever wraps, so that nothing has to be done row by row, which
    took a tenth of PPO's time.

    Args:
        steps: most steps of all rows that are collected.
        rows: number of environments.
    """

    def __init__(self, steps: int, rows: int) -> None:
        super().__init__(steps * rows, rows)

    def add(self, batch: Any, buffer_ids: Any = None) -> Any:
        """Add a transition of every row; return their places.

        Raises:
            IndexError: if it is full.
        """
        if (steps := self._lengths[0]) == self._extend_offset[1]:
            raise IndexError(f"a rollout of {steps} steps is full")
        places = self._offset + steps
        step: Any = Batch({key: part for key, part in batch.items() if key != "info"})
        step.done = batch.terminated | batch.truncated
        if not self._meta.get_keys():
            self._meta: Any = create_value(step, self.maxsize, stack=False)
        self._meta[places] = step
        self.last_index, self._lengths = places, self._lengths + 1
        return places

    def reset(self, keep_statistics: bool = False) -> None:
        """Forget all transitions."""
        self.last_index, self._lengths = self._offset.copy(), np.zeros_like(self._offset)

    def sample_indices(self, batch_size: int | None) -> npt.NDArray[np.int64]:
        """Return the places of all transitions, row by row; no others are asked for."""
        places: npt.NDArray[np.int64] = self._offset[:, None] + np.arange(self._lengths[0])
        return places.ravel()

    def unfinished_index(self) -> npt.NDArray[np.int64]:
        """Return the last place of each row whose episode goes on."""
        if not self._lengths[0]:
            return np.zeros(0, dtype=np.int64)
        return np.asarray(self.last_index[~self.done[self.last_index]])


class UniformReplay(VectorReplayBuffer):
    """Tianshou's replay buffer, sampled uniformly with a generator of one's own.

    As it comes, each row's part of the buffer draws from its own generator, all of them seeded 42
    whatever the training's seed, so that rows replay the same moments.

    Args:
        size: transitions kept in all.
        rows: number of environments.
        seed: of the sampling.
    """

    def __init__(self, size: int, rows: int, seed: np.random.SeedSequence) -> None:
        super().__init__(size, rows)
        self.generator = np.random.Generator(np.random.PCG64(seed))

    def sample_indices(self, batch_size: int | None) -> npt.NDArray[np.int64]:
        """Return the places of `batch_size` transitions, drawn with replacement; 0 asks for all."""
        if not batch_size:
            return np.asarray(super().sample_indices(batch_size))
        ends = np.cumsum(self._lengths)
        drawn = self.generator.integers(ends[-1], size=batch_size)
        row = np.searchsorted(ends, drawn, side="right")
        return np.asarray(self._offset[row] + drawn - (ends - self._lengths)[row])


def replay_size(most: int, rows: int, budget: int, gateways: int = 1) -> int:
    """Return how many transitions a training's buffer needs room for, `most` or fewer.

    In the game of gateways at least one of each environment decides in a step, and each has a
    transition: so there are never more than the budget's decisions times the number of gateways.
    """
    return max(rows, min(most, budget * gateways))


def replay_state(replay: ReplayBufferManager) -> dict[str, Any]:
    """Return all that a replay buffer knows, as `state_file.write_state` takes it."""
    tree, generator = getattr(replay, "weight", None), getattr(replay, "generator", None)
    return {
        "transitions": arrays_of(replay._meta),
        "lengths": replay._lengths,
        "last_index": replay.last_index,
        "parts": [{name: getattr(part, name) for name in PLACES} for part in replay.buffers],
        "priorities": {name: getattr(replay, name) for name in PRIORITIES if tree is not None},
        "weights": None if tree is None else tree._value,
        "generator": None if generator is None else dict(generator.bit_generator.state),
    }


def restore_replay(replay: ReplayBufferManager, state: dict[str, Any]) -> None:
    """Put a replay buffer of the same size back into a state."""
    if state["transitions"]:
        replay.set_batch(batch_of(state["transitions"]))
    replay._lengths[:] = state["lengths"]
    replay.last_index[:] = state["last_index"]
    for part, offset, last, places in zip(
        replay.buffers, replay._offset, replay.last_index, state["parts"], strict=True
    ):
        vars(part).update(places)
        part.last_index[0] = last - offset
    vars(replay).update(state["priorities"])
    if state["weights"] is not None:
        replay.weight._value[:] = state["weights"]
    if state["generator"] is not None:
        replay.generator.bit_generator.state = state["generator"]


def arrays_of(batch: Any) -> dict[str, Any]:
    """Return a batch as dicts of arrays; infos, which are objects and say nothing, are left out."""
    found: dict[str, Any] = {}
    for key, value in batch.items():
        if not isinstance(value, Batch):
            if value.dtype != object:
                found[key] = value
        elif inner := arrays_of(value):
            found[key] = inner
    return found


def batch_of(tree: dict[str, Any]) -> Any:
    """Return the batch that `arrays_of` took apart."""
    return Batch({k: batch_of(v) if isinstance(v, dict) else v for k, v in tree.items()})
