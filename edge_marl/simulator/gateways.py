"""The simulator of the multi-agent game: the same arrays, and what each gateway has and sees."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import numpy.typing as npt

from edge_marl.kernel import world as k
from edge_marl.kernel.world import WAITS
from edge_marl.simulator.simulator import Simulator, work_of
from edge_marl.simulator.state import ExtendedState

__all__ = ["GatewaySimulator"]


class GatewaySimulator(Simulator):
    """Environments of one scenario, played by gateways (rules: `game.py`).

    `load` starts an episode in a row; `play` takes one step in every row. What gateways see is in
    `seen` and `masks`.

    Args:
        scenario: the scenario of all rows; its gateways and its clock.
        num_envs: number of rows E.
        num_threads: as in `Simulator`.
    """

    in_game = True

    @property
    def nothing(self) -> int:
        """The choice to do nothing: the last of each gateway's N * V + 1."""
        return self.scenario.num_actions

    @property
    def seen(self) -> npt.NDArray[np.float32]:
        """(E * G, size) what each gateway sees now; overwritten by the next step."""
        return self._world.seen

    @property
    def masks(self) -> npt.NDArray[np.int8]:
        """(E * G, N * V + 1) what each gateway may choose now; overwritten by the next step."""
        return self._world.masks

    @property
    def waiting(self) -> npt.NDArray[np.bool_]:
        """(E, G) gateways that have a task to decide on now."""
        return np.not_equal(self.first_waiting, k.NOWHERE)

    @property
    def first_waiting(self) -> npt.NDArray[np.int64]:
        """(E, G) view: the task that each gateway has to decide on now, or `kernel.NOWHERE`."""
        return self._world.gateways[:, :, WAITS]

    @property
    def asleep(self) -> npt.NDArray[np.bool_]:
        """(E, G) gateways that sleep now."""
        w = self._world
        at, end = w.gateways[:, :, k.SLEEP], w.gateways[:, :, k.SLEEPS_END]
        if w.sleeps.shape[1] == 0:
            return np.zeros(at.shape, dtype=np.bool_)
        begins = w.sleeps[np.arange(len(at))[:, None], np.where(at < end, at, 0), k.TIME]
        asleep: npt.NDArray[np.bool_] = (at < end) & (begins <= w.episode[:, k.CLOCK, None])
        return asleep

    def play(
        self,
        choices: npt.NDArray[np.int64],
        own_rewards: npt.NDArray[np.float64],
        seen: npt.NDArray[np.float32] | None = None,
        masks: npt.NDArray[np.int8] | None = None,
    ) -> None:
        """Take one step in every row that is going on; the others stay, with rewards 0.

        Args:
            choices: (E, G) actions in 0..N * V - 1, or `nothing`.
            own_rewards: (E, G) written in place: what each gateway's dispatch paid.
            seen: as the property, written in place: what is seen after the step.
            masks: likewise; given if `seen` is.
        """
        self.stepper.step(work_of(choices, own_rewards, seen, masks))

    def states(self) -> npt.NDArray[np.float32]:
        """Return the full present of every row (E, state_size), for centralised training.

        Time as a share of the horizon; per gateway its waiting task's features and whether one
        waits; per server its capacity, share of free capacity, and the time until its next task
        ends and until its last one does, as shares of the longest run time. Where gateways sleep,
        which of them do. In the extended model more (`state.py`). Nothing of the future.
        """
        w = self._world
        now = w.episode[:, k.CLOCK, None]
        capacity, used, counts = (
            w.servers[:, :, column] for column in (k.CAPACITY, k.USED, k.NUM_RUNNING)
        )
        slots = np.arange(w.ends.shape[2]) < counts[..., None]
        left = w.ends - now[..., None]
        first = np.where(slots, left, k.NEVER).min(-1, initial=k.NEVER)
        last = np.where(slots, left, 0).max(-1, initial=0)
        server = (
            capacity / self.layout.max_capacity,
            (capacity - used) / capacity,
            np.minimum(np.where(counts > 0, first, 0) / self.layout.max_run_time_ms, 1.0),
            np.minimum(last / self.layout.max_run_time_ms, 1.0),
        )
        seen = self.seen.reshape(self.num_envs, self.num_gateways, -1)
        parts = (
            np.minimum(now / self.scenario.arrivals.horizon_ms, 1.0),
            np.concatenate([self.layout.unflatten(seen)[0], self.waiting[..., None]], axis=-1),
            np.stack(server, axis=-1),
            *([self.asleep] if self.scenario.gateways.sleep else []),
            *self._more.of(w),
        )
        flat = [part.reshape(self.num_envs, -1) for part in parts]
        return np.concatenate(flat, axis=1).astype(np.float32)

    def state(self, row: int) -> npt.NDArray[np.float32]:
        """Return the full present of one row (see `states`)."""
        state: npt.NDArray[np.float32] = self.states()[row]
        return state

    @property
    def num_gateways(self) -> int:
        """Gateways G."""
        return self.scenario.gateways.count

    @property
    def state_size(self) -> int:
        """Length of a row's state."""
        sleep = self.scenario.gateways.sleep is not None
        of_gateways = self.num_gateways * (self.layout.task_size + 1 + sleep)
        return 1 + of_gateways + 4 * self.scenario.num_servers + self._more.size

    @cached_property
    def _more(self) -> ExtendedState:
        return ExtendedState(self.scenario, self.layout)
