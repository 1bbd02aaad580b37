"""What batches share: what their rows see, next episodes, and what can be asked of each row."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt
from gymnasium.error import AlreadyPendingCallError

from edge_marl.envs.accounts import Accounts
from edge_marl.envs.copies import Copies
from edge_marl.envs.episodes import RowEpisodes, State
from edge_marl.kernel.batch import NEXT_STEP
from edge_marl.metrics import episode_metrics
from edge_marl.scenario import Scenario
from edge_marl.simulator import EpisodeLog, Simulator
from edge_marl.workload import Workload

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
    scenario: Scenario
    _pending: Room | None = None
    """Of a step that has begun and not ended, in batches that begin steps."""

    def _open(self, simulator: Simulator, restarts: int, accounts: Accounts | None) -> None:
        """Have the rows of a simulator, whose episodes follow each other by a rule of `batch`."""
        self._simulator, self._accounts = simulator, accounts
        self._episodes = RowEpisodes(simulator, accounts)
        self._seen, self._legal = Copies(), Copies()
        simulator.stepper.restart_rows(restarts, by_caller=accounts is not None)

    @abstractmethod
    def _see(self) -> Any:
        """Return what all rows observe."""

    @abstractmethod
    def _infos(self) -> dict[str, Any]:
        """Return the infos of all rows."""

    def _check_idle(self, call: str) -> None:
        if self._pending is not None:
            raise AlreadyPendingCallError(
                f"{call}: a step has begun and not ended: call step_wait first", "step"
            )

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

    def save_state(self, rows: Sequence[int] | None = None) -> State:
        """Return where rows (all) stand, for `restore_state` (`EdgeAIGCEnv.save_state`).

        Raises:
            EpisodeOverError: before one of them was reset.
            StateError: there is no such row.
        """
        self._check_idle("save_state")
        return self._episodes.state(rows)

    def restore_state(
        self,
        state: State,
        rows: Sequence[int] | None = None,
        workloads: Sequence[Workload | None] | None = None,
    ) -> tuple[Any, dict[str, Any]]:
        """Have rows (all) go on from a state, bit for bit (`EdgeAIGCEnv.restore_state`).

        Args:
            state: of as many rows, or of one, or of an environment of its own, for all of them.
            rows: which rows are to go on from it; the others stay where they are.
            workloads: one per row of these, what is to come in place of what was to
                (`EdgeAIGCEnv.simulate`); None where it stays.

        Returns:
            What all rows see, as `reset` returns it: observations and infos.

        Raises:
            StateError: it is no state, or one of another scenario, kind or number of rows.
            WorkloadError: a workload that does not fit, or cannot go on from there.
            EpisodeOverError: another future for an episode that is over.
        """
        self._check_idle("restore_state")
        self._episodes.restore(state, rows, workloads)
        return self._see(), self._infos()

    def clone(self) -> Self:
        """Return a batch whose rows stand where these do, and that shares nothing that changes."""
        self._check_idle("clone")
        return copy.deepcopy(self, {id(self.scenario): self.scenario})

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
