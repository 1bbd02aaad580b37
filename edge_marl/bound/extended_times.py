"""Times of the extended model's bound, by the rules of `docs/model/extended.md`: the least ones."""

from __future__ import annotations

import numpy as np

from edge_marl.bound.extended_facts import NEVER, Facts
from edge_marl.jit import jit
from edge_marl.kernel.world import (
    AFTER,
    ARRIVAL,
    DEADLINE,
    DEMAND,
    DOWNLOAD,
    DURATION,
    FAILS,
    GATEWAY,
    PROPAGATION,
    RUN_TIME,
    SERVER,
    STAGE,
    TIME,
    UPLOAD,
    US_PER_KB,
    Ints,
)

__all__ = [
    "before_turn",
    "least_duration",
    "least_times",
    "may_be_late",
    "return_time",
    "sending_window",
    "steps_at",
]


@jit
def steps_at(f: Facts, k: int, level: int) -> int:
    """Denoising steps of task k at a level."""
    return int(-(-(f.tasks[k, DEMAND] * f.levels[level]) // 1000))


@jit
def _run_time(f: Facts, k: int, server: int, service: int, level: int) -> int:
    """Run time of task k with nothing beside it."""
    work = -(-(f.tasks[k, RUN_TIME] * f.levels[level]) // 1000)
    return int(-(-(work * f.slowdown[server, service]) // 1000))


@jit
def _link_time(f: Facts, k: int, link: int, size: int) -> int:
    gateway = f.tasks[k, GATEWAY]
    sending = -(-(size * f.links[gateway, link, US_PER_KB]) // 1000)
    return int(f.links[gateway, link, PROPAGATION] + sending)


@jit
def _input_time(f: Facts, k: int, link: int) -> int:
    """Least time that the input takes."""
    return _link_time(f, k, link, f.details[k, UPLOAD]) if f.details[k, STAGE] == 0 else 0


@jit
def return_time(f: Facts, k: int, link: int) -> int:
    """Time that the result of stage k takes back over a link (0: others follow it), in ms."""
    return _link_time(f, k, link, f.details[k, DOWNLOAD]) if f.details[k, AFTER] == 0 else 0


@jit
def may_be_late(f: Facts, k: int) -> bool:
    """Whether stage k may take its capacity later than it is ready, as far as is known here."""
    return bool(f.details[k, STAGE] > 0 or f.queued or f.in_slots)


@jit
def before_turn(f: Facts, k: int, link: int) -> int:
    """Part of a stage's least duration that need not hold capacity: the input, where tasks wait."""
    return _input_time(f, k, link) if f.queued else 0


@jit
def _failure_after(f: Facts, server: int, now: int) -> int:
    """When a server next fails after `now`, before the episode ends; NEVER if it does not."""
    if server != f.cloud:
        for i in range(f.first_outage[server], f.first_outage[server + 1]):
            if now < f.outages[i, TIME] < f.end:
                return int(f.outages[i, TIME])
    return NEVER


@jit
def _is_down(f: Facts, server: int, now: int) -> bool:
    """Whether a server is down by a failure."""
    if server != f.cloud:
        for i in range(f.first_outage[server], f.first_outage[server + 1]):
            if f.outages[i, TIME] <= now < f.outages[i, TIME] + f.outages[i, DURATION]:
                return True
    return False


@jit
def _latest_end(f: Facts, k: int, link: int, service: int, level: int) -> int:
    """When a first stage has ended for sure, if nothing ends it before."""
    server = f.links[f.tasks[k, GATEWAY], link, SERVER]
    runs, most = _run_time(f, k, server, service, level), 1000 + f.stretch[server, service]
    sent = f.tasks[k, ARRIVAL]
    if f.in_slots:
        sent = max(sent, f.last_sent)
    waits = max(_input_time(f, k, link), f.longest_load, f.longest_wait[server])
    return int(sent + waits - (-(runs * most) // 1000))


@jit
def least_duration(f: Facts, k: int, link: int, service: int, level: int) -> int:
    """Least time from dispatch to end; NEVER where the task cannot be served."""
    server = f.links[f.tasks[k, GATEWAY], link, SERVER]
    if not f.takes[server, service] or steps_at(f, k, level) > f.room[server]:
        return NEVER
    least = _input_time(f, k, link) + _run_time(f, k, server, service, level)
    if f.details[k, STAGE] == 0:
        now = f.tasks[k, ARRIVAL]
        if f.details[k, FAILS] == 1 and _latest_end(f, k, link, service, level) < f.end:
            return NEVER
        if not f.in_slots and (
            _is_down(f, server, now) or _failure_after(f, server, now) < now + least
        ):
            return NEVER
    return int(least)


@jit
def sending_window(
    f: Facts, k: int, server: int, ready: int, offset: int, holds: int
) -> tuple[int, int]:
    """When a stage that may be late can begin to hold capacity: from, and until (ms).

    Args:
        f: what is known.
        k: the stage.
        server: where it goes.
        ready: when it is ready at the earliest.
        offset: `before_turn` of its link.
        holds: its least duration without that.
    """
    first = f.details[k, STAGE] == 0
    sent = ready if first and not f.in_slots else max(ready, f.last_sent)
    begin, until = ready + offset, sent + max(offset, f.longest_wait[server])
    if first and f.details[k, FAILS] == 1:  # it has to outlast the episode
        begin, until = max(begin, f.end - holds), max(until, f.end - holds)
    if first and not f.in_slots:  # it is there from its arrival on
        until = min(until, _failure_after(f, server, ready) - holds)
    return int(begin), int(until)


@jit
def _must_fail(f: Facts, k: int) -> bool:
    """Whether a task that fails does so for sure if it is a stage of a request of any value."""
    if f.details[k, FAILS] == 0:
        return False
    limit = f.details[k, DEADLINE]
    return bool(f.details[k, AFTER] > 0 or (limit > 0 and f.tasks[k, ARRIVAL] + 2 * limit <= f.end))


@jit
def _least_to_result(f: Facts, k: int) -> int:
    """Least time from the dispatch of a stage to its result at its gateway, or NEVER."""
    least = NEVER
    for link in range(f.links.shape[1]):
        back = return_time(f, k, link)
        for service in range(f.takes.shape[1]):
            for level in range(len(f.levels)):
                duration = least_duration(f, k, link, service, level)
                if duration < NEVER:
                    least = min(least, duration + back)
    return int(least)


@jit
def least_times(f: Facts) -> tuple[Ints, Ints]:
    """Earliest dispatch of each task, and least time from its end to the request's result.

    The dispatch is NEVER for all stages of a request that cannot be of value.
    """
    n = len(f.tasks)
    ready = np.empty(n, dtype=np.int64)
    rest = np.zeros(n, dtype=np.int64)
    least = np.full(n, NEVER)
    for k in range(n):
        least[k] = _least_to_result(f, k)
        ready[k] = f.tasks[k, ARRIVAL]
        if f.details[k, STAGE] > 0:
            ready[k] = min(NEVER, ready[k - 1] + least[k - 1])
        too_late = f.details[k, STAGE] > 0 and ready[k] >= f.end
        if too_late or least[k] == NEVER or _must_fail(f, k):
            ready[k] = NEVER
    for k in range(n - 2, -1, -1):
        if f.details[k, AFTER] > 0:
            rest[k] = rest[k + 1] + least[k + 1]
            if ready[k + 1] == NEVER:
                ready[k] = NEVER
    return ready, rest
