"""Requests of a scenario without a recording: who asks for what, and when."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from edge_marl.kernel.world import (
    AFTER,
    ARRIVAL,
    DEADLINE,
    DEMAND,
    DOWNLOAD,
    GATEWAY,
    LOAD_TIME,
    NUM_DETAILS,
    NUM_TASK_FIELDS,
    RUN_TIME,
    STAGE,
    TYPE,
    UPLOAD,
    Ints,
)
from edge_marl.scenario import Scenario
from edge_marl.scenario.section import MAX_STAGES, MAX_TASKS
from edge_marl.scenario.tasks import Tasks
from edge_marl.workload.arrivals import draw_arrivals, has_processes
from edge_marl.workload.parts import WORDS_PER_DETAIL, draw_details, threshold
from edge_marl.workload.sampling import (
    DEMAND_WORD,
    DETAIL_STREAM,
    STAGE_STREAM,
    TASK_STREAM,
    TYPE_WORD,
    USER_STREAM,
    WORDS_PER_TASK,
    Streams,
    choose,
    choose_evenly,
    fill_tasks,
    limits,
    ranks,
)
from edge_marl.workload.words import Stream, Words

__all__ = ["draw_requests", "draw_rows", "least_requests"]


def least_requests(scenario: Scenario) -> int:
    """Requests that an episode needs to have a decision: the last may only be shown."""
    return 2 if scenario.episode.end == "last-task" else 1


def draw_requests(scenario: Scenario, streams: Streams) -> Ints:
    """Requests as tasks, (R, 5): the first stage of each."""
    least = least_requests(scenario)
    law = scenario.tasks
    if not has_processes(scenario):
        tasks = _draw_poisson(scenario, streams.open(TASK_STREAM), least)
        if not (law.zipf or law.demand_share or law.sticky):
            return tasks
    else:
        times, gateways = draw_arrivals(scenario, streams, least)
        tasks = np.empty((len(times), NUM_TASK_FIELDS), dtype=np.int64)
        tasks[:, ARRIVAL], tasks[:, GATEWAY] = times, gateways
    words = streams.words((len(tasks), WORDS_PER_TASK), TASK_STREAM)
    _set_kinds(tasks, law, words[:, TYPE_WORD], words[:, DEMAND_WORD])
    if law.sticky:
        users = streams.words((len(tasks), 2), USER_STREAM)
        tasks[:, TYPE] = _stick(tasks[:, TYPE], tasks[:, GATEWAY], law, users)
    return tasks


def _draw_poisson(scenario: Scenario, stream: Stream, least: int) -> Ints:
    """Tasks of the base model, (N, 5)."""
    arrivals, law = scenario.arrivals, scenario.tasks
    expected = arrivals.rate_per_s * arrivals.horizon_s
    # Eight standard deviations more than expected; the loop is for the rest.
    size = int(expected + 8 * math.sqrt(expected)) + 16
    while True:
        tasks = np.empty((size, NUM_TASK_FIELDS), dtype=np.int64)
        count = fill_tasks(
            tasks,
            stream.state,
            1000 / arrivals.rate_per_s,
            arrivals.horizon_ms,
            arrivals.resolution_ms,
            least,
            law.types,
            _demand_and_run_time(law),
            scenario.gateways.count,
        )
        if count < size:
            return tasks[:count]
        size *= 2


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
    keeps = (words[order, 1] >> np.uint64(11)) < threshold(law.sticky)
    keeps[1:] &= person[order][1:] == person[order][:-1]
    keeps[0] = False
    source = np.maximum.accumulate(np.where(keeps, 0, np.arange(len(types))))
    stuck = np.empty_like(types)
    stuck[order] = types[order][source]
    return stuck


def draw_rows(scenario: Scenario, streams: Streams) -> tuple[Ints, Ints]:
    """Tasks (N, 5) and details (N, 7): one row per stage, those of a request together."""
    requests, law = draw_requests(scenario, streams), scenario.tasks
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
