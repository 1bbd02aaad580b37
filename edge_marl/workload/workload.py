"""A workload: all that happens to one episode from outside, as arrays, drawn before it starts.

The simulator has no randomness of its own, so a workload and the actions decide every bit of an
episode. A workload can be saved, loaded, hashed and replayed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_marl.arrays import read_arrays
from edge_marl.errors import WorkloadError
from edge_marl.files import new_file
from edge_marl.kernel.world import (
    ARRIVAL,
    DEMAND,
    DOWNLOAD,
    GATEWAY,
    LOAD_TIME,
    LOCATION,
    NUM_TASK_FIELDS,
    RUN_TIME,
    STAGE,
    TYPE,
    UPLOAD,
)
from edge_marl.scenario import Scenario
from edge_marl.scenario.section import MAX_STAGES, MAX_TASKS, MAX_TIME_MS
from edge_marl.tables import Shown, Table
from edge_marl.workload.checks import (
    check_column,
    checked_details,
    checked_outages,
    checked_sleeps,
    checked_weights,
    whole,
)
from edge_marl.workload.topology import Topology

__all__ = ["MAX_TIME_MS", "Workload", "load_workload"]

FORMAT = "edge-marl-workload-1"

PARTS = ("details", "outages", "weights", "sleeps")
"""Arrays that a workload may have or not."""

UNPACKED = 2**29
"""Bytes of a file's arrays: 128 MiB of qualities may be there, 96 of tasks and 96 of links."""


