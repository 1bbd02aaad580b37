"""Rules of a workload's arrays, each with the number of what breaks it."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from edge_marl.errors import WorkloadError
from edge_marl.kernel.world import (
    AFTER,
    ARRIVAL,
    DEADLINE,
    DURATION,
    FAILS,
    GATEWAY,
    LOCATION,
    NUM_DETAILS,
    NUM_SLEEP_COLUMNS,
    STAGE,
    TIME,
)
from edge_marl.scenario.section import MAX_STAGES, MAX_TIME_MS, MAX_WEIGHT

__all__ = [
    "check_column",
    "checked_details",
    "checked_outages",
    "checked_sleeps",
    "checked_weights",
    "whole",
]


def whole(given: npt.ArrayLike, name: str) -> npt.NDArray[np.int64]:
    """Return a copy as 64-bit whole numbers; nothing is rounded on the way."""
    array = np.array(given, order="C")
    if array.size and not np.issubdtype(array.dtype, np.integer):
        raise WorkloadError(
            f"array '{name}' has type {array.dtype}: must hold whole numbers (times in ms): "
            f"round them, and give {name}.astype(np.int64)"
        )
    return array.astype(np.int64, copy=False)


def check_column(
    column: npt.NDArray[np.int64], name: str, low: int, high: int, of: str = "task"
) -> None:
    """Raise WorkloadError unless a column of tasks, or `of` what else, is within limits."""
    bad = np.flatnonzero((column < low) | (column > high))
    if len(bad):
        raise WorkloadError(
            f"{of} {bad[0]} has {name} {column[bad[0]]}: must be from {low} to {high}"
        )


def checked_details(
    details: npt.NDArray[np.int64], tasks: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Return the details of tasks, checked and read-only."""
    details = whole(details, "details")
    if details.shape != (len(tasks), NUM_DETAILS):
        raise WorkloadError(
            f"details has shape {details.shape}: must be ({len(tasks)}, {NUM_DETAILS})"
        )
    limits = {STAGE: MAX_STAGES - 1, AFTER: MAX_STAGES - 1, FAILS: 1}
    names = ("stage", "stages after", "deadline", "load time", "upload", "download", "fails")
    for column, name in enumerate(names):
        check_column(details[:, column], name, 0, limits.get(column, MAX_TIME_MS // 8))
    stage, after = details[:, STAGE], details[:, AFTER]
    follows = np.concatenate([[False], (after[:-1] > 0)])
    right = np.where(follows, stage == np.roll(stage, 1) + 1, stage == 0)
    right &= ~follows | (after == np.roll(after, 1) - 1)
    same = (tasks[:, [ARRIVAL, GATEWAY]] == np.roll(tasks, 1, axis=0)[:, [ARRIVAL, GATEWAY]]).all(1)
    same &= details[:, DEADLINE] == np.roll(details[:, DEADLINE], 1)
    right &= ~follows | same
    wrong = np.flatnonzero(~right)
    if len(wrong) or after[-1] > 0:
        k = int(wrong[0]) if len(wrong) else len(tasks) - 1
        raise WorkloadError(
            f"task {k} is stage {stage[k]} with {after[k]} after it: the stages of a request must "
            "follow each other from 0 up, with one arrival, gateway and deadline"
        )
    details.flags.writeable = False
    return details


def checked_weights(
    weights: npt.NDArray[np.int64], details: npt.NDArray[np.int64] | None, tasks: Any
) -> npt.NDArray[np.int64]:
    """Return the weights of requests, checked and read-only."""
    weights = whole(weights, "weights")
    if weights.shape != (len(tasks),):
        raise WorkloadError(f"weights has shape {weights.shape}: must be ({len(tasks)},)")
    check_column(weights, "weight (thousandths)", 1, MAX_WEIGHT)
    if details is not None:
        differs = (details[1:, STAGE] > 0) & (weights[1:] != weights[:-1])
        if differs.any():
            k = int(differs.argmax()) + 1
            raise WorkloadError(
                f"task {k} has weight {weights[k]}, the stage before it {weights[k - 1]}: the "
                "stages of a request must have one weight"
            )
    weights.flags.writeable = False
    return weights


def checked_outages(outages: npt.NDArray[np.int64], num_servers: int) -> npt.NDArray[np.int64]:
    """Return server failures, checked and read-only."""
    outages = whole(outages, "outages")
    if outages.ndim != 2 or outages.shape[1] != 3:
        raise WorkloadError(f"outages has shape {outages.shape}: must be (F, 3)")
    limits = (MAX_TIME_MS // 2, num_servers - 1, MAX_TIME_MS // 2)
    for column, name in enumerate(("time (ms)", "server", "duration (ms)")):
        check_column(outages[:, column], name, 0, limits[column], "outage")
    if (np.diff(outages[:, TIME]) < 0).any():
        raise WorkloadError("outages must be in order of time")
    outages.flags.writeable = False
    return outages


def checked_sleeps(sleeps: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the sleeps of gateways, checked and read-only."""
    sleeps = whole(sleeps, "sleeps")
    if sleeps.ndim != 2 or sleeps.shape[1] != NUM_SLEEP_COLUMNS:
        raise WorkloadError(f"sleeps has shape {sleeps.shape}: must be (Z, {NUM_SLEEP_COLUMNS})")
    limits = ((0, MAX_TIME_MS // 2), (0, 2**31 - 1), (1, MAX_TIME_MS // 2))
    for column, name in enumerate(("time (ms)", "gateway", "duration (ms)")):
        check_column(sleeps[:, column], name, *limits[column], of="sleep")
    other = np.diff(sleeps[:, LOCATION])
    overlap = sleeps[1:, TIME] < sleeps[:-1, TIME] + sleeps[:-1, DURATION]
    wrong = np.flatnonzero((other < 0) | ((other == 0) & overlap))
    if len(wrong):
        raise WorkloadError(
            f"sleep {wrong[0] + 1} is out of order: sleeps must be in order of (gateway, time), "
            "and one of a gateway must not begin before the one before it is over"
        )
    sleeps.flags.writeable = False
    return sleeps
