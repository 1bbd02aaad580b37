"""The simulator: owns the arrays of one or many environments and runs the kernel on them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from edge_marl.kernel import opening, steps
from edge_marl.kernel import world as k
from edge_marl.kernel.world import DEMAND, NUM_DETAILS
from edge_marl.layout import ObservationLayout
from edge_marl.scenario import Scenario
from edge_marl.simulator import compiled
from edge_marl.simulator.log import EpisodeLog
from edge_marl.simulator.packing import (
    pack_links,
    pack_offers,
    pack_prices,
    pack_rates,
    pack_services,
    pack_spec,
    services_alike,
)
from edge_marl.simulator.stepping import Stepper, Work
from edge_marl.workload import Workload
from edge_marl.workload.topology import Topology, draw_topology

__all__ = ["Simulator"]

MUCH_MEMORY = 2**60
"""Memory (MiB) of servers whose topology does not say: enough for all models."""

FIXED = ("spec", "rates", "services", "offers", "prices", "memory", "links")
"""Arrays that a step never writes to: they follow from the scenario and the topology."""


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
        self._topologies: list[Topology | None] = [None] * num_envs
        self._world = self._empty_world()
        if self._own is not None:
            self._world.services[num_envs] = pack_services(self._own)
        self._most_running = self.layout.max_capacity // min(scenario.tasks.demand)
        """Most drawn tasks that fit on a server."""
        expected = scenario.arrivals.rate_per_s * scenario.arrivals.horizon_s
        num_tasks = int(expected + 4 * expected**0.5) + 8
        self.stepper = Stepper(self._world, self.in_game, num_threads)
        self._make_room(num_tasks, min(self._most_running, num_tasks), 0)
        self._bind()

    def _empty_world(self) -> k.World:
        """Return all arrays, without room for tasks."""
        scenario, e = self.scenario, self.num_envs
        s, v, g = scenario.num_servers, scenario.num_services, scenario.gateways.count
        x, m = e if scenario.extended else 0, e if self.in_game else 0
        leaves = 1 << (s - 1).bit_length()
        sizes = {"N": 0, "R": 0, "F": 0, "E": e, "X": x, "M": m, "S": s, "V": v, "P": s * v}
        sizes |= {"T": x or e + 1, "BASELINE + K": k.BASELINE + scenario.num_types}
        sizes |= {"G": g, "G + 1": g + 1, "M * G": m * g, "L": scenario.num_neighbours}
        sizes |= {"L * V": scenario.num_actions, "L * V + 1": scenario.num_actions + 1}
        sizes |= {"D": self.layout.size, "2 * leaves": 2 * leaves}
        world = k.World(**{name: array.empty(sizes) for name, array in k.ARRAYS.items()})
        world.spec[:] = pack_spec(scenario, self.layout)
        world.rates[:] = pack_rates(scenario, self.layout)
        world.episode[:, k.DONE] = k.TERMINATED
        world.servers[:, :, k.CAPACITY] = 1
        world.soonest[:] = k.NEVER
        world.feasible[:] = 1
        world.gateways[:] = k.NOWHERE
        return world

    def _make_room(self, num_tasks: int, num_running: int, num_outages: int) -> None:
        """Have room for so many tasks and outages per row and running tasks per server."""
        w = self._world
        wanted = {"N": num_tasks, "R": num_running, "F": num_outages}
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
        self.stepper.bind(self._world, self._address)
        self.step_row: Callable[[int, int], float] = self._bound(steps.step, compiled.step_at)
        """`step_row(row, action)` takes one decision in one row that is going on and returns the
        reward. Bound, not a method: a single environment's step is short enough to notice."""

    def _bound(self, body: Callable[..., Any], compiled_at: Callable[..., Any]) -> Any:
        """Return a body of the kernel, bound to the arrays."""
        if numba.config.DISABLE_JIT:  # plain Python has no pointers
            return partial(body, self._world)
        return partial(compiled_at, self._table.ctypes.data)

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what is bound to this object's memory, for copies and pickles."""
        bound = ("_table", "_address", "step_row")
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
        if self._topologies[row] is not topology:
            self._install(row, topology)
        self._world.episode[row, k.TOPOLOGY] = self.num_envs if topology is self._own else row
        self._open(row, tasks)

    def _open(self, row: int, tasks: npt.NDArray[np.int64]) -> None:
        """Go to the first decision of an episode on tasks, (N, 5), whose servers are in place."""
        tasks = np.ascontiguousarray(tasks)
        if numba.config.DISABLE_JIT:
            opening.open_episode(self._world, row, tasks)
        else:  # by its address: to Numba an array that cannot be written to is of another type
            compiled.open_episode_at(self._address, row, tasks.ctypes.data, len(tasks))
        # Apart, so that the base model need not wait until what it never does is compiled.
        if self.scenario.extended and not (self.in_game and self.scenario.clock.slot_ms):
            self._bound(opening.go_to_first, compiled.go_to_first_at)(row)

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
