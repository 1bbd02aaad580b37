"""A drawn workload in memory, between its draw and the simulator (`kernel/loading.py`)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_marl.kernel import loading as d
from edge_marl.kernel.world import (
    NUM_DETAILS,
    NUM_OUTAGE_COLUMNS,
    NUM_SLEEP_COLUMNS,
    NUM_TASK_FIELDS,
)
from edge_marl.scenario import Scenario
from edge_marl.scenario.servers import DeviceServers, GivenServers
from edge_marl.workload.topology import Topology, draw_topology
from edge_marl.workload.workload import Workload

__all__ = ["Draft", "is_linked"]

Shapes = dict[str, tuple[int, ...]]

PLACES = {
    "capacity": d.CAPACITY_AT,
    "baseline": d.BASELINE_AT,
    "curve": d.CURVE_AT,
    "slowdown": d.SLOWDOWN_AT,
    "hosted": d.HOSTED_AT,
    "memory": d.MEMORY_AT,
    "model_memory": d.MODEL_MEMORY_AT,
    "energy": d.ENERGY_AT,
    "neighbours": d.NEIGHBOURS_AT,
    "propagation": d.PROPAGATION_AT,
    "us_per_kb": d.US_PER_KB_AT,
    "tasks": d.TASKS_AT,
    "details": d.DETAILS_AT,
    "outages": d.OUTAGES_AT,
    "weights": d.WEIGHTS_AT,
    "sleeps": d.SLEEPS_AT,
}
"""Which word of the head says where each array is."""

_OF_TOPOLOGY = tuple(PLACES)[: d.TASKS_AT - d.CAPACITY_AT]
FLOATS = ("baseline", "curve")


class Draft:
    """Room for one workload.

    Args:
        scenario: whose episodes are drawn into it.
    """

    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario
        self._own = None if scenario.extended else draw_topology(scenario)
        expected = scenario.arrivals.rate_per_s * scenario.arrivals.horizon_s
        expected *= scenario.tasks.mean_stages
        self._make(int(expected + 8 * math.sqrt(expected)) + 16, 16, 16)

    def _make(self, *room: int) -> None:
        self._lay_out(_shapes(self._scenario, *room))
        if self._own is not None:
            self.words[d.OWN_SERVERS] = 1
            self._array("capacity")[:] = self._own.capacity

    def grow(self) -> None:
        """Have the room that the last draw would have taken, and some more."""
        room = self.words[[d.TASK_ROOM, d.OUTAGE_ROOM, d.SLEEP_ROOM]].tolist()
        wanted = [count + count // 8 for count in self.counts]
        self._make(*map(max, wanted, room))

    @classmethod
    def of(cls, workload: Workload, own: Topology | None) -> Draft:
        """Return a draft that holds a workload.

        Args:
            workload: to copy.
            own: the servers that the simulator has without being told, if any.
        """
        draft = cls.__new__(cls)
        draft._own = workload.topology if workload.topology is own else None
        parts = {
            "tasks": workload.tasks,
            "details": workload.details,
            "outages": workload.outages,
            "weights": workload.weights,
            "sleeps": workload.sleeps,
        }
        arrays: dict[str, npt.NDArray[Any]] = {
            name: array for name, array in parts.items() if array is not None
        }
        arrays |= workload.topology.arrays()
        if workload.topology is own:
            del arrays["baseline"], arrays["curve"]
        draft._lay_out({name: array.shape for name, array in arrays.items()})
        draft.words[d.OWN_SERVERS] = workload.topology is own
        draft.words[d.TASK_COUNT] = len(workload.tasks)
        draft.words[d.OUTAGE_COUNT] = len(arrays.get("outages", ()))
        draft.words[d.SLEEP_COUNT] = len(arrays.get("sleeps", ()))
        for name, array in arrays.items():
            draft._array(name)[:] = array
        return draft

    @property
    def address(self) -> int:
        """Where the words are, for compiled code; another one after `grow`."""
        return int(self.words.ctypes.data)

    @property
    def counts(self) -> tuple[int, int, int]:
        """Numbers of tasks, of server failures and of sleeps of gateways."""
        tasks, outages, sleeps = self.words[[d.TASK_COUNT, d.OUTAGE_COUNT, d.SLEEP_COUNT]].tolist()
        return tasks, outages, sleeps

    @property
    def tasks(self) -> npt.NDArray[np.int64]:
        """(N, 5) the tasks that were drawn; overwritten by the next draw."""
        return self._array("tasks")[: self.counts[0]]

    @property
    def capacity(self) -> npt.NDArray[np.int64]:
        """(S,) the servers' capacities."""
        return self._array("capacity")

    @property
    def details(self) -> npt.NDArray[np.int64] | None:
        """(N, 7) the details that were drawn; None in the base model."""
        return self._array("details")[: self.counts[0]] if "details" in self._shapes else None

    @property
    def outages(self) -> npt.NDArray[np.int64] | None:
        """(F, 3) the server failures that were drawn; None where the scenario has none."""
        return self._array("outages")[: self.counts[1]] if "outages" in self._shapes else None

    @property
    def weights(self) -> npt.NDArray[np.int64] | None:
        """(N,) the weights that were drawn; None where the scenario has no classes."""
        return self._array("weights")[: self.counts[0]] if "weights" in self._shapes else None

    @property
    def sleeps(self) -> npt.NDArray[np.int64] | None:
        """(Z, 3) the sleeps that were drawn; None where the scenario has none."""
        return self._array("sleeps")[: self.counts[2]] if "sleeps" in self._shapes else None

    @property
    def topology(self) -> Topology:
        """The servers that were drawn, in memory of their own; or the scenario's."""
        if self._own is not None:
            return self._own
        names = [name for name in _OF_TOPOLOGY if self.words[PLACES[name]]]
        return Topology(**{name: self._array(name).copy() for name in names})

    @property
    def workload(self) -> Workload:
        """What was drawn, in memory of its own."""
        parts = self.details, self.outages, self.weights, self.sleeps
        return Workload(self.topology, self.tasks, *parts)

    def _lay_out(self, shapes: Shapes) -> None:
        """Make the words, zeros, with the places of the arrays in the head."""
        self._shapes = shapes
        size = d.NUM_HEAD_WORDS + sum(math.prod(shape) for shape in shapes.values())
        self.words = np.zeros(size, dtype=np.int64)
        self.words[d.SIZE] = size
        at = d.NUM_HEAD_WORDS
        for name, shape in shapes.items():
            self.words[PLACES[name]] = at
            at += math.prod(shape)
        self.words[d.TASK_ROOM] = shapes["tasks"][0]
        self.words[d.OUTAGE_ROOM] = shapes.get("outages", (0,))[0]
        self.words[d.SLEEP_ROOM] = shapes.get("sleeps", (0,))[0]

    def _array(self, name: str) -> npt.NDArray[Any]:
        """Return the whole room of an array."""
        at, shape = self.words[PLACES[name]], self._shapes[name]
        words = self.words[at : at + math.prod(shape)]
        return (words.view(np.float64) if name in FLOATS else words).reshape(shape)

    def __reduce__(self) -> tuple[Any, ...]:
        """Leave out the words: a copy is to draw into."""
        return Draft, (self._scenario,)


