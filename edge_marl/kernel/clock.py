"""Between two decisions: ends, failures, arrivals, and the next task that is shown."""

from __future__ import annotations

from edge_marl.kernel.agenda import (
    EMPTY,
    KIND_BIT,
    ROOT,
    TIME_SHIFT,
    find_soonest,
    next_on_agenda,
    note_ahead,
    strike_first,
)
from edge_marl.kernel.losses import lose_all, take_back
from edge_marl.kernel.observe import observe_server
from edge_marl.kernel.servers import finish_on, note_change, report_changed
from edge_marl.kernel.world import (
    ADMITTED,
    AFTER,
    ARRIVAL,
    ARRIVING,
    CLOCK,
    DONE,
    DOWN_UNTIL,
    DURATION,
    END_AT_LAST_TASK,
    FAILED,
    FAILS,
    HORIZON,
    LOCATION,
    NOWHERE,
    NUM_OUTAGES,
    NUM_TASKS,
    OUTAGE,
    OUTAGES_PAST,
    PERIOD,
    RESIDENT,
    SHOWN,
    STATUS,
    TERMINATED,
    TICK,
    TIME,
    TRUNCATED,
    World,
)


def finish_due(w: World, e: int) -> None:
    """Let the tasks leave whose run time is over by now."""
    while w.soonest[e, ROOT] <= w.episode[e, CLOCK]:
        server = find_soonest(w, e)
        note_change(w, e, server)
        finish_on(w, e, server, w.episode[e, CLOCK])
        observe_server(w, e, server)


def fail_server(w: World, e: int) -> None:
    """The next server failure of the workload happens."""
    at = w.episode[e, OUTAGES_PAST]
    server = w.outages[e, at, LOCATION]
    until = w.outages[e, at, TIME] + w.outages[e, at, DURATION]
    w.episode[e, OUTAGES_PAST] = at + 1
    note_change(w, e, server)
    lose_all(w, e, server, OUTAGE)
    w.sites[e, server, RESIDENT] = 0
    w.sites[e, server, DOWN_UNTIL] = max(w.sites[e, server, DOWN_UNTIL], until)


def settle(w: World, e: int, until: int) -> None:
    """Tasks leave and servers fail, in order of time, up to a time; the clock is there then."""
    at = w.episode[e, OUTAGES_PAST]
    while at < w.episode[e, NUM_OUTAGES] and w.outages[e, at, TIME] <= until:
        w.episode[e, CLOCK] = max(w.episode[e, CLOCK], w.outages[e, at, TIME])
        finish_due(w, e)
        fail_server(w, e)
        at += 1
    w.episode[e, CLOCK] = until
    finish_due(w, e)


def pass_time(w: World, e: int, until: int) -> None:
    """`settle`, with a telemetry tick on the way where one is due."""
    period = w.spec[PERIOD]
    if period > 0 and until // period * period > w.episode[e, TICK]:
        tick = until // period * period
        settle(w, e, tick)
        w.episode[e, TICK] = tick
        report_changed(w, e)
    settle(w, e, until)


def complete(w: World, e: int, k: int) -> int:
    """Task k has come to its end; return the stage that this makes ready, or NOWHERE.

    Nothing if the task was lost before.
    """
    if w.tasks[e, k, STATUS] != ADMITTED:
        return NOWHERE
    if w.details[e, k, FAILS] == 1:
        w.tasks[e, k, STATUS] = FAILED
        take_back(w, e, k)
        return NOWHERE
    if w.episode[e, CLOCK] >= w.spec[HORIZON]:
        return NOWHERE
    w.tasks[e, k + 1, ARRIVAL] = w.episode[e, CLOCK]
    return k + 1


def next_arrival(w: World, e: int) -> int:
    """Return the key of the next request that arrives; EMPTY if none is left."""
    k = w.episode[e, ARRIVING]
    if k == w.episode[e, NUM_TASKS]:
        return EMPTY
    return int((w.tasks[e, k, ARRIVAL] << TIME_SHIFT) | KIND_BIT | k)


def arrive(w: World, e: int) -> int:
    """The next request arrives; return its first stage."""
    k = w.episode[e, ARRIVING]
    w.episode[e, ARRIVING] = k + 1 + w.details[e, k, AFTER]
    return int(k)


def end_at_horizon(w: World, e: int) -> None:
    """No decision is left: the episode truncates at the horizon."""
    w.episode[e, SHOWN] = w.episode[e, NUM_TASKS]
    w.episode[e, CLOCK] = w.spec[HORIZON]
    w.episode[e, DONE] = TRUNCATED


def show(w: World, e: int, k: int) -> None:
    """Show task k, and end the episode if it is the last one and is not to be decided on."""
    w.episode[e, SHOWN] = k
    if k == w.episode[e, NUM_TASKS] - 1 and w.spec[END_AT_LAST_TASK] == 1:
        w.episode[e, DONE] = TERMINATED


def show_next(w: World, e: int) -> None:
    """Base model: the clock goes to the next arrival, or the episode ends."""
    k = w.episode[e, SHOWN] + 1
    if k < w.episode[e, NUM_TASKS]:
        w.episode[e, CLOCK] = w.tasks[e, k, ARRIVAL]
        show(w, e, k)
    else:
        end_at_horizon(w, e)
    finish_due(w, e)


def live_on(w: World, e: int) -> None:
    """Extended model: the clock goes to the next decision, with all that happens on the way."""
    while True:
        key = next_on_agenda(w, e)
        arrival = next_arrival(w, e)
        time = min(key, arrival) >> TIME_SHIFT
        if arrival == EMPTY and (key == EMPTY or time > w.spec[HORIZON]):
            pass_time(w, e, max(w.episode[e, CLOCK], w.spec[HORIZON]))
            end_at_horizon(w, e)
            return
        pass_time(w, e, time)
        if arrival < key:
            show(w, e, arrive(w, e))
            return
        strike_first(w, e)
        k = key & (KIND_BIT - 1)
        if key & KIND_BIT:
            show(w, e, k)
            return
        ready = complete(w, e, k)
        if ready != NOWHERE:
            note_ahead(w, e, (time << TIME_SHIFT) | KIND_BIT | ready)
