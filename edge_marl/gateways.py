"""The simulator of the multi-agent game: the same arrays, and what each gateway has and sees."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_marl import compiled
from edge_marl import kernel as k
from edge_marl.game import HEAD, NUM_GATEWAY_COLUMNS, WAITS
from edge_marl.scenario import Scenario
from edge_marl.simulator import Simulator, longer
from edge_marl.topology import Topology
from edge_marl.workload import ARRIVAL, GATEWAY

__all__ = ["GatewaySimulator"]


class GatewaySimulator(Simulator):
    """Environments of one scenario, played by gateways (rules: `game.py`).

    `load` starts an episode in a row and `show` writes what its gateways see; `play` takes one step
    in every row. What gateways see is in `seen` and `masks`.

    Args:
        scenario: the scenario of all rows; its gateways and its clock.
        num_envs: number of rows E.
        num_threads: as in `Simulator`.
    """

    def __init__(
        self, scenario: Scenario, num_envs: int = 1, num_threads: int | None = None
    ) -> None:
        count = scenario.gateways.count
        self.nothing = scenario.num_actions
        """The choice to do nothing: the last of each gateway's S * V + 1."""
        self._gateways = np.full((num_envs, count, NUM_GATEWAY_COLUMNS), k.NOWHERE, dtype=np.int64)
        self._followers = np.zeros((num_envs, 0), dtype=np.int64)
        self._order = np.zeros((num_envs, count), dtype=np.int64)
        super().__init__(scenario, num_envs, num_threads)
        self.seen = np.zeros((num_envs * count, self.layout.size), dtype=np.float32)
        """(E * G, size) what each gateway sees now; overwritten by the next step."""
        self.masks = np.zeros((num_envs * count, self.nothing + 1), dtype=np.int8)
        """(E * G, S * V + 1) what each gateway may choose now; overwritten by the next step."""

    def _make_room(self, num_tasks: int, num_running: int) -> None:
        if num_tasks > self._followers.shape[1]:
            self._followers = longer(self._followers, 1, num_tasks)
        super()._make_room(num_tasks, num_running)

    def load_tasks(self, row: int, topology: Topology, tasks: npt.NDArray[np.int64]) -> None:
        """Start an episode on tasks that are known to be sound (`draw.draw_tasks`)."""
        super().load_tasks(row, topology, tasks)
        gateway = tasks[:, GATEWAY]
        order = np.argsort(gateway, kind="stable")
        same = gateway[order[1:]] == gateway[order[:-1]]
        self._followers[row, order] = k.NOWHERE
        self._followers[row, order[:-1][same]] = order[1:][same]
        self._gateways[row] = k.NOWHERE
        present, first = np.unique(gateway, return_index=True)
        self._gateways[row, present, HEAD] = first
        if slot := self.scenario.clock.slot_ms:
            self._episode[row, k.CLOCK] = -(-int(tasks[0, ARRIVAL]) // slot) * slot
        compiled.show_waiting(row, self._spec, self._episode, self._tasks, self._gateways)
        self.show(row)

    def show(self, row: int) -> None:
        """Write what the gateways of a row see into `seen` and `masks`."""
        compiled.observe_gateways(
            row,
            self._spec,
            self._episode,
            self._tasks,
            self.observations,
            self._gateways,
            self.seen,
            self.masks,
        )

    @property
    def waiting(self) -> npt.NDArray[np.bool_]:
        """(E, G) gateways that have a task to decide on now."""
        return np.not_equal(self._gateways[:, :, WAITS], k.NOWHERE)

    def play(self, choices: npt.NDArray[np.int64], own_rewards: npt.NDArray[np.float64]) -> None:
        """Take one step in every row that is going on; the others stay, with rewards 0.

        Args:
            choices: (E, G) actions in 0..S * V - 1, or `nothing`.
            own_rewards: (E, G) written in place: what each gateway's dispatch paid.
        """
        arrays: tuple[Any, ...] = (self._gateways, self._followers, self._order)
        run = partial(compiled.play_rows, *self._state, *arrays, self.seen, self.masks)
        self._in_threads(run, choices, own_rewards)

    def state(self, row: int) -> npt.NDArray[np.float32]:
        """Return the full present of a row, for centralised training .

        Time as a share of the horizon; per gateway its waiting task's features and whether one
        waits; per server its capacity, share of free capacity, and the time until its next task
        ends and until its last one does, as shares of the longest run time. Nothing of the future.
        """
        now = int(self._episode[row, k.CLOCK])
        longest = self.layout.max_run_time_ms
        counts = self._servers[row, :, k.NUM_RUNNING]
        slots = np.arange(self._ends.shape[2]) < counts[:, None]
        left = np.where(slots, self._ends[row] - now, 0)
        first = np.where(counts > 0, np.where(slots, left, k.NEVER).min(1, initial=k.NEVER), 0)
        ends = np.stack([first, left.max(1, initial=0)], axis=1) / longest
        rows = slice(row * self.num_gateways, (row + 1) * self.num_gateways)
        task, servers, _ = self.layout.unflatten(self.seen[rows])
        waits = self.waiting[row].astype(np.float32)[:, None]
        parts = (
            np.array([min(1.0, now / self.scenario.arrivals.horizon_ms)]),
            np.concatenate([task, waits], axis=1).ravel(),
            np.concatenate([servers[0], np.minimum(ends, 1.0)], axis=1).ravel(),
        )
        return np.concatenate(parts).astype(np.float32)

    @property
    def num_gateways(self) -> int:
        """Gateways G."""
        return self.scenario.gateways.count

    @property
    def state_size(self) -> int:
        """Length of `state`."""
        return 1 + self.num_gateways * (self.layout.task_size + 1) + 4 * self.layout.num_servers
