"""The simulator of the game in turn: one gateway after the other, in rows of their own pace."""

from __future__ import annotations

from typing import Any, TypeVar

import numba
import numpy as np
import numpy.typing as npt

from edge_marl.kernel import turns as game
from edge_marl.kernel import world as k
from edge_marl.scenario import Scenario
from edge_marl.simulator import compiled
from edge_marl.simulator.gateways import GatewaySimulator
from edge_marl.workload import Workload

__all__ = ["TurnSimulator"]

A = TypeVar("A", bound=np.generic)


class TurnSimulator(GatewaySimulator):
    """Environments of one scenario in which one gateway decides at a time (rules: `turns.py`).

    Rows go on independently: in some a slot ends with a turn, in others it does not. What the
    gateway whose turn it is sees is in `shown` and `allowed`; `play` is not for such rows.

    Args:
        scenario: the scenario of all rows; its gateways and its clock.
        num_envs: number of rows E.
    """

    def __init__(self, scenario: Scenario, num_envs: int = 1) -> None:
        super().__init__(scenario, num_envs, num_threads=1)
        gateways = scenario.gateways.count
        self._turns = np.zeros((num_envs, game.NUM_TURN_COLUMNS), dtype=np.int64)
        self._chosen = np.zeros((num_envs, gateways), dtype=np.int64)
        self._own_rewards = np.zeros((num_envs, gateways))
        # Without servers where nothing is stale: the kernel goes through them, of any row.
        stale = (num_envs, scenario.num_servers) if scenario.extended else (0, 0)
        self._kept = np.zeros((*stale, game.NUM_KEPT_COLUMNS))
        self.ended = np.zeros(num_envs, dtype=np.int64)
        """(E,) 1 where the last turn was the last one of a slot."""
        self.told = np.zeros((num_envs, gateways), dtype=np.int64)
        """(E, G) what gateways have chosen in that slot: those without a task nothing."""

    def load(self, row: int, workload: Workload) -> None:
        """Start an episode on a workload in one row: the first gateway of its first slot is shown.

        Raises:
            WorkloadError: if the workload does not fit the scenario.
        """
        super().load(row, workload)
        self._kept[row : row + 1] = 0.0
        begin = self._body(game.begin_turns, compiled.BEGIN_TURNS_AT)
        begin(self._where, row, self._turns, self._chosen)

    def take(self, choices: npt.NDArray[np.int64]) -> None:
        """In every row that is going on, the gateway whose turn it is chooses.

        Args:
            choices: (E,) an action, or `nothing`; legal ones: nothing is checked.
        """
        take = self._body(game.take_turns, compiled.TURNS_AT)
        state = (self._turns, self._chosen, self.ended, self.told, self._kept, self._own_rewards)
        take(self._where, np.ascontiguousarray(choices, dtype=np.int64), *state)

    @property
    def going_on(self) -> npt.NDArray[np.bool_]:
        """(E,) rows whose episode is not over."""
        return np.equal(self.done, k.GOING_ON)

    @property
    def whose(self) -> npt.NDArray[np.int64]:
        """(E,) the gateway whose turn it is; where the episode is over, the last one's."""
        order = self._world.order
        at = np.minimum(self._turns[:, game.AT], order.shape[1] - 1)
        gateway: npt.NDArray[np.int64] = order[np.arange(self.num_envs), at]
        return gateway

    @property
    def shown(self) -> npt.NDArray[np.float32]:
        """(E, size) what the gateway whose turn it is sees; a copy."""
        return self._of_whose(self.seen)

    @property
    def allowed(self) -> npt.NDArray[np.int8]:
        """(E, N * V + 1) what it may choose; a copy."""
        return self._of_whose(self.masks)

    def _of_whose(self, rows: npt.NDArray[A]) -> npt.NDArray[A]:
        """Return the rows, (E * G, ...), of the gateways whose turn it is, (E, ...)."""
        of_each: npt.NDArray[A] = rows[np.arange(self.num_envs) * self.num_gateways + self.whose]
        return of_each

    @property
    def _where(self) -> Any:
        """The arrays, as a body takes them."""
        return self._world if numba.config.DISABLE_JIT else self._address

    def _body(self, plain: Any, at: Any) -> Any:
        return plain if numba.config.DISABLE_JIT else at[self.scenario.model]
