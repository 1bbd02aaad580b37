"""Losses: crashes, refunds, and tasks that are never sent."""

from __future__ import annotations

from edge_marl.kernel.agenda import note_soonest
from edge_marl.kernel.world import (
    AFTER,
    CLOCK,
    CRASHED,
    CRASHES,
    DOWN_UNTIL,
    DROPPED,
    END,
    EXTENDED,
    GATEWAY,
    ILLEGAL,
    LAST_TURN,
    NEVER,
    NUM_CRASHES,
    NUM_GATEWAYS,
    NUM_RUNNING,
    NUM_SERVICES,
    PENALTY,
    PLACE,
    REFUND,
    RESIDENT,
    RESTART,
    START,
    STATUS,
    SUM_BY_SERVICE,
    TASK,
    TERMS,
    USED,
    WAIT,
    World,
)


def crash_cost(w: World, e: int, server: int) -> float:
    """Cost of a crash: the penalty, and again for each running task times its part still to run.

    The order of summation decides the last bits, and the two published codes differ in it.
    """
    now = w.episode[e, CLOCK]
    penalty = w.rates[PENALTY]
    num_services = w.spec[NUM_SERVICES]
    by_service = w.spec[SUM_BY_SERVICE] == 1
    cost = penalty
    for service in range(num_services if by_service else 1):
        part = 0.0 if by_service else cost
        for at in range(w.servers[e, server, NUM_RUNNING]):
            k = w.running[e, server, at, TASK]
            if not by_service or w.tasks[e, k, PLACE] % num_services == service:
                sent = w.tasks[e, k, START]
                progress = (now - sent) / (w.tasks[e, k, END] - sent)
                part += (1.0 - progress) * penalty
        cost = cost + part if by_service else part
    return float(cost)


def take_back(w: World, e: int, k: int) -> None:
    """Refund what was granted for a task that is lost, where the scenario refunds."""
    if w.spec[REFUND] == 1 and w.details[e, k, AFTER] == 0:
        w.rewards[e, k] -= w.values[e, k]
        w.owed[e, w.spec[NUM_GATEWAYS]] -= w.values[e, k]
        w.owed[e, w.tasks[e, k, GATEWAY]] -= w.values[e, k]


def lose_all(w: World, e: int, server: int, status: int) -> None:
    """The server loses all that runs or waits on it, its models too, and is empty."""
    for at in range(w.servers[e, server, NUM_RUNNING]):
        k = w.running[e, server, at, TASK]
        w.tasks[e, k, STATUS] = status
        w.tasks[e, k, END] = w.episode[e, CLOCK]
        if w.spec[EXTENDED] == 1:
            take_back(w, e, k)
    w.servers[e, server, USED] = 0
    w.servers[e, server, NUM_RUNNING] = 0
    if w.spec[TERMS] == 1:
        w.lines[e, server, WAIT] = 0
        w.lines[e, server, LAST_TURN] = 0
    note_soonest(w, e, server, NEVER)


def crash(w: World, e: int, server: int) -> None:
    """A server goes down by overload; without a restart time it is usable at once."""
    lose_all(w, e, server, CRASHED)
    w.servers[e, server, NUM_CRASHES] += 1
    w.episode[e, CRASHES] += 1
    if w.spec[EXTENDED] == 1:
        w.sites[e, server, RESIDENT] = 0
        w.sites[e, server, DOWN_UNTIL] = w.episode[e, CLOCK] + w.spec[RESTART]


def lose_unsent(w: World, e: int, k: int, status: int) -> float:
    """Task k is lost without having been on a server; return the reward."""
    w.tasks[e, k, STATUS] = status
    w.tasks[e, k, START] = w.episode[e, CLOCK]
    w.tasks[e, k, END] = w.episode[e, CLOCK]
    if status == DROPPED:
        w.episode[e, ILLEGAL] += 1
    return float(-w.rates[PENALTY])
