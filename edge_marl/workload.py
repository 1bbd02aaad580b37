"""A workload: all that happens to one episode from outside, as arrays, drawn before it starts.

The simulator has no randomness of its own, so a workload and the actions decide every bit of an
episode. A workload can be saved, loaded, hashed and replayed.
"""

from __future__ import annotations

import hashlib
import io
import os
import tempfile
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_marl.errors import WorkloadError
from edge_marl.scenario import MAX_TASKS, Scenario
from edge_marl.topology import Topology

__all__ = [
    "ARRIVAL",
    "DEMAND",
    "GATEWAY",
    "NUM_TASK_FIELDS",
    "RUN_TIME",
    "TYPE",
    "Workload",
    "load_workload",
]

ARRIVAL, RUN_TIME, DEMAND, TYPE, GATEWAY = range(5)
"""Columns of `Workload.tasks`: arrival (ms), run time (ms), demand (denoising steps), task type,
gateway."""
NUM_TASK_FIELDS = 5

MAX_TIME_MS = 2**42
"""No task ends later than this, some 139 years (the simulator packs end times into 43 bits)."""

FORMAT = "edge-marl-workload-1"


@dataclass(frozen=True, eq=False)
class Workload:
    """The servers and the tasks of one episode (read-only arrays).

    Raises:
        WorkloadError: if an array has the wrong shape or a task breaks a rule (with its number).
    """

    topology: Topology
    tasks: npt.NDArray[np.int64]
    """(N, 5) tasks in order of arrival; columns ARRIVAL, RUN_TIME, DEMAND, TYPE, GATEWAY."""

    def __post_init__(self) -> None:
        """Check the rules and make the array read-only."""
        tasks = np.array(self.tasks, dtype=np.int64, order="C")
        if tasks.ndim != 2 or tasks.shape[1] != NUM_TASK_FIELDS:
            raise WorkloadError(f"tasks has shape {tasks.shape}: must be (N, {NUM_TASK_FIELDS})")
        if not 1 <= len(tasks) <= MAX_TASKS:
            raise WorkloadError(f"{len(tasks)} tasks: a workload holds 1 to {MAX_TASKS}")
        types = self.topology.baseline.shape[2]
        _check_column(tasks[:, ARRIVAL], "arrival (ms)", 0, MAX_TIME_MS // 2)
        _check_column(tasks[:, RUN_TIME], "run time (ms)", 1, MAX_TIME_MS // 2)
        _check_column(tasks[:, DEMAND], "demand", 1, 2**31 - 1)
        _check_column(tasks[:, TYPE], "type", 0, types - 1)
        _check_column(tasks[:, GATEWAY], "gateway", 0, 2**31 - 1)
        early = np.flatnonzero(np.diff(tasks[:, ARRIVAL]) < 0)
        if len(early):
            k = int(early[0]) + 1
            raise WorkloadError(
                f"task {k} arrives at {tasks[k, ARRIVAL]} ms, before task {k - 1} at "
                f"{tasks[k - 1, ARRIVAL]} ms: tasks must be in order of arrival"
            )
        tasks.flags.writeable = False
        object.__setattr__(self, "tasks", tasks)

    @property
    def num_tasks(self) -> int:
        """Number of tasks N."""
        return len(self.tasks)

    def num_decisions(self, scenario: Scenario) -> int:
        """Decisions of an episode: all tasks, less the last where it is shown but not assigned."""
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

    def save(self, path: str | Path) -> None:
        """Write the workload as .npz, whole or not at all."""
        path = Path(path)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".part")
        try:
            with os.fdopen(handle, "wb") as file:
                arrays: dict[str, Any] = {"format": np.array(FORMAT), **self._arrays()}
                np.savez_compressed(file, digest=np.array(self.digest), **arrays)
            os.replace(temporary, path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise

    def _arrays(self) -> dict[str, npt.NDArray[Any]]:
        topology = self.topology
        return {
            "capacity": topology.capacity,
            "baseline": topology.baseline,
            "curve": topology.curve,
            "tasks": self.tasks,
        }


def _check_column(column: npt.NDArray[np.int64], name: str, low: int, high: int) -> None:
    bad = np.flatnonzero((column < low) | (column > high))
    if len(bad):
        raise WorkloadError(
            f"task {bad[0]} has {name} {column[bad[0]]}: must be from {low} to {high}"
        )


def load_workload(path: str | Path) -> Workload:
    """Return the workload in a file of ours (`Workload.save`) or in a recorded reference trace.

    A recorded trace is an .npz with at least `cap`, `base`, `coef`, `arrival` (s), `ttype` and `t`,
    recorded from the published environments; its run times follow from t as published.

    Raises:
        WorkloadError: unreadable or damaged file, missing array, or a task that breaks a rule.
    """
    path = Path(path)
    try:
        content = io.BytesIO(path.read_bytes())
        if not zipfile.is_zipfile(content):
            raise zipfile.BadZipFile("no zip file")
        with np.load(content, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except FileNotFoundError:
        raise WorkloadError(f"{path}: there is no such workload file") from None
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise WorkloadError(f"{path}: not a readable .npz archive ({error})") from None
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
    topology = Topology(
        capacity=_integers(arrays, "capacity"), baseline=arrays["baseline"], curve=arrays["curve"]
    )
    workload = Workload(topology=topology, tasks=_integers(arrays, "tasks"))
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
    demand = _integers(arrays, "t")
    tasks = np.zeros((len(demand), NUM_TASK_FIELDS), dtype=np.int64)
    tasks[:, ARRIVAL] = _integers(arrays, "arrival") * 1000
    run_time_s = (0.001 * demand**2 + 2.5 * demand - 14) * 60
    tasks[:, RUN_TIME] = np.round(run_time_s * 1000)
    tasks[:, DEMAND] = demand
    tasks[:, TYPE] = _integers(arrays, "ttype")
    return Workload(topology=topology, tasks=tasks)


def _integers(arrays: Mapping[str, npt.NDArray[Any]], name: str) -> npt.NDArray[np.int64]:
    array = arrays[name]
    if not np.issubdtype(array.dtype, np.integer):
        raise WorkloadError(f"array '{name}' has type {array.dtype}: must hold whole numbers")
    return array.astype(np.int64)
