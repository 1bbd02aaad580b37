"""Parts of a workload that are drawn alike for drawn and for recorded requests."""

from __future__ import annotations

import math
import operator
from typing import Any, Literal

import numpy as np

from edge_marl.errors import WorkloadError
from edge_marl.kernel.world import Ints
from edge_marl.scenario import Scenario
from edge_marl.workload.sampling import (
    OUTAGE_STREAM,
    Streams,
    choose_evenly,
    durations_ms,
    exponentials,
    fill_load_times,
    limits,
)
from edge_marl.workload.words import Words
from edge_marl.workload.workload import MAX_TIME_MS

__all__ = [
    "PUBLIC_SEEDS",
    "SPLITS",
    "WORDS_PER_DETAIL",
    "Split",
    "check_seed",
    "draw_details",
    "draw_outages",
    "threshold",
]


Split = Literal["train", "validation", "test"]
SPLITS: dict[Split, int] = {"train": 0, "validation": 1, "test": 2}
"""Spawn key of each split: no workload of one is a workload of another."""

PUBLIC_SEEDS = 100
"""`validation` and `test` have the seeds 0..99."""


def check_seed(seed: Any, name: str = "seed") -> int:
    """Return a seed, or another number that names a stream, as Python's whole number.

    Raises:
        WorkloadError: if it is none, or negative.
    """
    try:
        number = operator.index(seed)
    except TypeError:
        number = -1
    if number < 0:
        raise WorkloadError(f"{name} {seed!r}: must be a whole number, 0 or larger")
    return number


# Words of a stage: what its load time (3), input, result and failure come from.
LOAD_WORDS, UPLOAD_WORD, DOWNLOAD_WORD, FAIL_WORD = slice(0, 3), 3, 4, 5
WORDS_PER_DETAIL = 6


def threshold(share: float) -> np.uint64:
    """The 53-bit number that uniform ones are below with a probability."""
    return np.uint64(math.ceil(share * 2**53))


def draw_details(scenario: Scenario, words: Words) -> Ints:
    """Return load time, input, result and failure of tasks, (N, 4): columns LOAD_TIME .. FAILS.

    Args:
        scenario: whose residency and tasks state the laws.
        words: (N, WORDS_PER_DETAIL) of them per task.
    """
    law = scenario.tasks
    return np.column_stack(
        [
            _load_times(scenario, words[:, LOAD_WORDS]),
            _sizes(law.upload_kb, words[:, UPLOAD_WORD]),
            _sizes(law.download_kb, words[:, DOWNLOAD_WORD]),
            (words[:, FAIL_WORD] >> np.uint64(11)) < threshold(law.fail_share),
        ]
    )


def _load_times(scenario: Scenario, words: Words) -> Ints:
    """Times to load a model in ms, (len(words),); 0 where models need no loading."""
    times = np.zeros(len(words), dtype=np.int64)
    if scenario.residency:
        modes = scenario.residency.load
        medians = np.array([1000 * mode.median_s for mode in modes])
        sds = np.array([mode.sd_log for mode in modes])
        begins = limits(tuple(mode.share for mode in modes))
        fill_load_times(times, np.ascontiguousarray(words), begins, medians, sds, MAX_TIME_MS // 8)
    return times


def _sizes(range_kb: tuple[int, int], words: Words) -> Ints:
    """Uniform whole kB from the least to the largest, both included."""
    low, high = range_kb
    return low + choose_evenly(words, high - low + 1)


def draw_outages(scenario: Scenario, streams: Streams) -> Ints | None:
    """Return failures of edge servers, (F, 3), in order of (time, server); None if there are none.

    One Poisson process for all, each event of it on a server that is drawn uniformly, is one of a
    server's rate for each of them.
    """
    law, servers = scenario.outages, scenario.servers.count
    if law is None:
        return None
    horizon = scenario.arrivals.horizon_ms
    gap_ms = 1000 * law.every_s / servers
    expected = horizon / gap_ms
    size = int(expected + 8 * math.sqrt(expected)) + 16
    stream = streams.open(OUTAGE_STREAM)
    words = stream.random_raw(3 * size).reshape(size, 3)
    while True:
        times = np.floor(np.cumsum(exponentials(words[:, 0])) * gap_ms).astype(np.int64)
        if times[-1] >= horizon:
            break
        words = np.concatenate([words, stream.random_raw(3 * size).reshape(size, 3)])
    words = words[: np.searchsorted(times, horizon)]
    server = choose_evenly(words[:, 1], servers)
    outages = np.column_stack(
        [times[: len(words)], server, durations_ms(words[:, 2], 1000 * law.repair_s)]
    )
    return outages[np.lexsort((server, outages[:, 0]))]
