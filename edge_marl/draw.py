"""Drawing a workload from a scenario and a seed, the same on every machine (`sampling.py`)."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Literal

import numpy as np
import numpy.typing as npt

from edge_marl.arrivals import draw_arrivals, has_processes
from edge_marl.devices import draw_episode_topology
from edge_marl.errors import WorkloadError
from edge_marl.sampling import (
    DEMAND_WORD,
    DETAIL_STREAM,
    OUTAGE_STREAM,
    STAGE_STREAM,
    TASK_STREAM,
    TYPE_WORD,
    USER_STREAM,
    WORDS_PER_TASK,
    Streams,
    choose,
    choose_evenly,
    durations_ms,
    exponentials,
    fill_load_times,
    fill_tasks,
    limits,
    ranks,
)
from edge_marl.scenario import Scenario
from edge_marl.sections import MAX_STAGES, MAX_TASKS, Tasks
from edge_marl.topology import draw_topology
from edge_marl.workload import (
    AFTER,
    ARRIVAL,
    DEADLINE,
    DEMAND,
    DOWNLOAD,
    GATEWAY,
    LOAD_TIME,
    MAX_TIME_MS,
    NUM_DETAILS,
    NUM_TASK_FIELDS,
    RUN_TIME,
    STAGE,
    TYPE,
    UPLOAD,
    Workload,
)

__all__ = [
    "SPLITS",
    "WORDS_PER_DETAIL",
    "Split",
    "draw_details",
    "draw_outages",
    "draw_tasks",
    "draw_workload",
]

Split = Literal["train", "validation", "test"]
SPLITS: dict[Split, int] = {"train": 0, "validation": 1, "test": 2}
"""Spawn key of each split: no workload of one is a workload of another."""

PUBLIC_SEEDS = 100
"""`validation` and `test` have the seeds 0..99."""

Words = npt.NDArray[np.uint64]
Ints = npt.NDArray[np.int64]

# Words of a stage: what its load time (3), input, result and failure come from.
LOAD_WORDS, UPLOAD_WORD, DOWNLOAD_WORD, FAIL_WORD = slice(0, 3), 3, 4, 5
WORDS_PER_DETAIL = 6


def draw_workload(
    scenario: Scenario, seed: int, *, split: Split = "train", episode: int = 0
) -> Workload:
    """Return a workload that (scenario, seed, split, episode) decide.

    No episode takes more than `MAX_TASKS` rows: the requests after those do not come.

    Args:
        scenario: what to draw from.
        seed: 0 or larger; 0..99 for the splits `validation` and `test`.
        split: `train` is for learning, `validation` for choosing, `test` for reported results.
        episode: an environment seeded once plays episodes 0, 1, 2, ...

    Raises:
        WorkloadError: unknown split, or a seed outside of it.
        DataError: a recorded trace that the scenario replays is not there, or damaged.
    """
    if split not in SPLITS:
        raise WorkloadError(f"unknown split '{split}': one of {', '.join(SPLITS)}")
    if split != "train" and not 0 <= seed < PUBLIC_SEEDS:
        raise WorkloadError(f"seed {seed}: split '{split}' has the seeds 0..{PUBLIC_SEEDS - 1}")
    streams = _streams(seed, split, episode)
    if scenario.replay:
        # Only here, and only now: it stands on this module, and reads files.
        from edge_marl.data.replay import replay_workload

        return replay_workload(scenario, streams)
    if not scenario.extended:
        return Workload(draw_topology(scenario), _draw_requests(scenario, streams))
    tasks, details = _draw_rows(scenario, streams)
    return Workload(
        topology=draw_episode_topology(scenario, streams),
        tasks=tasks,
        details=details,
        outages=draw_outages(scenario, streams),
    )


def draw_tasks(scenario: Scenario, seed: int, *, split: Split = "train", episode: int = 0) -> Ints:
    """Return the tasks of `draw_workload`, (N, 5), without checks: the path of automatic resets."""
    if scenario.replay:
        return draw_workload(scenario, seed, split=split, episode=episode).tasks
    streams = _streams(seed, split, episode)
    if scenario.extended:
        return _draw_rows(scenario, streams)[0]
    return _draw_requests(scenario, streams)


def _streams(seed: int, split: Split, episode: int) -> Streams:
    if seed < 0:
        raise WorkloadError(f"seed {seed}: must be 0 or larger")
    return Streams(seed, SPLITS[split], episode)


def _draw_requests(scenario: Scenario, streams: Streams) -> Ints:
    """Requests as tasks, (R, 5): the first stage of each."""
    stream = streams.open(TASK_STREAM)
    least = 2 if scenario.episode.end == "last-task" else 1
    law = scenario.tasks
    if not has_processes(scenario):
        tasks, words = _draw_poisson(scenario, stream, least)
        if not (law.zipf or law.demand_share or law.sticky):
            return tasks
    else:
        times, gateways = draw_arrivals(scenario, streams, least)
        words = stream.random_raw(WORDS_PER_TASK * len(times)).reshape(-1, WORDS_PER_TASK)
        tasks = np.empty((len(times), NUM_TASK_FIELDS), dtype=np.int64)
        tasks[:, ARRIVAL], tasks[:, GATEWAY] = times, gateways
    _set_kinds(tasks, law, words[:, TYPE_WORD], words[:, DEMAND_WORD])
    if law.sticky:
        users = streams.words((len(tasks), 2), USER_STREAM)
        tasks[:, TYPE] = _stick(tasks[:, TYPE], tasks[:, GATEWAY], law, users)
    return tasks


def _draw_poisson(scenario: Scenario, stream: np.random.PCG64, least: int) -> tuple[Ints, Words]:
    """Tasks of the base model and the words that they were made of, (N, 5) and (N, 4)."""
    arrivals, law = scenario.arrivals, scenario.tasks
    expected = arrivals.rate_per_s * arrivals.horizon_s
    # Eight standard deviations more than expected; the loop is for the rest.
    size = int(expected + 8 * math.sqrt(expected)) + 16
    words = stream.random_raw(WORDS_PER_TASK * size)
    while True:
        tasks = np.empty((len(words) // WORDS_PER_TASK, NUM_TASK_FIELDS), dtype=np.int64)
        count = fill_tasks(
            tasks,
            words,
            1000 / arrivals.rate_per_s,
            arrivals.horizon_ms,
            arrivals.resolution_ms,
            least,
            law.types,
            _demand_and_run_time(law),
            scenario.gateways.count,
        )
        if count < len(tasks):
            return tasks[:count], words.reshape(-1, WORDS_PER_TASK)[:count]
        words = np.concatenate([words, stream.random_raw(WORDS_PER_TASK * size)])


@lru_cache(maxsize=64)
def _demand_and_run_time(law: Tasks) -> Ints:
    """Each possible demand with its run time in milliseconds, (len(law.demand), 2)."""
    return np.array([(t, law.run_time_ms(t)) for t in law.demand], dtype=np.int64)


def _set_kinds(tasks: Ints, law: Tasks, type_words: Words, demand_words: Words) -> None:
    """Set type, demand and run time; where the weights are even, as the base model does."""
    tasks[:, TYPE] = (
        choose(type_words, limits(tuple(ranks(law.zipf, law.types).tolist())))
        if law.zipf
        else choose_evenly(type_words, law.types)
    )
    chosen = (
        choose(demand_words, limits(law.demand_share))
        if law.demand_share
        else choose_evenly(demand_words, len(law.demand))
    )
    kinds = _demand_and_run_time(law)[chosen]
    tasks[:, DEMAND], tasks[:, RUN_TIME] = kinds[:, 0], kinds[:, 1]


def _stick(types: Ints, gateways: Ints, law: Tasks, words: Words) -> Ints:
    """Types where users keep theirs: that of the user's last request that did not."""
    users = choose_evenly(words[:, 0], law.users)
    person = gateways * law.users + users
    order = np.argsort(person, kind="stable")
    keeps = (words[order, 1] >> np.uint64(11)) < _below(law.sticky)
    keeps[1:] &= person[order][1:] == person[order][:-1]
    keeps[0] = False
    source = np.maximum.accumulate(np.where(keeps, 0, np.arange(len(types))))
    stuck = np.empty_like(types)
    stuck[order] = types[order][source]
    return stuck


