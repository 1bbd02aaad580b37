"""Play-outs in compiled code: what candidates earn in futures, with `bid-price` from then on.

The rules are those of the base model (`docs/model/base.md`); a test holds them against the
simulator. That one cannot be set to a state that is only seen: it knows of every task where it came
from.
"""

from __future__ import annotations

import numpy as np

from edge_marl.jit import jit, part
from edge_marl.kernel.world import Floats, Ints

__all__ = ["LENGTH", "NEEDS", "NUM_FIELDS", "UNTIL", "assume_running", "loads_by_use", "play_out"]

NEEDS, UNTIL, LENGTH = range(3)
"""Columns of a running task: denoising steps, when it ends (ms from now), its whole run time."""
NUM_FIELDS = 3


def _loads_by_use(offered: Floats, demand: Ints, loads: Floats) -> None:
    """Write how likely each number of steps in use is, up to a factor: Kaufman and Roberts.

    A server that loses what finds no room is a loss system of several classes. Kaufman, "Blocking
    in a shared resource environment", IEEE Trans. Communications 29 (1981); Roberts (1981).

    Args:
        offered: (S, D) tasks of each demand that would run on a server without limit, on average.
        demand: (D,) denoising steps.
        loads: (S, most + 1), where it writes.
    """
    for server in range(len(offered)):
        loads[server, 0] = 1.0
        for use in range(1, loads.shape[1]):
            total = 0.0
            for d in range(len(demand)):
                if demand[d] <= use:
                    total += offered[server, d] * demand[d] * loads[server, use - demand[d]]
            loads[server, use] = total / use


def _assume_running(
    used: Ints,
    offered: Floats,
    demand: Ints,
    run_time: Floats,
    loads: Floats,
    shares: Floats,
    running: Floats,
    count: Ints,
) -> None:
    """Draw which tasks run on each server, in several futures, given the steps in use.

    One after the other, by the law of a loss system (`loads_by_use`) given its load. Each is at a
    uniform moment of its run time. What no sum of demands comes to is one task.

    Args:
        used: (S,) denoising steps in use.
        offered, demand, loads: as in `loads_by_use`.
        run_time: (D,) of each demand in ms.
        shares: (M, S, R, 2) uniform in [0, 1).
        running: (M, S, R, NUM_FIELDS), where it writes.
        count: (M, S) tasks that run, where it writes.
    """
    for future in range(len(running)):
        for server in range(len(used)):
            left = used[server]
            at = 0
            while left > 0:
                total = 0.0
                for d in range(len(demand)):
                    if demand[d] <= left:
                        total += offered[server, d] * demand[d] * loads[server, left - demand[d]]
                needs, length = left, run_time[-1]
                rest = shares[future, server, at, 0] * total
                for d in range(len(demand)):
                    if total > 0.0 and demand[d] <= left:
                        part_of = offered[server, d] * demand[d] * loads[server, left - demand[d]]
                        if part_of > 0.0 and rest >= 0.0:
                            needs, length = demand[d], run_time[d]
                        rest -= part_of
                running[future, server, at, NEEDS] = needs
                running[future, server, at, LENGTH] = length
                running[future, server, at, UNTIL] = length * (1 - shares[future, server, at, 1])
                left -= needs
                at += 1
            count[future, server] = at


@part
def best_place(
    value: Floats, price: Floats, needs: int, length: float, capacity: Ints, used: Ints
) -> int:
    """Return the place that `bid-price` takes for a task.

    Args:
        value: (S * V,) what each place pays.
        price: (S,) of a denoising step for a ms.
        needs: denoising steps.
        length: run time.
        capacity, used: (S,) denoising steps of each server.
    """
    servers = len(capacity)
    services = len(value) // servers
    best, most, least = -1, -np.inf, 0
    for server in range(servers):
        if needs <= capacity[server] - used[server]:
            cost = price[server] * needs * length
            for service in range(services):
                left = value[server * services + service] - cost
                if left > most:
                    best, most = server * services + service, left
        least = server if used[server] < used[least] else least
    if best < 0:  # it fits nowhere: the server with the least in use, and its best service
        best = least * services
        for place in range(best, best + services):
            best = place if value[place] > value[best] else best
    return best


