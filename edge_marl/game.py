"""The multi-agent game: the kernel's dispatch, decided by gateways. Plain Python like the kernel.

With SLOT = 0 (event clock) the gateway of the task that is shown decides on it, alone. Otherwise
(slotted clock) all gateways with a waiting task decide at the start of a slot, on what they saw
then, and their choices are applied in order of (arrival, gateway): nobody sees the others' choice.
A choice is an action, or S * V: nothing.

============  ================  =======  =====================================================
gateways      (E, G, 2)         int64    HEAD, WAITS
followers     (E, N)            int64    the next task of the same gateway, or NOWHERE
order         (E, G)            int64    scratch: the gateways that act
choices       (E, G)            int64    what each gateway wants
own_rewards   (E, G)            float64  what each gateway's dispatch paid in this step
seen          (E * G, D)        float32  what each gateway sees
masks         (E * G, S * V+1)  int8     what each gateway may choose
============  ================  =======  =====================================================

The other arrays are the kernel's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_marl.kernel import (
    ARRIVAL,
    CLOCK,
    DONE,
    DROPPED,
    END,
    END_AT_LAST_TASK,
    GATEWAY,
    GOING_ON,
    HORIZON,
    ILLEGAL,
    MAY_HOLD,
    NEVER,
    NOWHERE,
    NUM_GATEWAYS,
    NUM_SERVERS,
    NUM_SERVICES,
    NUM_TASKS,
    SHOWN,
    SLOT,
    START,
    STATUS,
    TERMINATED,
    TRUNCATED,
    dispatch,
    finish_due,
    observe_server,
    observe_task,
    show_next,
)

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from edge_marl.kernel import Floats, Ints, Observations, ShortInts

    Masks = npt.NDArray[np.int8]

# Columns of `gateways`: its first task that is not decided on, and the same if it waits there now.
HEAD, WAITS = range(2)
NUM_GATEWAY_COLUMNS = 2


def send(
    e: int,
    g: int,
    k: int,
    choice: int,
    spec: Ints,
    penalty: float,
    episode: Ints,
    servers: ShortInts,
    services: Floats,
    tasks: Ints,
    rewards: Floats,
    running: ShortInts,
    ends: Ints,
    soonest: Ints,
    observations: Observations,
    gateways: Ints,
    followers: Ints,
    own_rewards: Floats,
) -> None:
    """Gateway g decides on its task k; one that does nothing where it must act drops it."""
    gateways[e, g, HEAD] = followers[e, k]
    if choice == spec[NUM_SERVERS] * spec[NUM_SERVICES]:
        tasks[e, k, STATUS] = DROPPED
        tasks[e, k, START] = episode[e, CLOCK]
        tasks[e, k, END] = episode[e, CLOCK]
        episode[e, ILLEGAL] += 1
    else:
        reward = dispatch(
            e, k, choice, spec, penalty, episode, servers, services, tasks, running, ends, soonest
        )
        rewards[e, k] = reward
        own_rewards[e, g] = reward
        observe_server(e, choice // spec[NUM_SERVICES], spec, servers, observations)


def count_idle(e: int, choices: Ints, spec: Ints, episode: Ints, gateways: Ints) -> None:
    """Count as illegal the choices of gateways that have nothing to decide on."""
    for g in range(spec[NUM_GATEWAYS]):
        acts = choices[e, g] != spec[NUM_SERVERS] * spec[NUM_SERVICES]
        if acts and gateways[e, g, WAITS] == NOWHERE:
            episode[e, ILLEGAL] += 1


def acting_order(
    e: int, choices: Ints, spec: Ints, tasks: Ints, gateways: Ints, order: Ints
) -> int:
    """Write the gateways that act into `order`, by (arrival, gateway); return how many."""
    nothing = spec[NUM_SERVERS] * spec[NUM_SERVICES]
    count = 0
    for g in range(spec[NUM_GATEWAYS]):
        k = gateways[e, g, WAITS]
        if k == NOWHERE or (choices[e, g] == nothing and spec[MAY_HOLD] == 1):
            continue
        at = count
        while (
            at > 0
            and tasks[e, gateways[e, order[e, at - 1], WAITS], ARRIVAL] > tasks[e, k, ARRIVAL]
        ):
            order[e, at] = order[e, at - 1]
            at -= 1
        order[e, at] = g
        count += 1
    return count


def next_slot(e: int, spec: Ints, episode: Ints, tasks: Ints, gateways: Ints) -> None:
    """Move the clock to the next slot in which a task waits, or end the episode.

    SHOWN counts the tasks that were there to be decided on.
    """
    last = episode[e, NUM_TASKS] - 1
    shown_at_most = last if spec[END_AT_LAST_TASK] == 1 else last + 1
    shown = episode[e, SHOWN]
    while shown < shown_at_most and tasks[e, shown, ARRIVAL] <= episode[e, CLOCK]:
        shown += 1
    earliest = NEVER
    for g in range(spec[NUM_GATEWAYS]):
        if gateways[e, g, HEAD] != NOWHERE:
            earliest = min(earliest, tasks[e, gateways[e, g, HEAD], ARRIVAL])
    slot = spec[SLOT]
    clock = episode[e, CLOCK] + slot
    if earliest > clock:
        clock = (earliest + slot - 1) // slot * slot
    if spec[END_AT_LAST_TASK] == 1:
        if clock >= tasks[e, last, ARRIVAL]:
            episode[e, DONE] = TERMINATED
    elif earliest == NEVER or clock >= spec[HORIZON]:
        clock = spec[HORIZON]
        shown = shown_at_most
        episode[e, DONE] = TRUNCATED
    episode[e, SHOWN] = shown
    episode[e, CLOCK] = clock


def show_waiting(e: int, spec: Ints, episode: Ints, tasks: Ints, gateways: Ints) -> None:
    """Note which task waits at each gateway now: none once the episode has ended."""
    for g in range(spec[NUM_GATEWAYS]):
        k = gateways[e, g, HEAD]
        waits = episode[e, DONE] == GOING_ON and k != NOWHERE
        if waits and spec[SLOT] == 0:
            waits = k == episode[e, SHOWN]
        elif waits:
            never_assigned = spec[END_AT_LAST_TASK] == 1 and k == episode[e, NUM_TASKS] - 1
            waits = tasks[e, k, ARRIVAL] <= episode[e, CLOCK] and not never_assigned
        gateways[e, g, WAITS] = k if waits else NOWHERE


def play(
    spec: Ints,
    penalty: float,
    episode: Ints,
    servers: ShortInts,
    services: Floats,
    tasks: Ints,
    rewards: Floats,
    running: ShortInts,
    ends: Ints,
    soonest: Ints,
    observations: Observations,
    e: int,
    gateways: Ints,
    followers: Ints,
    order: Ints,
    choices: Ints,
    own_rewards: Floats,
) -> None:
    """One step of the multi-agent game in environment e, in place."""
    for g in range(spec[NUM_GATEWAYS]):
        own_rewards[e, g] = 0.0
    count_idle(e, choices, spec, episode, gateways)
    if spec[SLOT] == 0:
        order[e, 0] = tasks[e, episode[e, SHOWN], GATEWAY]
        count = 1
    else:
        count = acting_order(e, choices, spec, tasks, gateways, order)
    for at in range(count):
        g = order[e, at]
        send(
            e,
            g,
            gateways[e, g, WAITS],
            choices[e, g],
            spec,
            penalty,
            episode,
            servers,
            services,
            tasks,
            rewards,
            running,
            ends,
            soonest,
            observations,
            gateways,
            followers,
            own_rewards,
        )
    if spec[SLOT] == 0:
        show_next(e, spec, episode, tasks)
    else:
        next_slot(e, spec, episode, tasks, gateways)
    finish_due(e, spec, episode, servers, running, ends, soonest, observations)
    show_waiting(e, spec, episode, tasks, gateways)


def observe_gateways(
    e: int,
    spec: Ints,
    episode: Ints,
    tasks: Ints,
    observations: Observations,
    gateways: Ints,
    seen: Observations,
    masks: Masks,
) -> None:
    """Write what each gateway sees, row e * G + g of `seen` and `masks`.

    Its waiting task or zeros, and the servers; it may act if a task waits, and do nothing if none
    does or holding is allowed.
    """
    nothing = spec[NUM_SERVERS] * spec[NUM_SERVICES]
    for g in range(spec[NUM_GATEWAYS]):
        row = e * spec[NUM_GATEWAYS] + g
        k = gateways[e, g, WAITS]
        for at in range(observations.shape[1]):
            seen[row, at] = observations[e, at]
        observe_task(e, k, spec, episode, tasks, seen, row)
        for action in range(nothing):
            masks[row, action] = 0 if k == NOWHERE else 1
        masks[row, nothing] = 1 if k == NOWHERE or spec[MAY_HOLD] == 1 else 0


def play_rows(
    spec: Ints,
    penalty: float,
    episode: Ints,
    servers: ShortInts,
    services: Floats,
    tasks: Ints,
    rewards: Floats,
    running: ShortInts,
    ends: Ints,
    soonest: Ints,
    observations: Observations,
    gateways: Ints,
    followers: Ints,
    order: Ints,
    seen: Observations,
    masks: Masks,
    first: int,
    stop: int,
    choices: Ints,
    own_rewards: Floats,
) -> None:
    """One step of the game in environments first..stop-1; one that has ended stays as it is."""
    for e in range(first, stop):
        if episode[e, DONE] == GOING_ON:
            play(
                spec,
                penalty,
                episode,
                servers,
                services,
                tasks,
                rewards,
                running,
                ends,
                soonest,
                observations,
                e,
                gateways,
                followers,
                order,
                choices,
                own_rewards,
            )
        else:
            for g in range(spec[NUM_GATEWAYS]):
                own_rewards[e, g] = 0.0
        observe_gateways(e, spec, episode, tasks, observations, gateways, seen, masks)
