"""Episodes cut from recorded traces: a workload in which requests come as they once came.

A seed and an episode decide where in its split's window the episode starts, on which device classes
the servers are, and where each user is; the requests themselves are the recorded ones.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

import numpy as np

from edge_marl.data.places import Site, settle
from edge_marl.data.recordings import Recording, read_recording, source_of
from edge_marl.errors import DataError, ScenarioError
from edge_marl.kernel.world import (
    ARRIVAL,
    DEADLINE,
    DEMAND,
    DOWNLOAD,
    FAILS,
    GATEWAY,
    LOAD_TIME,
    NUM_DETAILS,
    NUM_TASK_FIELDS,
    RUN_TIME,
    TYPE,
    UPLOAD,
    Ints,
)
from edge_marl.scenario import Scenario
from edge_marl.scenario.section import MAX_TASKS
from edge_marl.scenario.tasks import Tasks
from edge_marl.workload import Workload
from edge_marl.workload.parts import (
    SPLITS,
    Split,
    draw_around,
    draw_details,
    draw_sleeps,
    draw_weights,
)
from edge_marl.workload.requests import WORDS_PER_DETAIL, least_requests
from edge_marl.workload.sampling import (
    CLASS_STREAM,
    DETAIL_STREAM,
    TASK_STREAM,
    USER_STREAM,
    Streams,
    evenly,
)
from edge_marl.workload.topology import Topology, draw_topology

__all__ = ["replay_workload"]


def replay_workload(scenario: Scenario, streams: Streams) -> Workload:
    """Return the workload that an episode of a scenario with a section `replay` has.

    It starts at one of the recorded requests of the split's window, each as likely, so that busy
    hours come as often as they have requests, and holds those of the next `window_s` seconds.

    Args:
        scenario: with a section `replay`.
        streams: of (seed, split, episode); the split says which window to cut from.

    Raises:
        DataError: the data set was not added, or a file is damaged or malformed.
        ScenarioError: the trace has no episode in the split's window, or too few places.
    """
    replay = scenario.replay
    assert replay is not None
    tape = _tape(scenario)
    rows, first = tape.cut(streams)
    gateways = _gateways(scenario, tape, rows, streams)
    tasks = tape.tasks[rows].copy()
    tasks[:, GATEWAY] = gateways
    # By whole numbers: a quotient of floats may lie just below the millisecond that it is.
    compress = Fraction(repr(replay.compress))
    recorded_ms = (tasks[:, ARRIVAL] - first).astype(object)
    after_ms = (recorded_ms * compress.denominator // compress.numerator).astype(np.int64)
    resolution = scenario.arrivals.resolution_ms
    tasks[:, ARRIVAL] = after_ms // resolution * resolution
    if not scenario.extended:
        topology = _with_own_quality(draw_topology(scenario), replay.own_quality)
        return Workload(topology, tasks, sleeps=draw_sleeps(scenario, streams))
    site = _site(scenario)
    places = None if site is None else (site.servers, site.gateways)
    topology, outages = draw_around(scenario, streams, places)
    return Workload(
        topology=_with_own_quality(topology, replay.own_quality),
        tasks=tasks,
        details=_details(scenario, tape, rows, streams),
        outages=outages,
        weights=_weights(scenario, len(tasks), streams),
        sleeps=draw_sleeps(scenario, streams),
    )


@dataclass(frozen=True, eq=False)
class Tape:
    """A whole recording, ready to be cut into episodes of a scenario."""

    tasks: Ints
    """(M, 5) as in a workload, but with recorded times and without a gateway."""
    recorded: Ints
    """(M, 7) details as in a workload; -1 is what was not recorded."""
    recording: Recording
    window_ms: int
    starts: dict[int, Ints]
    """Of each split's number, the rows that an episode may start at."""

    def cut(self, streams: Streams) -> tuple[slice, int]:
        """Return the rows of an episode and when it starts."""
        starts = self.starts[streams.split]
        word = streams.words((1,), TASK_STREAM)
        start = starts[evenly(word, len(starts))[0]]
        first = int(self.tasks[start, ARRIVAL])
        # Of requests at the same time all come, whichever was drawn.
        times = self.tasks[:, ARRIVAL]
        rows = np.searchsorted(times, [first, first + self.window_ms])
        return slice(int(rows[0]), min(int(rows[1]), int(rows[0]) + MAX_TASKS)), first


def _tape(scenario: Scenario) -> Tape:
    assert scenario.replay is not None
    path = source_of(scenario.replay)
    try:
        state = path.stat()
    except OSError:
        raise DataError(f"{path}: there is no such file: check replay.csv") from None
    return _read_tape(scenario, path.absolute(), state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=8)
def _read_tape(scenario: Scenario, path: Path, changed: int, size: int) -> Tape:
    """The tape of a file in one state: read again if the file changes."""
    law, recording = scenario.tasks, read_recording(scenario, path)
    assert scenario.replay is not None
    spans = {split: _span_ms(scenario, recording, split) for split in SPLITS}
    tasks = np.zeros((len(recording.arrival_ms), NUM_TASK_FIELDS), dtype=np.int64)
    tasks[:, ARRIVAL] = recording.arrival_ms
    tasks[:, DEMAND] = recording.demand.clip(1, max(law.demand))
    longest = law.max_run_time_ms
    tasks[:, RUN_TIME] = recording.run_time_ms.clip(1, longest)
    tasks[:, TYPE] = _types(recording, law.types, spans["train"])
    window_ms = round(1000 * scenario.replay.window_s)
    least = least_requests(scenario)
    starts = {}
    for split, span in spans.items():
        starts[SPLITS[split]] = _starts(recording.arrival_ms, span, window_ms, least)
        if not len(starts[SPLITS[split]]):
            raise ScenarioError(
                f"replay.windows.{split}: {path} has no request there that an episode of "
                f"{scenario.replay.window_s:g} s and of at least {least} requests could start at "
                f"(it has requests from {_moment(recording, 0)} to {_moment(recording, -1)}): move "
                "the window, or make window_s shorter or longer"
            )
    return Tape(tasks, _recorded(law, recording, tasks), recording, window_ms, starts)