def _below(share: float) -> np.uint64:
    """The 53-bit number that uniform ones are below with a probability."""
    return np.uint64(math.ceil(share * 2**53))


def _draw_rows(scenario: Scenario, streams: Streams) -> tuple[Ints, Ints]:
    """Tasks (N, 5) and details (N, 7): one row per stage, those of a request together."""
    requests, law = _draw_requests(scenario, streams), scenario.tasks
    words = streams.words((len(requests), 1 + 2 * (MAX_STAGES - 1)), STAGE_STREAM)
    counts = 1 + choose(words[:, 0], limits(law.stages))
    ends = np.cumsum(counts)
    counts = counts[: np.searchsorted(ends, MAX_TASKS, side="right")]
    starts = ends[: len(counts)] - counts
    tasks = np.repeat(requests[: len(counts)], counts, axis=0)
    details = np.zeros((len(tasks), NUM_DETAILS), dtype=np.int64)
    details[:, STAGE] = np.arange(len(tasks)) - np.repeat(starts, counts)
    details[:, AFTER] = np.repeat(counts, counts) - 1 - details[:, STAGE]
    for stage in range(len(law.stages)):
        members = np.flatnonzero(counts > stage)
        rows = starts[members] + stage
        if stage > 0:
            own = words[members, 2 * stage - 1 : 2 * stage + 1]
            later = tasks[rows]
            _set_kinds(later, law, own[:, 0], own[:, 1])
            tasks[rows] = later
        own = streams.words((len(requests), WORDS_PER_DETAIL), DETAIL_STREAM, stage)[members]
        details[rows, LOAD_TIME:] = draw_details(scenario, own)
    # What a later stage takes in is what the stage before it made.
    follows = np.flatnonzero(details[:, STAGE])
    details[follows, UPLOAD] = details[follows - 1, DOWNLOAD]
    if law.deadline_s:
        of_type = np.array([round(1000 * seconds) for seconds in law.deadline_s])
        sums = np.add.reduceat(of_type[tasks[:, TYPE]], starts)
        details[:, DEADLINE] = np.repeat(sums, counts)
    return tasks, details


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
            (words[:, FAIL_WORD] >> np.uint64(11)) < _below(law.fail_share),
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