@part
def send(
    value: float,
    server: int,
    needs: int,
    length: float,
    now: float,
    penalty: float,
    capacity: Ints,
    used: Ints,
    running: Floats,
    count: Ints,
) -> float:
    """Send a task to a server, which may crash; return the reward.

    Args:
        value: what it pays if it fits.
        server: where.
        needs, length: of the task.
        now: in ms.
        penalty: of a crash, and of each task that it stops at once.
        capacity, used: (S,) denoising steps.
        running: (S, R, NUM_FIELDS) tasks that run.
        count: (S,) how many.
    """
    if needs > capacity[server] - used[server]:
        cost = penalty
        for at in range(count[server]):
            task = running[server, at]
            cost += penalty * (task[UNTIL] - now) / task[LENGTH]
        used[server] = 0
        count[server] = 0
        return -cost
    task = running[server, count[server]]
    task[NEEDS], task[UNTIL], task[LENGTH] = needs, now + length, length
    used[server] += needs
    count[server] += 1
    return value


@part
def finish(now: float, used: Ints, running: Floats, count: Ints) -> float:
    """Let the tasks leave that have ended by now; return when the next one ends."""
    soonest = np.inf
    for server in range(len(count)):
        kept = 0
        for at in range(count[server]):
            if running[server, at, UNTIL] > now:
                for field in range(NUM_FIELDS):
                    running[server, kept, field] = running[server, at, field]
                soonest = min(soonest, running[server, kept, UNTIL])
                kept += 1
            else:
                used[server] -= int(running[server, at, NEEDS])
        count[server] = kept
    return soonest


def _play_out(
    capacity: Ints,
    price: Floats,
    penalty: float,
    value: Floats,
    demand: Ints,
    run_time: Floats,
    gap: Floats,
    kind: Ints,
    size: Ints,
    span: Ints,
    own_value: Floats,
    own_needs: int,
    own_length: float,
    candidates: Ints,
    running: Floats,
    count: Ints,
    returns: Floats,
) -> None:
    """Write what each candidate earns in each future, less the price of what still runs then.

    Args:
        capacity: (S,) denoising steps.
        price: (S,) of a denoising step for a ms.
        penalty: of a crash.
        value: (K, D, S * V) what each place pays for a type and demand.
        demand, run_time: (D,) denoising steps of each demand, and ms.
        gap, kind, size: (N,) tasks that futures are cut from: ms since the one before, type, and
            which demand.
        span: (M, 2) first task of each future, and the one after its last.
        own_value: (S * V,) what each place pays for the task that is decided on.
        own_needs, own_length: its denoising steps and run time.
        candidates: (C,) places.
        running, count: (M, S, R, NUM_FIELDS) and (M, S) what runs now (`assume_running`).
        returns: (M, C), where it writes.
    """
    services = len(own_value) // len(capacity)
    there, many = np.empty(running.shape[1:]), np.empty(len(capacity), np.int64)
    used = np.empty(len(capacity), np.int64)
    for future in range(len(running)):
        for c in range(len(candidates)):
            there[:] = running[future]
            many[:] = count[future]
            for server in range(len(capacity)):
                used[server] = 0
                for at in range(many[server]):
                    used[server] += int(there[server, at, NEEDS])
            place = candidates[c]
            now = 0.0
            earned = send(
                *(own_value[place], place // services, own_needs, own_length, now, penalty),
                *(capacity, used, there, many),
            )
            soonest = 0.0
            for k in range(span[future, 0], span[future, 1]):
                now += gap[k]
                if soonest <= now:
                    soonest = finish(now, used, there, many)
                pays, needs, length = value[kind[k], size[k]], demand[size[k]], run_time[size[k]]
                place = best_place(pays, price, needs, length, capacity, used)
                earned += send(
                    *(pays[place], place // services, needs, length, now, penalty),
                    *(capacity, used, there, many),
                )
                soonest = min(soonest, now + length)
            for server in range(len(capacity)):
                for at in range(many[server]):
                    left = max(0.0, there[server, at, UNTIL] - now)
                    earned -= price[server] * there[server, at, NEEDS] * left
            returns[future, c] = earned


loads_by_use = jit(_loads_by_use, error_model="numpy", nogil=True)
assume_running = jit(_assume_running, error_model="numpy", nogil=True)
play_out = jit(_play_out, error_model="numpy", nogil=True)
