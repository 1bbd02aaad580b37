"""The simulator: owns the arrays of one or many environments and runs the kernel on them."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from edge_marl import compiled
from edge_marl import kernel as k
from edge_marl.layout import ObservationLayout
from edge_marl.scenario import Scenario
from edge_marl.topology import Topology, draw_topology
from edge_marl.utility import pack_services
from edge_marl.workload import DEMAND, NUM_TASK_FIELDS, Workload

__all__ = ["EpisodeLog", "Simulator"]

ROWS_PER_THREAD = 128
"""A thread is worth its hand-over (some 20 us) from about this many rows on."""


@dataclass(frozen=True, eq=False)
class EpisodeLog:
    """What became of every task of an episode so far (copies; times in milliseconds)."""

    tasks: npt.NDArray[np.int64]
    """(N, 9) the kernel's task rows: the workload's columns, then PLACE, STATUS, START, END."""
    rewards: npt.NDArray[np.float64]
    """(D,) reward of each task shown so far, in order of arrival."""
    capacity: npt.NDArray[np.int64]
    """(S,) capacity of each server."""
    server_crashes: npt.NDArray[np.int64]
    """(S,) crashes of each server."""
    num_services: int
    clock_ms: int
    illegal_actions: int

    @property
    def num_decisions(self) -> int:
        """Tasks that were to be decided on so far, D: the first ones."""
        return len(self.rewards)

    @property
    def finished(self) -> npt.NDArray[np.bool_]:
        """(N,) tasks that have run to their end by now."""
        return self._admitted & (self.tasks[:, k.END] <= self.clock_ms)

    @property
    def running(self) -> npt.NDArray[np.bool_]:
        """(N,) tasks that run now."""
        return self._admitted & (self.tasks[:, k.END] > self.clock_ms)

    @property
    def _admitted(self) -> npt.NDArray[np.bool_]:
        return np.equal(self.tasks[:, k.STATUS], k.ADMITTED)


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

    def __init__(
        self, scenario: Scenario, num_envs: int = 1, num_threads: int | None = None
    ) -> None:
        self.scenario = scenario
        self.layout = ObservationLayout(scenario)
        self.num_envs = num_envs
        self._spec = _pack_spec(scenario, self.layout)
        self._penalty = scenario.overload.penalty
        self._episode = np.zeros((num_envs, k.NUM_EPISODE_COLUMNS), dtype=np.int64)
        self._episode[:, k.DONE] = k.TERMINATED
        self._servers = np.ones(
            (num_envs, scenario.num_servers, k.NUM_SERVER_COLUMNS), dtype=np.int32
        )
        self.observations = np.zeros((num_envs, self.layout.size), dtype=np.float32)
        """(E, size) what is seen now; overwritten by the next step: copy what you hand out."""
        # Rows on the scenario's own servers share the last entry, which then stays in the cache;
        # a row on other servers (a given workload's) has an entry of its own.
        self._own = draw_topology(scenario)
        self._topologies: list[Topology | None] = [None] * num_envs
        places = scenario.num_actions
        self._services = np.zeros((num_envs + 1, places, k.BASELINE + scenario.num_types))
        self._services[num_envs] = pack_services(self._own)
        leaves = 1 << (scenario.num_servers - 1).bit_length()
        self._soonest = np.full((num_envs, 2 * leaves), k.NEVER, dtype=np.int64)
        self._tasks = np.zeros((num_envs, 0, k.NUM_TASK_COLUMNS), dtype=np.int64)
        self._running = np.zeros(
            (num_envs, scenario.num_servers, 0, k.NUM_RUNNING_COLUMNS), dtype=np.int32
        )
        self._ends = np.zeros((num_envs, scenario.num_servers, 0), dtype=np.int64)
        self._rewards = np.zeros((num_envs, 0))
        expected = scenario.arrivals.rate_per_s * scenario.arrivals.horizon_s
        num_tasks = int(expected + 4 * expected**0.5) + 8
        self._most_running = self.layout.max_capacity // min(scenario.tasks.demand)
        """Most drawn tasks that fit on a server."""
        self._make_room(num_tasks, min(self._most_running, num_tasks))
        cores = numba.config.NUMBA_NUM_THREADS
        threads = min(num_threads or cores, max(1, num_envs // ROWS_PER_THREAD))
        bounds = [num_envs * i // threads for i in range(threads + 1)]
        self._chunks = list(pairwise(bounds))
        self._threads: ThreadPoolExecutor | None = None

    def _make_room(self, num_tasks: int, num_running: int) -> None:
        """Have room for so many tasks per row and running tasks per server; keep what is there."""
        if num_tasks > self._tasks.shape[1]:
            self._tasks = longer(self._tasks, 1, num_tasks)
            self._rewards = longer(self._rewards, 1, num_tasks)
            self._bind()
        if num_running > self._running.shape[2]:
            self._running = longer(self._running, 2, num_running)
            self._ends = longer(self._ends, 2, num_running)
            self._bind()

    def _bind(self) -> None:
        """Bind the kernel to the arrays as they are now."""
        self._state = (
            self._spec,
            self._penalty,
            self._episode,
            self._servers,
            self._services,
            self._tasks,
            self._rewards,
            self._running,
            self._ends,
            self._soonest,
            self.observations,
        )
        arrays = [part for part in self._state if isinstance(part, np.ndarray)]
        self._table = compiled.address_table(arrays)
        self.step_row: Callable[[int, int], float] = (
            partial(compiled.step, *self._state)
            if numba.config.DISABLE_JIT  # plain Python has no pointers
            else partial(compiled.step_at, self._table.ctypes.data, self._penalty)
        )
        """`step_row(row, action)` takes one decision in one row that is going on and returns the
        reward. Bound, not a method: a single environment's step is short enough to notice."""

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what is bound to this object's memory, for copies and pickles."""
        bound = ("_state", "_table", "step_row")
        state = {name: value for name, value in self.__dict__.items() if name not in bound}
        return state | {"_threads": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Bind a copy to its own memory."""
        self.__dict__.update(state)
        self._bind()

    @property
    def done(self) -> npt.NDArray[np.int64]:
        """(E,) view: `kernel.GOING_ON`, `TERMINATED` (and before a load) or `TRUNCATED`."""
        return self._episode[:, k.DONE]

    @property
    def crashes(self) -> npt.NDArray[np.int64]:
        """(E,) view: server crashes of the episode so far."""
        return self._episode[:, k.CRASHES]

    @property
    def running(self) -> npt.NDArray[np.int32]:
        """(E, S) view: running tasks of each server."""
        return self._servers[:, :, k.NUM_RUNNING]

    def num_decisions(self, row: int) -> int:
        """Return the decisions that a row's episode has in all."""
        last_is_shown_only = self.scenario.episode.end == "last-task"
        return int(self._episode[row, k.NUM_TASKS]) - last_is_shown_only

    def load(self, row: int, workload: Workload) -> None:
        """Start an episode on a workload in one row.

        Raises:
            WorkloadError: if the workload does not fit the scenario.
        """
        workload.check_fits(self.scenario)
        capacity, demand = workload.topology.capacity, workload.tasks[:, DEMAND]
        self._make_room(0, min(int(capacity.max() // demand.min()), workload.num_tasks))
        self.load_tasks(row, workload.topology, workload.tasks)

    def load_tasks(self, row: int, topology: Topology, tasks: npt.NDArray[np.int64]) -> None:
        """Start an episode on tasks that are known to be sound (`draw.draw_tasks`)."""
        count = len(tasks)
        if count > self._tasks.shape[1]:
            room = count + count // 8
            self._make_room(room, min(self._most_running, room))
        rows = self._tasks[row, :count]
        rows[:, :NUM_TASK_FIELDS] = tasks
        rows[:, NUM_TASK_FIELDS:] = (k.NOWHERE, k.WAITING, 0, 0)
        if self._topologies[row] is not topology:
            self._install(row, topology)
        self._servers[row, :, k.CAPACITY + 1 :] = 0
        self._soonest[row] = k.NEVER
        entry = self.num_envs if topology is self._own else row
        self._episode[row] = (0, tasks[0, k.ARRIVAL], count, k.GOING_ON, 0, entry, 0)
        self.observations[row, self.layout.task_size + 1 :: k.SERVER_FEATURES] = 1.0
        compiled.observe_task(
            row, 0, self._spec, self._episode, self._tasks, self.observations, row
        )

    def _install(self, row: int, topology: Topology) -> None:
        """Put the servers of a topology into a row."""
        self._topologies[row] = topology
        self._servers[row, :, k.CAPACITY] = topology.capacity
        first = self.layout.task_size
        self.observations[row, first :: k.SERVER_FEATURES] = (
            topology.capacity / self.layout.max_capacity
        )
        if topology is not self._own:
            self._services[row] = pack_services(topology)

    def step(self, actions: npt.NDArray[np.int64], rewards: npt.NDArray[np.float64]) -> None:
        """Take one decision in every row that is going on; the others stay and get reward 0.

        Args:
            actions: (E,) in the action space.
            rewards: (E,) written in place.
        """
        self._in_threads(partial(compiled.step_rows, *self._state), actions, rewards)

    def _in_threads(self, run: Callable[..., None], *arrays: npt.NDArray[Any]) -> None:
        """Call `run(first, stop, *arrays)` for the rows of every thread."""
        mine, *others = self._chunks
        # Python's threads and a kernel without the GIL, not Numba's parallel loops: OpenMP's wait
        # busily at their barrier, and on a busy machine that made a step 30 times as slow.
        if others and self._threads is None:
            self._threads = ThreadPoolExecutor(len(others))
        jobs = [
            self._threads.submit(run, *chunk, *arrays)
            for chunk in others
            if self._threads is not None
        ]
        run(*mine, *arrays)
        for job in jobs:
            job.result()

    def log(self, row: int) -> EpisodeLog:
        """Return what became of the tasks of one row's episode so far."""
        shown, clock, count, illegal = self._episode[
            row, [k.SHOWN, k.CLOCK, k.NUM_TASKS, k.ILLEGAL]
        ]
        return EpisodeLog(
            tasks=self._tasks[row, :count].copy(),
            rewards=self._rewards[row, :shown].copy(),
            capacity=self._servers[row, :, k.CAPACITY].astype(np.int64),
            server_crashes=self._servers[row, :, k.NUM_CRASHES].astype(np.int64),
            num_services=self.scenario.num_services,
            clock_ms=int(clock),
            illegal_actions=int(illegal),
        )


def longer(array: npt.NDArray[Any], axis: int, length: int) -> npt.NDArray[Any]:
    """Return the array with more room along an axis, filled with zeros."""
    shape = list(array.shape)
    shape[axis] = length
    # Not numpy.zeros: memory that NumPy gets uninitialised comes in huge pages where the system has
    # them, and with many environments half of the time went to address translation without.
    longer = np.empty(shape, dtype=array.dtype)
    longer.fill(0)
    longer[tuple(slice(n) for n in array.shape)] = array
    return longer


def _pack_spec(scenario: Scenario, layout: ObservationLayout) -> npt.NDArray[np.int64]:
    spec = np.zeros(k.NUM_SPEC_ENTRIES, dtype=np.int64)
    spec[k.NUM_SERVERS] = scenario.num_servers
    spec[k.NUM_SERVICES] = scenario.num_services
    spec[k.NUM_TYPES] = scenario.num_types
    spec[k.END_AT_LAST_TASK] = scenario.episode.end == "last-task"
    spec[k.SUM_BY_SERVICE] = scenario.overload.loss_sum == "by-service"
    spec[k.HORIZON] = scenario.arrivals.horizon_ms
    spec[k.MAX_DEMAND] = layout.max_demand
    spec[k.MAX_RUN_TIME] = layout.max_run_time_ms
    spec[k.NUM_GATEWAYS] = scenario.gateways.count
    spec[k.SLOT] = scenario.clock.slot_ms
    spec[k.MAY_HOLD] = scenario.clock.hold
    return spec
