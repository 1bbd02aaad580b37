"""The start of an episode."""

from __future__ import annotations

from edge_marl.kernel.clock import live_on
from edge_marl.kernel.observe import observe, observe_server
from edge_marl.kernel.world import (
    AGENDA,
    ARRIVAL,
    ARRIVING,
    CLOCK,
    CRASHES,
    DONE,
    END,
    EXTENDED,
    GOING_ON,
    ILLEGAL,
    NEVER,
    NOWHERE,
    NUM_CRASHES,
    NUM_RUNNING,
    NUM_TASK_FIELDS,
    NUM_TASKS,
    OUTAGES_PAST,
    PLACE,
    SHOWN,
    START,
    STATUS,
    TICK,
    USED,
    WAITING,
    Ints,
    World,
)


def open_episode(w: World, e: int, tasks: Ints) -> None:
    """Start an episode on tasks, (N, 5), whose servers are in place: its first one is shown."""
    count = len(tasks)
    for k in range(count):
        for column in range(NUM_TASK_FIELDS):
            w.tasks[e, k, column] = tasks[k, column]
        w.tasks[e, k, PLACE] = NOWHERE
        w.tasks[e, k, STATUS] = WAITING
        w.tasks[e, k, START] = 0
        w.tasks[e, k, END] = 0
        w.rewards[e, k] = 0.0
    w.episode[e, NUM_TASKS] = count
    empty_servers(w, e)
    w.episode[e, SHOWN] = 0
    w.episode[e, DONE] = GOING_ON
    w.episode[e, CRASHES] = 0
    w.episode[e, ILLEGAL] = 0
    w.episode[e, ARRIVING] = 0
    w.episode[e, AGENDA] = 0
    w.episode[e, OUTAGES_PAST] = 0
    if w.spec[EXTENDED] == 0:
        w.episode[e, CLOCK] = w.tasks[e, 0, ARRIVAL]
    else:
        w.episode[e, CLOCK] = 0
        w.episode[e, TICK] = NOWHERE
    observe(w, e)


def go_to_first(w: World, e: int) -> None:
    """Extended model: let time pass to the first decision."""
    live_on(w, e)
    observe(w, e)


def empty_servers(w: World, e: int) -> None:
    """Nothing runs anywhere, and nothing has crashed."""
    for node in range(w.soonest.shape[1]):
        w.soonest[e, node] = NEVER
    for server in range(w.servers.shape[1]):
        w.servers[e, server, USED] = 0
        w.servers[e, server, NUM_RUNNING] = 0
        w.servers[e, server, NUM_CRASHES] = 0
        observe_server(w, e, server)