@dataclass(frozen=True, eq=False)
class Workload(Shown):
    """The servers, the tasks and the server failures of one episode (read-only arrays).

    Raises:
        WorkloadError: if an array has the wrong shape or a task breaks a rule (with its number).
    """

    topology: Topology
    tasks: npt.NDArray[np.int64]
    """(N, 5) tasks in order of arrival; columns ARRIVAL, RUN_TIME, DEMAND, TYPE, GATEWAY."""
    details: npt.NDArray[np.int64] | None = None
    """(N, 7) what the extended model asks of tasks; columns STAGE .. FAILS. None is all zero."""
    outages: npt.NDArray[np.int64] | None = None
    """(F, 3) server failures in order of time; columns TIME, LOCATION, DURATION. None is none."""
    weights: npt.NDArray[np.int64] | None = None
    """(N,) what the value of a task's request is multiplied by, in thousandths. None is 1000."""
    sleeps: npt.NDArray[np.int64] | None = None
    """(Z, 3) sleeps of gateways in order of (gateway, time), none into the next; columns TIME,
    LOCATION, DURATION. None is none."""

    def __post_init__(self) -> None:
        """Check the rules and make the array read-only."""
        tasks = whole(self.tasks, "tasks")
        if tasks.ndim != 2 or tasks.shape[1] != NUM_TASK_FIELDS:
            raise WorkloadError(f"tasks has shape {tasks.shape}: must be (N, {NUM_TASK_FIELDS})")
        if not 1 <= len(tasks) <= MAX_TASKS:
            raise WorkloadError(f"{len(tasks)} tasks: a workload holds 1 to {MAX_TASKS}")
        types = self.topology.baseline.shape[2]
        check_column(tasks[:, ARRIVAL], "arrival (ms)", 0, MAX_TIME_MS // 2)
        check_column(tasks[:, RUN_TIME], "run time (ms)", 1, MAX_TIME_MS // 2)
        check_column(tasks[:, DEMAND], "demand", 1, 2**31 - 1)
        check_column(tasks[:, TYPE], "type", 0, types - 1)
        check_column(tasks[:, GATEWAY], "gateway", 0, 2**31 - 1)
        early = np.flatnonzero(np.diff(tasks[:, ARRIVAL]) < 0)
        if len(early):
            k = int(early[0]) + 1
            raise WorkloadError(
                f"task {k} arrives at {tasks[k, ARRIVAL]} ms, before task {k - 1} at "
                f"{tasks[k - 1, ARRIVAL]} ms: tasks must be in order of arrival"
            )
        tasks.flags.writeable = False
        object.__setattr__(self, "tasks", tasks)
        if self.details is not None:
            object.__setattr__(self, "details", checked_details(self.details, tasks))
        if self.outages is not None:
            servers = len(self.topology.capacity)
            object.__setattr__(self, "outages", checked_outages(self.outages, servers))
        if self.weights is not None:
            object.__setattr__(self, "weights", checked_weights(self.weights, self.details, tasks))
        if self.sleeps is not None:
            object.__setattr__(self, "sleeps", checked_sleeps(self.sleeps))

    @property
    def num_tasks(self) -> int:
        """Number of tasks N."""
        return len(self.tasks)

    def num_decisions(self, scenario: Scenario) -> int:
        """Decisions of an episode: all tasks, less the last where it is shown but not assigned.

        With several stages the most: a request that loses a stage has no later ones.
        """
        return self.num_tasks - (scenario.episode.end == "last-task")

    @cached_property
    def digest(self) -> str:
        """SHA-256 (hex) over names, types, shapes and little-endian bytes of all arrays."""
        sha = hashlib.sha256(FORMAT.encode())
        for name, array in self._arrays().items():
            little = array.astype(array.dtype.newbyteorder("<"), copy=False)
            sha.update(f"{name} {little.dtype.str} {array.shape}".encode())
            sha.update(little.tobytes())
        return sha.hexdigest()

    def as_table(self) -> Table:
        """Return its sizes, and when its tasks arrive."""
        servers, services, types = self.topology.baseline.shape
        requests, tasks = self.num_tasks, self.tasks
        if self.details is not None:
            requests = int((self.details[:, STAGE] == 0).sum())
        first, last = tasks[[0, -1], ARRIVAL] / 1000
        rows = [
            ("tasks", f"{self.num_tasks:,}, of {requests:,} requests"),
            ("arrivals", f"from {first:,.3f} to {last:,.3f} s"),
            ("demand", f"{tasks[:, DEMAND].mean():,.1f} denoising steps in the mean"),
            ("run time", f"{tasks[:, RUN_TIME].mean() / 1000:,.3f} s in the mean"),
            ("gateways", f"{len(np.unique(tasks[:, GATEWAY])):,} with a task"),
            ("servers", f"{servers:,}, of {services} services each, for {types} task types"),
            ("capacity", f"{int(self.topology.capacity.sum()):,} denoising steps at a time"),
            ("server failures", f"{0 if self.outages is None else len(self.outages):,}"),
            ("sleeps", f"{0 if self.sleeps is None else len(self.sleeps):,}"),
            ("digest", self.digest),
        ]
        return Table("workload of an episode", rows)

    def check_fits(self, scenario: Scenario) -> None:
        """Raise WorkloadError unless the workload has the sizes that the scenario states."""
        sizes = self.topology.baseline.shape
        stated = (scenario.num_servers, scenario.num_services, scenario.num_types)
        if sizes != stated:
            raise WorkloadError(
                f"the workload has (servers, services, types) = {sizes}, scenario "
                f"'{scenario.name}' has {stated}: make the environment with the scenario that the "
                "workload was recorded in"
            )
        self._check_parts_fit(scenario)
        if self.tasks[:, GATEWAY].max() >= scenario.gateways.count:
            raise WorkloadError(
                f"the workload has a task at gateway {self.tasks[:, GATEWAY].max()}, scenario "
                f"'{scenario.name}' has gateways 0..{scenario.gateways.count - 1}"
            )
        if self.num_decisions(scenario) < 1:
            raise WorkloadError(
                f"a workload of one task has no decision in scenario '{scenario.name}', where the "
                "last task is never assigned: give at least two tasks"
            )
        last = int(self.tasks[-1, ARRIVAL])
        if scenario.episode.end == "horizon" and last > scenario.arrivals.horizon_ms:
            raise WorkloadError(
                f"the last task arrives at {last} ms, after the horizon of scenario "
                f"'{scenario.name}' at {scenario.arrivals.horizon_ms} ms: cut the workload"
            )

    def check_observable(self, scenario: Scenario) -> None:
        """Raise WorkloadError unless the scenario's observations can show it: as numbers in [0, 1].

        The simulator plays others as well; environments declare the range of what they show.
        """
        law, name = scenario.tasks, f"scenario '{scenario.name}'"
        for what, values, most in (
            ("task {} has demand", self.tasks[:, DEMAND], law.max_demand),
            ("task {} has run time (ms)", self.tasks[:, RUN_TIME], law.max_run_time_ms),
            ("server {} has capacity", self.topology.capacity, max(scenario.servers.capacity)),
        ):
            if values.max() > most:
                k = int(values.argmax())
                raise WorkloadError(
                    f"{what.format(k)} {values[k]}: {name} has at most {most}, which observations "
                    "are shares of: cut it, or play the workload in a scenario that has more"
                )
        if scenario.extended:
            worst, best = self.topology.quality_range
            if worst < 0 or best > 2:
                raise WorkloadError(
                    f"the workload's services have qualities from {worst:g} to {best:g}: must lie "
                    f"in 0 to 2, since {name} shows them as observations"
                )
        if self.weights is not None and self.weights.max() > law.max_weight:
            k = int(self.weights.argmax())
            raise WorkloadError(
                f"task {k} has weight {self.weights[k]} (thousandths): {name} has at most "
                f"{law.max_weight}, which observations are shares of"
            )

    def _check_parts_fit(self, scenario: Scenario) -> None:
        """Raise WorkloadError unless the scenario has the parts that the workload speaks of."""
        links = self.topology.neighbours
        stated = (scenario.gateways.count, scenario.num_neighbours)
        if links is None and (scenario.gateways.neighbourhood or scenario.cloud):
            raise WorkloadError(
                f"scenario '{scenario.name}' has neighbourhoods: the workload's topology must name "
                f"the neighbours of each gateway, {stated}"
            )
        if links is not None and links.shape != stated:
            raise WorkloadError(
                f"the workload has neighbours {links.shape}, scenario '{scenario.name}' has "
                f"(gateways, neighbours) = {stated}"
            )
        if (
            scenario.cloud
            and links is not None
            and (links[:, -1] != scenario.num_servers - 1).any()
        ):
            raise WorkloadError("the last neighbour of every gateway must be the cloud")
        cloud = scenario.num_servers - 1
        if (
            scenario.cloud
            and self.outages is not None
            and (self.outages[:, LOCATION] == cloud).any()
        ):
            raise WorkloadError(f"outages names server {cloud}, the cloud, which never fails")
        if scenario.extended:
            self._check_times(scenario)
        self._check_sleeps_fit(scenario)
        if self.weights is not None and not scenario.tasks.classes:
            raise WorkloadError(
                f"the workload has weights, scenario '{scenario.name}' has no tasks.classes: play "
                "it in the scenario that it was drawn from"
            )
        known = {
            "topology arrays": self.topology.arrays().keys() - {"capacity", "baseline", "curve"},
            "details": self.details is not None and self.details.any(),
            "outages": self.outages is not None and len(self.outages),
        }
        for name, present in known.items():
            if present and not scenario.extended:
                raise WorkloadError(
                    f"the workload has {name} of the extended model, scenario '{scenario.name}' "
                    "has no part of it on: play it in the scenario that it was drawn from"
                )

    def _check_sleeps_fit(self, scenario: Scenario) -> None:
        """Raise WorkloadError if gateways sleep that the scenario does not have, or have sleep."""
        if self.sleeps is None or len(self.sleeps) == 0:
            return
        if scenario.gateways.sleep is None:
            raise WorkloadError(
                f"the workload has sleeps of gateways, scenario '{scenario.name}' has no "
                "gateways.sleep: play it in the scenario that it was drawn from"
            )
        if (last := int(self.sleeps[-1, LOCATION])) >= scenario.gateways.count:
            raise WorkloadError(
                f"gateway {last} of the workload sleeps, scenario '{scenario.name}' has gateways "
                f"0..{scenario.gateways.count - 1}"
            )

    def _check_times(self, scenario: Scenario) -> None:
        """Raise WorkloadError if a request could last past the times that the kernel can hold."""
        topology = self.topology
        slowdown = 1000 if topology.slowdown is None else int(topology.slowdown.max())
        least = scenario.least_steps(int(self.tasks[:, DEMAND].min()))
        beside = min(int(topology.capacity.max()) // least, len(self.tasks))
        stage = int(self.tasks[:, RUN_TIME].max()) * slowdown // 1000 + 1
        stage = stage * scenario.max_stretch(beside) // 1000 + 1
        if scenario.queue:
            stage *= scenario.queue.limit + 1
        if self.details is not None:
            load_time, upload, download = self.details[:, [LOAD_TIME, UPLOAD, DOWNLOAD]].max(0)
            per_kb = 0 if topology.us_per_kb is None else int(topology.us_per_kb.max())
            stage += int(load_time) + (2 * int(upload) + int(download)) * per_kb // 1000 + 3
        if topology.propagation is not None:
            stage += 3 * int(topology.propagation.max())
        longest = int(self.tasks[-1, ARRIVAL]) + MAX_STAGES * stage
        if longest > MAX_TIME_MS - 2:
            raise WorkloadError(
                f"a request may last until {longest} ms: at most {MAX_TIME_MS - 2} ms fit; shorten "
                "run times, slowdowns, loads or transfers"
            )

    def save(self, path: str | Path) -> None:
        """Write the workload as .npz, whole or not at all.

        Raises:
            OSError: if it cannot be written.
        """
        arrays: dict[str, Any] = {"format": np.array(FORMAT), **self._arrays()}
        with new_file(Path(path), OSError) as part, part.open("wb") as file:
            np.savez_compressed(file, digest=np.array(self.digest), **arrays)

    def _arrays(self) -> dict[str, npt.NDArray[Any]]:
        arrays = {**self.topology.arrays(), "tasks": self.tasks}
        parts = {name: getattr(self, name) for name in PARTS}
        return arrays | {name: array for name, array in parts.items() if array is not None}


def load_workload(path: str | Path) -> Workload:
    """Return the workload in a file of ours (`Workload.save`) or in a recorded reference trace.

    A recorded trace is an .npz with at least `cap`, `base`, `coef`, `arrival` (s), `ttype` and `t`,
    recorded from the published environments; its run times follow from t as published.

    Raises:
        WorkloadError: unreadable or damaged file, missing array, or a task that breaks a rule.
    """
    path = Path(path)
    try:
        arrays = read_arrays(path.read_bytes(), UNPACKED)
    except FileNotFoundError:
        raise WorkloadError(f"{path}: there is no such workload file") from None
    except (OSError, ValueError) as error:
        raise WorkloadError(f"{path}: not a readable workload ({error})") from None
    try:
        return _from_own_format(arrays) if "format" in arrays else _from_reference(arrays)
    except (WorkloadError, TypeError, ValueError, KeyError) as error:
        reason = f"array {error} is missing" if isinstance(error, KeyError) else str(error)
        raise WorkloadError(f"{path}: {reason}") from None


def _from_own_format(arrays: Mapping[str, npt.NDArray[Any]]) -> Workload:
    if str(arrays["format"]) != FORMAT:
        raise WorkloadError(
            f"format '{arrays['format']}': this version of edge-marl reads '{FORMAT}'"
        )
    own = {"tasks", *PARTS}
    topology = Topology(
        **{name: array for name, array in arrays.items() if name not in {*own, "format", "digest"}}
    )
    parts = {name: _integers(arrays, name) for name in sorted(own & arrays.keys() | {"tasks"})}
    workload = Workload(topology=topology, **parts)
    if workload.digest != str(arrays["digest"]):
        raise WorkloadError(
            f"content has SHA-256 {workload.digest}, the file says {arrays['digest']}: the file "
            "is damaged or was edited"
        )
    return workload


def _from_reference(arrays: Mapping[str, npt.NDArray[Any]]) -> Workload:
    topology = Topology(
        capacity=_integers(arrays, "cap"), baseline=arrays["base"], curve=arrays["coef"]
    )
    demand, arrival_s = _integers(arrays, "t"), _integers(arrays, "arrival")
    if demand.ndim != 1 or arrival_s.shape != demand.shape:
        raise WorkloadError(
            f"t has shape {demand.shape}, arrival {arrival_s.shape}: must be (N,), both"
        )
    check_column(demand, "demand", 1, 2**31 - 1)
    check_column(arrival_s, "arrival (s)", 0, MAX_TIME_MS // 2000)
    tasks = np.zeros((len(demand), NUM_TASK_FIELDS), dtype=np.int64)
    tasks[:, ARRIVAL] = arrival_s * 1000
    run_time_s = (0.001 * demand**2 + 2.5 * demand - 14) * 60
    tasks[:, RUN_TIME] = np.round(run_time_s * 1000).clip(max=MAX_TIME_MS)  # too long all the same
    tasks[:, DEMAND] = demand
    tasks[:, TYPE] = _integers(arrays, "ttype")
    return Workload(topology=topology, tasks=tasks)


def _integers(arrays: Mapping[str, npt.NDArray[Any]], name: str) -> npt.NDArray[np.int64]:
    return whole(arrays[name], name)
