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

from edge_marl import compiled, game
from edge_marl import kernel as k
from edge_marl.layout import ObservationLayout
from edge_marl.packing import (
    pack_links,
    pack_offers,
    pack_prices,
    pack_rates,
    pack_services,
    pack_spec,
    services_alike,
)
from edge_marl.scenario import Scenario
from edge_marl.topology import Topology, draw_topology
from edge_marl.workload import DEMAND, NUM_DETAILS, NUM_TASK_FIELDS, Workload

__all__ = ["EpisodeLog", "Simulator"]

MUCH_MEMORY = 2**60
"""Memory (MiB) of servers whose topology does not say: enough for all models."""

BY_TASK = ("tasks", "rewards")
BY_TASK_EXTENDED = ("details", "values", "agenda")
"""Arrays that have a row or entry per task."""

FIXED = ("spec", "rates", "services", "offers", "prices", "memory", "links")
"""Arrays that a step never writes to: they follow from the scenario and the topology."""

ROWS_PER_THREAD = 128
"""A thread is worth its hand-over (some 20 us) from about this many rows on."""


@dataclass(frozen=True, eq=False)
class EpisodeLog:
    """What became of every task of an episode so far (copies; times in milliseconds)."""

    tasks: npt.NDArray[np.int64]
    """(N, 9) the kernel's task rows: the workload's columns, then PLACE, STATUS, START, END. Of a
    later stage, ARRIVAL is when it became ready."""
    details: npt.NDArray[np.int64] | None
    """(N, 10) the kernel's rows of the extended model; None in the base model."""
    rewards: npt.NDArray[np.float64]
    """(N,) what each task's dispatch paid, less refunds for it; 0 before it is sent."""
    num_shown: int
    capacity: npt.NDArray[np.int64]
    """(S,) capacity of each server."""
    energy_mj: npt.NDArray[np.int64] | None
    """(S, V) energy of a denoising step in millijoules, if the topology says."""
    has_cloud: bool
    """Whether the last server is the cloud."""
    server_crashes: npt.NDArray[np.int64]
    """(S,) crashes of each server."""
    num_services: int
    clock_ms: int
    illegal_actions: int

    @property
    def shown(self) -> npt.NDArray[np.bool_]:
        """(N,) tasks that were to be decided on so far."""
        if self.details is None or not self.details[:, k.AFTER].any():
            return np.arange(len(self.tasks)) < self.num_shown
        first_stages = np.equal(self.details[:, k.STAGE], 0)
        arrived = first_stages & (self.tasks[:, k.ARRIVAL] <= self.clock_ms)
        return arrived | np.not_equal(self.tasks[:, k.STATUS], k.WAITING)

    @property
    def num_decisions(self) -> int:
        """Tasks that were to be decided on so far."""
        return int(self.shown.sum())

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
        # Rows on the scenario's own servers share the last topology, which then stays in the cache;
        # a row on other servers (a given workload's, or drawn with it) has an entry of its own.
        self._own = None if scenario.extended else draw_topology(scenario)
        self._topologies: list[Topology | None] = [None] * num_envs
        self._world = self._empty_world()
        if self._own is not None:
            self._world.services[num_envs] = pack_services(self._own)
        self._most_running = self.layout.max_capacity // min(scenario.tasks.demand)
        """Most drawn tasks that fit on a server."""
        expected = scenario.arrivals.rate_per_s * scenario.arrivals.horizon_s
        num_tasks = int(expected + 4 * expected**0.5) + 8
        self._make_room(num_tasks, min(self._most_running, num_tasks), 0)
        self._bind()
        cores = numba.config.NUMBA_NUM_THREADS
        threads = min(num_threads or cores, max(1, num_envs // ROWS_PER_THREAD))
        bounds = [num_envs * i // threads for i in range(threads + 1)]
        self._chunks = list(pairwise(bounds))
        self._threads: ThreadPoolExecutor | None = None

    def _empty_world(self) -> k.World:
        """Return all arrays, without room for tasks."""
        scenario, e = self.scenario, self.num_envs
        s, v, kinds = scenario.num_servers, scenario.num_services, scenario.num_types
        g, links, places = scenario.gateways.count, scenario.num_neighbours, s * v
        size = self.layout.size
        topologies = e if scenario.extended else e + 1
        own = e if scenario.extended else 0  # environments that have the extended model's arrays
        leaves = 1 << (s - 1).bit_length()
        episode = np.zeros((e, k.NUM_EPISODE_COLUMNS), dtype=np.int64)
        episode[:, k.DONE] = k.TERMINATED
        wide, short, real = np.int64, np.int32, np.float64
        return k.World(
            spec=pack_spec(scenario, self.layout),
            rates=pack_rates(scenario, self.layout),
            episode=episode,
            servers=np.ones((e, s, k.NUM_SERVER_COLUMNS), short),
            services=np.zeros((topologies, places, k.BASELINE + kinds)),
            tasks=np.zeros((e, 0, k.NUM_TASK_COLUMNS), wide),
            rewards=np.zeros((e, 0)),
            running=np.zeros((e, s, 0, k.NUM_RUNNING_COLUMNS), short),
            ends=np.zeros((e, s, 0), wide),
            soonest=np.full((e, 2 * leaves), k.NEVER, wide),
            observations=np.zeros((e, size), np.float32),
            details=np.zeros((own, 0, k.NUM_DETAIL_COLUMNS), wide),
            values=np.zeros((own, 0), real),
            sites=np.zeros((own, s, k.NUM_SITE_COLUMNS), wide),
            models=np.zeros((own, s, v, k.NUM_MODEL_COLUMNS), wide),
            offers=np.zeros((own, places, k.NUM_OFFER_COLUMNS), short),
            prices=np.zeros((own, places), real),
            memory=np.zeros((own, s), wide),
            links=np.zeros((own, g, links, k.NUM_LINK_COLUMNS), wide),
            outages=np.zeros((own, 0, 3), wide),
            agenda=np.zeros((own, 0), wide),
            owed=np.zeros((own, g + 1), real),
            qualities=np.zeros((own, v), real),
            feasible=np.ones((e, scenario.num_actions), np.int8),
            **self._empty_game(),
        )

    def _empty_game(self) -> dict[str, npt.NDArray[Any]]:
        """Return the arrays of the multi-agent game: empty, there is none here."""
        return {
            "gateways": np.zeros((0, 0, 0), np.int64),
            "followers": np.zeros((0, 0), np.int64),
            "order": np.zeros((0, 0), np.int64),
            "seen": np.zeros((0, 0), np.float32),
            "masks": np.zeros((0, 0), np.int8),
        }

    def _make_room(self, num_tasks: int, num_running: int, num_outages: int) -> None:
        """Have room for so many tasks and outages per row and running tasks per server."""
        w = self._world
        by_task = {name: getattr(w, name) for name in (*BY_TASK, *BY_TASK_EXTENDED, "followers")}
        wanted = {name: (array, 1, num_tasks) for name, array in by_task.items() if len(array)}
        wanted["running"] = (w.running, 2, num_running)
        wanted["ends"] = (w.ends, 2, num_running)
        wanted["outages"] = (w.outages, 1, num_outages)
        grown = {
            name: longer(array, axis, length)
            for name, (array, axis, length) in wanted.items()
            if length > array.shape[axis] and len(array)
        }
        if grown:
            self._world = w._replace(**grown)
            self._bind()

    def _bind(self) -> None:
        """Bind the kernel to the arrays as they are now."""
        self._table = compiled.address_table(self._world)
        self.step_row: Callable[[int, int], float] = self._bound("step")
        """`step_row(row, action)` takes one decision in one row that is going on and returns the
        reward. Bound, not a method: a single environment's step is short enough to notice."""

    def _bound(self, name: str) -> Any:
        """Return a body of the kernel, bound to the arrays."""
        if numba.config.DISABLE_JIT:  # plain Python has no pointers
            return partial(getattr(game if name == "play_rows" else k, name), self._world)
        return partial(getattr(compiled, f"{name}_at"), self._table.ctypes.data)

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what is bound to this object's memory, for copies and pickles."""
        bound = ("_table", "step_row")
        state = {name: value for name, value in self.__dict__.items() if name not in bound}
        return state | {"_threads": None}

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
        return self._world.observations

    @property
    def feasible(self) -> npt.NDArray[np.int8]:
        """(E, A) mask of feasible actions now; overwritten by the next step."""
        return self._world.feasible

    @property
    def done(self) -> npt.NDArray[np.int64]:
        """(E,) view: `kernel.GOING_ON`, `TERMINATED` (and before a load) or `TRUNCATED`."""
        return self._world.episode[:, k.DONE]

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
        capacity, demand = workload.topology.capacity, workload.tasks[:, DEMAND]
        at_once = min(int(capacity.max() // demand.min()), workload.num_tasks)
        outages = () if workload.outages is None else workload.outages
        self._make_room(workload.num_tasks, at_once, len(outages))
        if self.scenario.extended:
            self._load_parts(row, workload)
        self.load_tasks(row, workload.topology, workload.tasks)

    def _load_parts(self, row: int, workload: Workload) -> None:
        """Put what the extended model needs into a row."""
        w, count = self._world, workload.num_tasks
        w.details[row, :count] = 0
        if workload.details is not None:
            w.details[row, :count, :NUM_DETAILS] = workload.details
        outages = workload.outages
        w.episode[row, k.NUM_OUTAGES] = 0 if outages is None else len(outages)
        if outages is not None:
            w.outages[row, : len(outages)] = outages
        w.sites[row] = 0
        w.sites[row, :, k.NOTED_AT] = k.NOWHERE
        w.models[row] = 0

    def load_tasks(self, row: int, topology: Topology, tasks: npt.NDArray[np.int64]) -> None:
        """Start an episode on tasks that are known to be sound (`draw.draw_tasks`)."""
        count = len(tasks)
        if count > self._world.tasks.shape[1]:
            room = count + count // 8
            self._make_room(room, min(self._most_running, room), 0)
        w = self._world
        rows = w.tasks[row, :count]
        rows[:, :NUM_TASK_FIELDS] = tasks
        rows[:, NUM_TASK_FIELDS:] = (k.NOWHERE, k.WAITING, 0, 0)
        w.rewards[row, :count] = 0.0
        if self._topologies[row] is not topology:
            self._install(row, topology)
        w.servers[row, :, k.CAPACITY + 1 :] = 0
        w.soonest[row] = k.NEVER
        w.episode[row, k.TOPOLOGY] = self.num_envs if topology is self._own else row
        self._open(row, count)

    def _open(self, row: int, count: int) -> None:
        """Go to the first decision of an episode whose tasks and servers are in place."""
        w = self._world
        episode = w.episode[row]
        episode[[k.SHOWN, k.DONE, k.CRASHES, k.ILLEGAL, k.ARRIVING, k.AGENDA, k.OUTAGES_PAST]] = 0
        episode[k.NUM_TASKS] = count
        if self.scenario.extended:
            episode[[k.CLOCK, k.TICK]] = 0, k.NOWHERE
            if not self.scenario.clock.slot_ms or not len(w.gateways):
                compiled.live_on(w, row)
        else:
            episode[k.CLOCK] = w.tasks[row, 0, k.ARRIVAL]
            w.observations[row, self.layout.task_size + 1 :: k.SERVER_FEATURES] = 1.0
        compiled.observe(w, row)

    def _install(self, row: int, topology: Topology) -> None:
        """Put the servers of a topology into a row."""
        w = self._world
        self._topologies[row] = topology
        w.servers[row, :, k.CAPACITY] = topology.capacity
        if topology is not self._own:
            w.services[row] = pack_services(topology)
        if self.scenario.extended:
            w.offers[row] = pack_offers(topology)
            w.episode[row, k.ALIKE] = services_alike(topology)
            w.prices[row] = pack_prices(topology, self.scenario)
            w.links[row] = pack_links(topology, self.scenario)
            w.memory[row] = MUCH_MEMORY if topology.memory is None else topology.memory
        else:
            first = self.layout.task_size
            scale = self.layout.max_capacity
            w.observations[row, first :: k.SERVER_FEATURES] = topology.capacity / scale

    def snapshot(self) -> dict[str, npt.NDArray[Any]]:
        """Return copies of the arrays that change as episodes go on, by name."""
        return {name: array.copy() for name, array in self._changing().items()}

    def restore(self, state: dict[str, npt.NDArray[Any]]) -> None:
        """Go back to a `snapshot` of the same episodes (already loaded into the same rows)."""
        self._make_room(
            state["tasks"].shape[1],
            state["running"].shape[2],
            state["outages"].shape[1] if "outages" in state else 0,
        )
        for name, array in self._changing().items():
            kept = state[name]
            array[tuple(slice(n) for n in kept.shape)] = kept

    def _changing(self) -> dict[str, npt.NDArray[Any]]:
        """Return the arrays that a step may write to, those that are in use."""
        arrays = self._world._asdict()
        return {name: a for name, a in arrays.items() if name not in FIXED and a.size}

    def step(self, actions: npt.NDArray[np.int64], rewards: npt.NDArray[np.float64]) -> None:
        """Take one decision in every row that is going on; the others stay and get reward 0.

        Args:
            actions: (E,) in the action space.
            rewards: (E,) written in place.
        """
        self._in_threads(self._bound("step_rows"), actions, rewards)

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
        w = self._world
        shown, clock, count, illegal = w.episode[row, [k.SHOWN, k.CLOCK, k.NUM_TASKS, k.ILLEGAL]]
        extended = self.scenario.extended
        topology = self._topologies[row]
        energy = None if topology is None else topology.energy
        return EpisodeLog(
            tasks=w.tasks[row, :count].copy(),
            details=w.details[row, :count].copy() if extended else None,
            rewards=w.rewards[row, :count].copy(),
            num_shown=int(shown),
            capacity=w.servers[row, :, k.CAPACITY].astype(np.int64),
            energy_mj=energy if extended else None,
            has_cloud=self.scenario.cloud is not None,
            server_crashes=w.servers[row, :, k.NUM_CRASHES].astype(np.int64),
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