def _starts(arrival_ms: Ints, span: tuple[int, int], window_ms: int, least: int) -> Ints:
    """Rows that an episode may start at: it ends in its split, and has requests enough.

    One request alone is no episode where the last is never assigned.
    """
    begin, end = span[0], min(span[1], int(arrival_ms[-1]) + 1)
    rows = np.arange(*np.searchsorted(arrival_ms, [begin, end - window_ms + 1]))
    first = np.searchsorted(arrival_ms, arrival_ms[rows])
    return rows[np.searchsorted(arrival_ms, arrival_ms[rows] + window_ms) - first >= least]


def _recorded(law: Tasks, recording: Recording, tasks: Ints) -> Ints:
    """Details of all requests, (M, 7): one stage each, -1 where a column was not recorded."""
    details = np.zeros((len(tasks), NUM_DETAILS), dtype=np.int64)
    details[:, LOAD_TIME:] = -1
    if law.deadline_s:
        by_type = np.array([round(1000 * seconds) for seconds in law.deadline_s])
        details[:, DEADLINE] = by_type[tasks[:, TYPE]]
    known = {
        DEADLINE: recording.deadline_ms,
        LOAD_TIME: recording.load_ms,
        UPLOAD: recording.upload_kb,
        DOWNLOAD: recording.download_kb,
        FAILS: recording.fails,
    }
    for column, values in known.items():
        if values is not None:
            details[:, column] = np.where(values < 0, details[:, column], values)
    return details


def _types(recording: Recording, count: int, train: tuple[int, int]) -> Ints:
    """Types as recorded; or the most popular models of the window train, and one of the others."""
    if recording.type is not None:
        return recording.type
    if recording.model is None:
        return np.zeros(len(recording.arrival_ms), dtype=np.int64)
    model, times = recording.model, recording.arrival_ms
    seen = model[(times >= train[0]) & (times < train[1]) & (model >= 0)]
    popular = np.argsort(-np.bincount(seen, minlength=model.max() + 1), kind="stable")
    type_of = np.full(model.max() + 2, count - 1, dtype=np.int64)  # an unknown model is -1: the end
    type_of[popular[: count - 1]] = np.arange(min(count - 1, len(popular)))
    return type_of[model]


def _details(scenario: Scenario, tape: Tape, rows: slice, streams: Streams) -> Ints:
    """Details as recorded, and as drawn where they were not."""
    details = tape.recorded[rows].copy()
    words = streams.words((len(details), WORDS_PER_DETAIL), DETAIL_STREAM, 0)
    drawn = draw_details(scenario, words)
    pool = tape.recording.load_times_ms
    if pool is not None and scenario.residency:
        drawn[:, 0] = pool[evenly(words[:, 0], len(pool))]
    details[:, LOAD_TIME:] = np.where(details[:, LOAD_TIME:] < 0, drawn, details[:, LOAD_TIME:])
    return details


def _gateways(scenario: Scenario, tape: Tape, rows: slice, streams: Streams) -> Ints:
    """Where requests come in: as recorded, or where their user, or else each of them, is."""
    recording, site = tape.recording, _site(scenario)
    if recording.gateway is not None:
        return recording.gateway[rows]
    if recording.user is not None:
        words = streams.words((int(recording.user.max()) + 1,), USER_STREAM)[recording.user[rows]]
    else:
        words = streams.words((rows.stop - rows.start,), USER_STREAM)
    users: Ints = site.gateway_of_user if site else np.arange(scenario.gateways.count)
    gateways: Ints = users[evenly(words, len(users))]
    return gateways


def _site(scenario: Scenario) -> Site | None:
    if scenario.replay is None or scenario.replay.places is None:
        return None
    return settle(scenario.servers.count, scenario.gateways.count)


def _with_own_quality(topology: Topology, quality: float | None) -> Topology:
    """The same servers with this baseline of service v for tasks of type v."""
    if quality is None:
        return topology
    baseline = topology.baseline.copy()
    own = np.arange(min(baseline.shape[1:]))
    baseline[:, own, own] = quality
    return dataclasses.replace(topology, baseline=baseline)


def _span_ms(scenario: Scenario, recording: Recording, split: Split) -> tuple[int, int]:
    """From and to of a split's window in ms of recorded time."""
    assert scenario.replay is not None
    start, end = (
        int((np.datetime64(moment, "ns") - recording.origin) // np.timedelta64(1, "ms"))
        if isinstance(moment, datetime) and recording.origin is not None
        else round(1000 * moment)
        for moment in getattr(scenario.replay.windows, split)
    )
    return start, end


def _moment(recording: Recording, row: int) -> str:
    """When a request came, in the terms that windows are given in."""
    time = recording.arrival_ms[row]
    if recording.origin is not None:
        return str((recording.origin + np.timedelta64(int(time), "ms")).astype("M8[s]"))
    return f"{time / 1000:g} s"


def _weights(scenario: Scenario, count: int, streams: Streams) -> Ints | None:
    """Weights of requests, which no recording has."""
    if not scenario.tasks.classes:
        return None
    return draw_weights(scenario, streams.words((count,), CLASS_STREAM))
