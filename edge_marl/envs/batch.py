"""What batches share: what their rows see, next episodes, and what can be asked of each row."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from edge_marl.envs.copies import Copies
from edge_marl.envs.episodes import RowEpisodes
from edge_marl.kernel.batch import NEXT_STEP
from edge_marl.metrics import episode_metrics
from edge_marl.simulator import EpisodeLog, Simulator

__all__ = ["ManyEpisodes", "Room"]


class Room(NamedTuple):
    """Memory that a step writes to, and that whoever took the step may keep."""

    rewards: npt.NDArray[np.float64]
    """(E,), or (E, G) of gateways."""
    seen: npt.NDArray[np.float32]
    """(E, D), or (E * G, D) of gateways."""
    masks: npt.NDArray[np.int8]
    """(E, A), or (E * G, A + 1) of gateways."""


class ManyEpisodes(ABC):
    """Rows of a simulator that step together."""

    num_envs: int

    def _open(self, simulator: Simulator, restarts: int) -> None:
        """Have the rows of a simulator, whose episodes follow each other by a rule of `batch`."""
        self._simulator = simulator
        self._episodes = RowEpisodes(simulator)
        self._seen, self._legal = Copies(), Copies()
        simulator.stepper.restart_rows(restarts)

    @abstractmethod
    def _see(self) -> Any:
        """Return what all rows observe."""

    @abstractmethod
    def _infos(self) -> dict[str, Any]:
        """Return the infos of all rows."""

    def _room(self, shape: tuple[int, ...]) -> Room:
        """Return memory for a step whose rewards have a shape."""
        seen, masks = self._simulator.stepper.shapes
        return Room(
            np.empty(shape), self._seen.room(seen, np.float32), self._legal.room(masks, np.int8)
        )

    def _start_left(self, room: Room) -> None:
        """Start the episodes that the step left to be started here, and show them."""
        stepper = self._simulator.stepper
        if not np.count_nonzero(stepper.left):
            return
        each = len(room.seen) // self.num_envs
        for row in np.flatnonzero(stepper.left):
            self._episodes.start(int(row))
            if stepper.when == NEXT_STEP:  # the episode has begun in place of a step
                stepper.ended[row] = self._simulator.done[row]
            part = slice(row * each, (row + 1) * each)
            room.seen[part] = self._simulator.seen[part]
            room.masks[part] = self._simulator.masks[part]

    def save_state(self) -> dict[str, Any]:
        """Return where every row stands, for `restore_state`: numbers, text and arrays.

        Raises:
            EpisodeOverError: before every row was reset.
            WorkloadError: if a row plays a workload that was given.
        """
        return self._episodes.state()

    def restore_state(self, state: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        """Go on from a state of as many rows of the same scenario.

        Returns:
            What `step` returned last, or `reset`: observations and infos.
        """
        self._episodes.restore(state)
        return self._see(), self._infos()

    def log(self, row: int) -> EpisodeLog:
        """Return what became of every task of a row's episode so far.

        Raises:
            EpisodeOverError: before the row's first reset, like `metrics`.
        """
        self._episodes.check_row(row)
        return self._simulator.log(row)

    def metrics(self, row: int) -> dict[str, float]:
        """Return the metrics of a row's episode so far (`edge_marl.METRICS`)."""
        return episode_metrics(self.log(row))
