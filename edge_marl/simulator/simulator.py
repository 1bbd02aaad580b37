"""The simulator: owns the arrays of one or many environments and runs the kernel on them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from edge_marl.draw import draw_workload
from edge_marl.kernel import batch, loading
from edge_marl.kernel import world as k
from edge_marl.kernel.agenda import CHILDREN, first_leaf
from edge_marl.kernel.loading import NO_ROOM
from edge_marl.layout import ObservationLayout
from edge_marl.scenario import Scenario
from edge_marl.simulator import compiled
from edge_marl.simulator.allocation import empty_world, longer
from edge_marl.simulator.log import EpisodeLog
from edge_marl.simulator.packing import (
    pack_growth,
    pack_levels,
    pack_rates,
    pack_services,
    pack_spec,
)
from edge_marl.simulator.restarts import Restarts
from edge_marl.simulator.rows import c_begin
from edge_marl.simulator.stepping import Stepper, Work
from edge_marl.workload import Workload
from edge_marl.workload.draft import Draft
from edge_marl.workload.topology import draw_topology

__all__ = ["Simulator"]

Rows = npt.NDArray[np.int64]
"""Numbers of rows, all different."""

AXES = {name: array.axes[0] for name, array in k.ARRAYS.items()}
BY_ROW = [name for name, axis in AXES.items() if axis in ("E", "X", "Y", "M")]
"""Arrays of which each row has a part of its own."""
BY_GATEWAY = [name for name, axis in AXES.items() if axis == "M * G"]
"""Likewise, a part for each of its gateways."""


class Simulator:
    """Environments of one scenario, stepped by the compiled kernel; no randomness inside.

    Rows are environments. `load` starts an episode in a row; `step_row` and `step` take decisions.
    Nothing is checked on the way: that is for the public environments above it.

    Args:
        scenario: the scenario of all rows.
        num_envs: number of rows E.
        num_threads: threads that share the rows of `step`; results do not depend on it. None is one
            per core (or `NUMBA_NUM_THREADS` of the environment), as far as there are rows for them.
    """

    in_game = False
    """Whether there are the arrays of the game of gateways."""

    def __init__(
        self, scenario: Scenario, num_envs: int = 1, num_threads: int | None = None
    ) -> None:
        self.scenario = scenario
        self.layout = ObservationLayout(scenario)
        self.num_envs = num_envs
        # Rows on the scenario's own servers share the last topology, which then stays in the cache;
        # a row on other servers (a given workload's, or drawn with it) has an entry of its own.
        self._own = None if scenario.extended else draw_topology(scenario)
        self._world = self._empty_world()
        if self._own is not None:
            self._world.services[num_envs] = pack_services(self._own)
        most_running = scenario.max_beside + 1 + self.layout.max_waiting
        expected = scenario.arrivals.rate_per_s * scenario.arrivals.horizon_s
        num_tasks = int(expected + 4 * expected**0.5) + 8
        self.restarts = Restarts(scenario, num_envs, self.in_game)
        self.stepper = Stepper(self._world, self.in_game, self.restarts, num_threads)
        self.make_room(num_tasks, min(most_running, num_tasks), 0, 0)
        self._bind()

    def _empty_world(self) -> k.World:
        """Return all arrays, without room for tasks."""
        scenario, e = self.scenario, self.num_envs
        s, v, g = scenario.num_servers, scenario.num_services, scenario.gateways.count
        x, m = e if scenario.extended else 0, e if self.in_game else 0
        nodes = first_leaf(s) + -(-s // CHILDREN) * CHILDREN
        sizes = {"N": 0, "R": 0, "F": 0, "Z": 0, "E": e, "X": x, "M": m, "S": s, "V": v, "P": s * v}
        sizes |= {"T": x or e + 1, "BASELINE + K": k.BASELINE + scenario.num_types}
        sizes |= {"G": g, "G + 1": g + 1, "M * G": m * g, "L": scenario.num_neighbours}
        sizes |= {"A": scenario.num_actions, "A + 1": scenario.num_actions + 1}
        sizes |= {"levels": scenario.num_levels, "Y": x if scenario.has_terms else 0}
        sizes |= {"D": self.layout.size, "nodes": nodes}
        world = empty_world(sizes)
        world.spec[:] = pack_spec(scenario, self.layout)
        world.rates[:] = pack_rates(scenario, self.layout)
        world.levels[:], world.growth[:] = pack_levels(scenario), pack_growth(scenario)
        world.episode[:, k.DONE] = k.TERMINATED
        world.servers[:, :, k.CAPACITY] = 1
        world.soonest[:] = k.NEVER
        world.feasible[:] = 1
        world.gateways[:] = k.NOWHERE
        return world

    def make_room(
        self, num_tasks: int, num_running: int, num_outages: int, num_sleeps: int
    ) -> None:
        """Have room for so many tasks, outages and sleeps per row and running tasks per server."""
        w = self._world
        wanted = {"N": num_tasks, "R": num_running, "F": num_outages, "Z": num_sleeps}
        grown = {}
        for name, (_, axes) in k.ARRAYS.items():
            array = getattr(w, name)
            for axis, length in enumerate(wanted.get(str(size), 0) for size in axes):
                if length > array.shape[axis] and len(array):
                    grown[name] = longer(array, axis, length)
        if grown:
            self._world = w._replace(**grown)
            self._bind()

    def _bind(self) -> None:
        """Bind the kernel to the arrays as they are now."""
        self._table = compiled.address_table(self._world)
        self._address: int = self._table.ctypes.data
        self.stepper.bind(self._world, self._table)
        self.viewers: npt.NDArray[np.int64] = self._world.episode[:, k.VIEWER]
        """(E,) view: the gateway by whose eyes a row sees, that of the task shown; 0 without one.
        Not in the game, where every gateway sees."""
        self.step_row: Callable[[int, int], float] = self._bound(
            batch.step, compiled.STEPS_AT[self.scenario.model]
        )
        """`step_row(row, action)` takes one decision in one row that is going on and returns the
        reward. Bound, not a method: a single environment's step is short enough to notice."""

    def _bound(self, body: Callable[..., Any], compiled_at: Callable[..., Any]) -> Any:
        """Return a body of the kernel, bound to the arrays."""
        if numba.config.DISABLE_JIT:  # plain Python has no pointers
            return partial(body, self._world)
        return partial(compiled_at, self._table.ctypes.data)

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what is bound to this object's memory, for copies and pickles."""
        bound = ("_table", "_address", "step_row", "viewers")
        return {name: value for name, value in self.__dict__.items() if name not in bound}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Bind a copy to its own memory."""
        self.__dict__.update(state)
        self._bind()

    @property
    def num_bytes(self) -> int:
        """Memory of all arrays."""
        return sum(array.nbytes for array in self._world)

    @property
    def observations(self) -> npt.NDArray[np.float32]:
        """(E, size) what is seen now; overwritten by the next step: copy what you hand out."""
        if self.stepper.stale:
            self._look()
        return self._world.observations

    @property
    def feasible(self) -> npt.NDArray[np.int8]:
        """(E, A) mask of feasible actions now; overwritten by the next step."""
        return self._world.feasible

    @property
    def seen(self) -> npt.NDArray[np.float32]:
        """What whoever decides sees now, a row each; overwritten by the next step."""
        return self.observations

    @property
    def masks(self) -> npt.NDArray[np.int8]:
        """What whoever decides may choose now; overwritten by the next step."""
        return self.feasible

    @property
    def done(self) -> npt.NDArray[np.int64]:
        """(E,) view: `kernel.GOING_ON`, `TERMINATED` (and before a load) or `TRUNCATED`."""
        return self._world.episode[:, k.DONE]

    @property
    def last_viewers(self) -> npt.NDArray[np.int64]:
        """(E,) view: `viewers` at the end of the episodes that `Stepper.last_seen` is of."""
        return self._world.episode[:, k.LAST_VIEWER]

    @property
    def task_shown(self) -> npt.NDArray[np.int64]:
        """(E,) view: the task that is shown, in each row that is going on; not in slots."""
        return self._world.episode[:, k.SHOWN]

    @property
    def world(self) -> k.World:
        """The arrays as they are now: only to be looked at, and not to be kept."""
        return self._world

    @property
    def address(self) -> int:
        """Where compiled code finds the arrays as they are now (`world_type.py`)."""
        return self._address

    @property
    def crashes(self) -> npt.NDArray[np.int64]:
        """(E,) view: server crashes of the episode so far."""
        return self._world.episode[:, k.CRASHES]

    @property
    def running(self) -> npt.NDArray[np.int32]:
        """(E, S) view: running tasks of each server."""
        return self._world.servers[:, :, k.NUM_RUNNING]

    def load(self, row: int, workload: Workload) -> None:
        """Start an episode on a workload in one row.

        Raises:
            WorkloadError: if the workload does not fit the scenario.
        """
        workload.check_fits(self.scenario)
        self._start(row, Draft.of(workload, self._own))

    def start(self, row: int) -> None:
        """Start the next episode of a row's seed (`restarts`), of the training split."""
        restarts = self.restarts
        if restarts.drawn:
            self._start(row, restarts.next_episode(row))
        else:
            seed, episode = restarts.seed(row), int(restarts.episodes[row])
            self.load(row, draw_workload(self.scenario, seed, episode=episode))
        restarts.episodes[row] += 1

    def _start(self, row: int, draft: Draft) -> None:
        """Start an episode on what is in a draft."""
        if self._put(row, draft) == NO_ROOM:
            tasks, outages, sleeps = draft.counts
            running = loading.most_running(
                self._world, int(draft.capacity.max()), int(draft.tasks[:, k.DEMAND].min()), tasks
            )
            more = (outages + outages // 8, sleeps + sleeps // 8)
            self.make_room(tasks + tasks // 8, running, *more)
            self._put(row, draft)

    def _put(self, row: int, draft: Draft) -> int:
        if not numba.config.DISABLE_JIT:
            begin = c_begin(self.in_game, self.scenario.model)
            return int(begin.ctypes(self._address, row, draft.address, 0))
        done = loading.load_draft(self._world, row, draft.words)
        if done != NO_ROOM:
            open_row = loading.open_game_row if self.in_game else loading.open_row
            open_row(self._world, row)
        return done

    def _look(self) -> None:
        """Write what all rows see, which the last step has only handed out."""
        look = c_begin(self.in_game, self.scenario.model)
        for row in range(self.num_envs):
            look.ctypes(self._address, row, 0, 0)
        self.stepper.stale = False

    def snapshot(self, rows: Rows | None = None) -> dict[str, npt.NDArray[Any]]:
        """Return copies of all that is of some rows (all), by name: (rows, ...), servers included.

        Nothing that belongs to the rows only by where they stand here is left out of it, so that
        they can go on in other rows, also of another simulator of the scenario.
        """
        if self.stepper.stale:
            self._look()
        chosen = np.arange(self.num_envs) if rows is None else rows
        state = {name: array[chosen] for name, array in self._parts().items()}
        return state | {"services": self._world.services[state["episode"][:, k.TOPOLOGY]]}

    def restore(self, state: dict[str, npt.NDArray[Any]], rows: Rows | None = None) -> None:
        """Have rows (all) go on from a `snapshot` of as many, or all from that of one."""
        chosen = np.arange(self.num_envs) if rows is None else rows
        self.make_room(
            state["tasks"].shape[1],
            state["running"].shape[2],
            *(state[name].shape[1] if name in state else 0 for name in ("outages", "sleeps")),
        )
        for name, array in self._parts().items():
            if name in state:  # of no length otherwise, as the failures of an episode without any
                kept = state[name]
                index: tuple[Any, ...] = (chosen, *map(slice, kept.shape[1:]))
                array[index] = kept
        w, services = self._world, state["services"]
        w.services[chosen] = services
        own = self._own is not None and (services == w.services[self.num_envs]).all((1, 2))
        w.episode[chosen, k.TOPOLOGY] = np.where(own, self.num_envs, chosen)

    def _parts(self) -> dict[str, npt.NDArray[Any]]:
        """Return views (E, ...) of the arrays of which each row has its own part."""
        w, gateways = self._world, self.scenario.gateways.count
        arrays = {name: getattr(w, name) for name in BY_ROW}
        for name in BY_GATEWAY:
            of_all = getattr(w, name)
            arrays[name] = of_all.reshape(-1, gateways, of_all.shape[1])
        return {name: array for name, array in arrays.items() if array.size}

    def step(
        self,
        actions: npt.NDArray[np.int64],
        rewards: npt.NDArray[np.float64],
        seen: npt.NDArray[np.float32] | None = None,
        masks: npt.NDArray[np.int8] | None = None,
    ) -> None:
        """Take one decision in every row that is going on; the others stay and get reward 0.

        Args:
            actions: (E,) in the action space.
            rewards: (E,) written in place.
            seen: as `observations`, written in place: what is seen after the step.
            masks: as `feasible`, likewise; given if `seen` is.
        """
        self.stepper.step(work_of(actions, rewards, seen, masks))

    def begin(
        self,
        actions: npt.NDArray[np.int64],
        rewards: npt.NDArray[np.float64],
        seen: npt.NDArray[np.float32] | None = None,
        masks: npt.NDArray[np.int8] | None = None,
    ) -> None:
        """Start a `step` in other threads, as far as there are any; `finish` has to follow."""
        self.stepper.begin(work_of(actions, rewards, seen, masks))

    def finish(self) -> None:
        """Help with the step that was begun, and return when it is done."""
        self.stepper.finish()

    def log(self, row: int) -> EpisodeLog:
        """Return what became of the tasks of one row's episode so far."""
        w = self._world
        shown, clock, count, illegal = w.episode[row, [k.SHOWN, k.CLOCK, k.NUM_TASKS, k.ILLEGAL]]
        extended = self.scenario.extended
        failures = {}
        if extended:
            failures["outages"] = w.outages[row, : w.episode[row, k.NUM_OUTAGES]].copy()
        places = self.scenario.num_servers, self.scenario.num_services
        return EpisodeLog(
            tasks=w.tasks[row, :count].copy(),
            details=w.details[row, :count].copy() if extended else None,
            terms=w.terms[row, :count].copy() if self.scenario.has_terms else None,
            rewards=w.rewards[row, :count].copy(),
            num_shown=int(shown),
            capacity=w.servers[row, :, k.CAPACITY].astype(np.int64),
            energy_mj=w.energy[row].reshape(places).copy() if extended else None,
            has_cloud=self.scenario.cloud is not None,
            server_crashes=w.servers[row, :, k.NUM_CRASHES].astype(np.int64),
            num_services=self.scenario.num_services,
            clock_ms=int(clock),
            illegal_actions=int(illegal),
            in_slots=bool(self.scenario.clock.slot_ms),
            restart_ms=self.scenario.overload.restart_ms,
            **failures,
        )


def work_of(
    actions: npt.NDArray[np.int64],
    rewards: npt.NDArray[np.float64],
    seen: npt.NDArray[np.float32] | None,
    masks: npt.NDArray[np.int8] | None,
) -> Work:
    """Return work whose arrays are as compiled code takes them by their addresses: in one piece.

    Raises:
        ValueError: if the rewards are not so; they are written in place.
    """
    if not (rewards.flags.c_contiguous and rewards.dtype == np.float64):
        raise ValueError(f"rewards is a part of an array, or {rewards.dtype}: give a whole float64")
    return Work(np.ascontiguousarray(actions, dtype=np.int64), rewards, seen, masks)