def is_linked(scenario: Scenario) -> bool:
    """Whether gateways have neighbours by distance."""
    parts = (scenario.gateways.neighbourhood, scenario.network, scenario.cloud)
    return any(parts) or scenario.telemetry.period_ms > 0


def _shapes(scenario: Scenario, num_tasks: int, num_outages: int, num_sleeps: int) -> Shapes:
    """Return the shapes of what an episode has."""
    s, v = scenario.num_servers, scenario.num_services
    shapes: Shapes = {"tasks": (num_tasks, NUM_TASK_FIELDS), "capacity": (s,)}
    if scenario.gateways.sleep:
        shapes["sleeps"] = (num_sleeps, NUM_SLEEP_COLUMNS)
    if not scenario.extended:
        return shapes
    shapes |= {"details": (num_tasks, NUM_DETAILS), "curve": (s, v, 4)}
    shapes["baseline"] = (s, v, scenario.num_types)
    if scenario.tasks.classes:
        shapes["weights"] = (num_tasks,)
    if scenario.outages:
        shapes["outages"] = (num_outages, NUM_OUTAGE_COLUMNS)
    servers = scenario.servers
    devices = isinstance(servers, DeviceServers)
    if devices:
        shapes |= {"hosted": (s, v), "energy": (s, v)}
    if devices or scenario.cloud or (isinstance(servers, GivenServers) and servers.slowdown):
        shapes["slowdown"] = (s, v)
    if scenario.residency:
        shapes |= {"memory": (s,), "model_memory": (v,)}
    links = (scenario.gateways.count, scenario.num_neighbours)
    if is_linked(scenario):
        shapes["neighbours"] = links
        if scenario.network:
            shapes |= {"propagation": links, "us_per_kb": links}
    return shapes
