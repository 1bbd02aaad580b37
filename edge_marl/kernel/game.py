"""The multi-agent game: the kernel's dispatch, decided by gateways. Plain Python like the kernel.

With SLOT = 0 (event clock) the gateway of the task that is shown decides on it, alone. Otherwise
(slotted clock) all gateways with a waiting task decide at the start of a slot, on what they saw
then, and their choices are applied in order of (arrival, gateway): nobody sees the others' choice.
A gateway that sleeps at a slot's start decides nothing in it: its tasks wait until it is awake.
A choice is an action, or the number of actions: nothing.

    choices       (E, G)  int64    what each gateway wants
    own_rewards   (E, G)  float64  what each gateway's dispatch paid in this step, less refunds

The other arrays are those of `world.World`.
"""

from __future__ import annotations

from edge_marl.kernel.agenda import EMPTY, KIND_BIT, TIME_SHIFT, next_on_agenda, strike_first
from edge_marl.kernel.clock import (
    complete,
    end_at_horizon,
    finish_due,
    live_on,
    pass_time,
    show_next,
)
from edge_marl.kernel.decision import dispatch
from edge_marl.kernel.losses import lose_unsent
from edge_marl.kernel.observe import observe_gateway, observe_task
from edge_marl.kernel.terms import num_actions
from edge_marl.kernel.world import (
    ARRIVAL,
    ARRIVING,
    CLOCK,
    DONE,
    DROPPED,
    DURATION,
    END_AT_LAST_TASK,
    EXTENDED,
    GATEWAY,
    GOING_ON,
    HEAD,
    HORIZON,
    ILLEGAL,
    MAY_HOLD,
    NEVER,
    NOWHERE,
    NUM_GATEWAYS,
    NUM_TASKS,
    SHOWN,
    SLEEP,
    SLEEPS_END,
    SLOT,
    STAGE,
    TERMINATED,
    TIME,
    WAITS,
    Floats,
    Ints,
    World,
)


def nothing(w: World) -> int:
    """Return the choice to do nothing."""
    return num_actions(w)


def send(w: World, e: int, g: int, k: int, choice: int, own_rewards: Floats) -> None:
    """Gateway g decides on its task k; one that does nothing where it must act drops it."""
    w.gateways[e, g, HEAD] = w.followers[e, k]
    drops = choice == nothing(w)
    reward = lose_unsent(w, e, k, DROPPED) if drops else dispatch(w, e, k, choice)
    w.rewards[e, k] = reward
    own_rewards[e, g] = reward


def count_idle(w: World, e: int, choices: Ints) -> None:
    """Count as illegal the choices of gateways that have nothing to decide on."""
    for g in range(w.spec[NUM_GATEWAYS]):
        if choices[e, g] != nothing(w) and w.gateways[e, g, WAITS] == NOWHERE:
            w.episode[e, ILLEGAL] += 1


def acting_order(w: World, e: int, choices: Ints) -> int:
    """Write the gateways that act into `order`, by (arrival, gateway); return how many."""
    count = 0
    for g in range(w.spec[NUM_GATEWAYS]):
        k = w.gateways[e, g, WAITS]
        if k == NOWHERE or (choices[e, g] == nothing(w) and w.spec[MAY_HOLD] == 1):
            continue
        at = count
        while (
            at > 0
            and w.tasks[e, w.gateways[e, w.order[e, at - 1], WAITS], ARRIVAL]
            > w.tasks[e, k, ARRIVAL]
        ):
            w.order[e, at] = w.order[e, at - 1]
            at -= 1
        w.order[e, at] = g
        count += 1
    return count


def line_up(w: World, e: int) -> None:
    """Have each gateway's requests in a queue, in order of arrival."""
    for g in range(w.spec[NUM_GATEWAYS]):
        w.gateways[e, g, HEAD] = NOWHERE
        w.gateways[e, g, WAITS] = NOWHERE
    for k in range(w.episode[e, NUM_TASKS] - 1, -1, -1):
        w.followers[e, k] = NOWHERE
        if w.spec[EXTENDED] == 0 or w.details[e, k, STAGE] == 0:
            g = w.tasks[e, k, GATEWAY]
            w.followers[e, k] = w.gateways[e, g, HEAD]
            w.gateways[e, g, HEAD] = k


def join_queue(w: World, e: int, k: int) -> None:
    """Stage k is ready: it joins the tasks of its gateway, in order of (arrival, row)."""
    g = w.tasks[e, k, GATEWAY]
    before = NOWHERE
    after = w.gateways[e, g, HEAD]
    ready = w.tasks[e, k, ARRIVAL]
    while after != NOWHERE and (
        w.tasks[e, after, ARRIVAL] < ready or (w.tasks[e, after, ARRIVAL] == ready and after < k)
    ):
        before = after
        after = w.followers[e, after]
    w.followers[e, k] = after
    if before == NOWHERE:
        w.gateways[e, g, HEAD] = k
    else:
        w.followers[e, before] = k


def live_until(w: World, e: int, until: int) -> None:
    """Extended model: all that happens up to a time; stages that become ready join their queues."""
    key = next_on_agenda(w, e)
    while key != EMPTY and key >> TIME_SHIFT <= until:
        pass_time(w, e, key >> TIME_SHIFT)
        strike_first(w, e)
        ready = complete(w, e, key & (KIND_BIT - 1))
        if ready != NOWHERE:
            join_queue(w, e, ready)
        key = next_on_agenda(w, e)
    pass_time(w, e, until)


def awake_slot(w: World, e: int, g: int, since: int) -> int:
    """Return the start of the first slot from a time on in which gateway g does not sleep."""
    slot = w.spec[SLOT]
    start = (since + slot - 1) // slot * slot
    for at in range(w.gateways[e, g, SLEEP], w.gateways[e, g, SLEEPS_END]):
        if w.sleeps[e, at, TIME] > start:
            break
        wakes = w.sleeps[e, at, TIME] + w.sleeps[e, at, DURATION]
        if wakes > start:
            start = (wakes + slot - 1) // slot * slot
    return int(start)


def earliest_head(w: World, e: int, since: int) -> int:
    """Return when the first task of any gateway's queue is there to be decided on, or NEVER.

    That is when it arrives, and where its gateway sleeps in a slot to come, the start of the first
    slot from `since` on in which it is awake.
    """
    earliest = NEVER
    for g in range(w.spec[NUM_GATEWAYS]):
        if w.gateways[e, g, HEAD] != NOWHERE:
            time = w.tasks[e, w.gateways[e, g, HEAD], ARRIVAL]
            if w.gateways[e, g, SLEEP] < w.gateways[e, g, SLEEPS_END]:
                time = awake_slot(w, e, g, max(time, since))
            earliest = min(earliest, time)
    return int(earliest)


def count_shown(w: World, e: int, now: int) -> None:
    """Have SHOWN count the tasks that had arrived by a slot's start."""
    last = w.episode[e, NUM_TASKS] - 1
    at_most = last if w.spec[END_AT_LAST_TASK] == 1 else last + 1
    shown = w.episode[e, SHOWN]
    while shown < at_most and w.tasks[e, shown, ARRIVAL] <= now:
        shown += 1
    w.episode[e, SHOWN] = shown


def slot_ahead(w: World, e: int, soonest: int) -> int:
    """Return the start of the first slot from one on in which a task may be there to be decided on.

    No later than the first one at which the episode is over by its last arrival.
    """
    slot = w.spec[SLOT]
    earliest = earliest_head(w, e, soonest)
    if w.spec[END_AT_LAST_TASK] == 1:  # the last task is never sent, wherever it waits
        earliest = min(earliest, w.tasks[e, w.episode[e, NUM_TASKS] - 1, ARRIVAL])
    coming = next_on_agenda(w, e)
    if coming != EMPTY:
        earliest = min(earliest, coming >> TIME_SHIFT)
    return int(max(soonest, (earliest + slot - 1) // slot * slot))


def next_slot(w: World, e: int) -> None:
    """The clock goes to the next slot in which a task waits, or the episode ends."""
    slot, end = w.spec[SLOT], w.spec[HORIZON]
    ends_at_last = w.spec[END_AT_LAST_TASK] == 1
    if ends_at_last:
        end = w.tasks[e, w.episode[e, NUM_TASKS] - 1, ARRIVAL]
    soonest = w.episode[e, CLOCK] + slot
    count_shown(w, e, w.episode[e, CLOCK])
    while True:
        clock = slot_ahead(w, e, soonest)
        over = clock >= end
        if over and not ends_at_last:
            clock = end
        if w.spec[EXTENDED] == 1:
            live_until(w, e, clock)
        else:
            w.episode[e, CLOCK] = clock
            finish_due(w, e)
        if over and ends_at_last:
            w.episode[e, DONE] = TERMINATED
            count_shown(w, e, clock - slot)  # those too that came to gateways that slept
        elif over:
            end_at_horizon(w, e)
        if over or earliest_head(w, e, clock) <= clock:
            return


def sleeps_now(w: World, e: int, g: int) -> bool:
    """Whether gateway g sleeps; note which of its sleeps are over."""
    now, at = w.episode[e, CLOCK], w.gateways[e, g, SLEEP]
    end = w.gateways[e, g, SLEEPS_END]
    while at < end and w.sleeps[e, at, TIME] + w.sleeps[e, at, DURATION] <= now:
        at += 1
    w.gateways[e, g, SLEEP] = at
    return bool(at < end and w.sleeps[e, at, TIME] <= now)


def show_waiting(w: World, e: int) -> None:
    """Note which task waits at each gateway now, and can be decided on: none if it sleeps, and none
    once the episode has ended."""
    going_on = w.episode[e, DONE] == GOING_ON
    for g in range(w.spec[NUM_GATEWAYS]):
        k = w.gateways[e, g, HEAD]
        sleeps = sleeps_now(w, e, g)
        waits = going_on and k != NOWHERE and not sleeps
        if waits:
            never_assigned = w.spec[END_AT_LAST_TASK] == 1 and k == w.episode[e, NUM_TASKS] - 1
            waits = w.tasks[e, k, ARRIVAL] <= w.episode[e, CLOCK] and not never_assigned
        w.gateways[e, g, WAITS] = k if waits else NOWHERE


def show_shown(w: World, e: int) -> None:
    """Event clock: the task that is shown waits at its gateway, and no other."""
    for g in range(w.spec[NUM_GATEWAYS]):
        w.gateways[e, g, WAITS] = NOWHERE
    if w.episode[e, DONE] == GOING_ON:
        k = w.episode[e, SHOWN]
        w.gateways[e, w.tasks[e, k, GATEWAY], WAITS] = k


def open_game(w: World, e: int) -> None:
    """Start the game on tasks that are loaded: the clock goes to the first decision.

    Where no slot starts between the first task and the horizon there is none, or none in which a
    gateway with a task is awake: over at once.
    """
    if w.spec[SLOT] == 0:
        show_shown(w, e)
        return
    w.episode[e, ARRIVING] = w.episode[e, NUM_TASKS]  # gateways have them all in their queues
    slot = w.spec[SLOT]
    clock = (w.tasks[e, 0, ARRIVAL] + slot - 1) // slot * slot
    over = w.spec[END_AT_LAST_TASK] == 0 and clock >= w.spec[HORIZON]
    if over:
        clock = w.spec[HORIZON]
    if w.spec[EXTENDED] == 1:
        live_until(w, e, clock)
    w.episode[e, CLOCK] = clock
    if over:
        end_at_horizon(w, e)
    elif earliest_head(w, e, clock) > clock:  # whose task it is sleeps
        next_slot(w, e)
    show_waiting(w, e)


def go_on(w: World, e: int) -> None:
    """All have decided: the clock goes to the next decision, and who has a task then waits."""
    if w.spec[SLOT] > 0:
        next_slot(w, e)
        show_waiting(w, e)
    else:
        if w.spec[EXTENDED] == 1:
            live_on(w, e)
        else:
            show_next(w, e)
        show_shown(w, e)


def play(w: World, e: int, choices: Ints, own_rewards: Floats) -> None:
    """One step of the multi-agent game in environment e, in place."""
    gateways = w.spec[NUM_GATEWAYS]
    extended = w.spec[EXTENDED] == 1
    for g in range(gateways):
        own_rewards[e, g] = 0.0
        if extended:
            w.owed[e, g] = 0.0
    count_idle(w, e, choices)
    if w.spec[SLOT] == 0:
        w.order[e, 0] = w.tasks[e, w.episode[e, SHOWN], GATEWAY]
        count = 1
    else:
        count = acting_order(w, e, choices)
    for at in range(count):
        g = w.order[e, at]
        send(w, e, g, w.gateways[e, g, WAITS], choices[e, g], own_rewards)
    go_on(w, e)
    if extended:
        for g in range(gateways):
            own_rewards[e, g] += w.owed[e, g]


def observe_own(w: World, e: int, g: int) -> None:
    """Write what gateway g sees, row e * G + g of `seen` and `masks`.

    Its waiting task or zeros, and the servers; it may act if a task waits, and do nothing if none
    does or holding is allowed.
    """
    last = nothing(w)
    row = e * w.spec[NUM_GATEWAYS] + g
    k = w.gateways[e, g, WAITS]
    if w.spec[EXTENDED] == 1:
        observe_gateway(w, e, g, k, w.seen, w.masks, row)
    else:
        for at in range(w.observations.shape[1]):
            w.seen[row, at] = w.observations[e, at]
        observe_task(w, e, k, w.seen, row)
        for action in range(last):
            w.masks[row, action] = 1
    if k == NOWHERE:
        for action in range(last):
            w.masks[row, action] = 0
    w.masks[row, last] = 1 if k == NOWHERE or w.spec[MAY_HOLD] == 1 else 0


def observe_gateways(w: World, e: int) -> None:
    """Write what each gateway sees (`observe_own`)."""
    for g in range(w.spec[NUM_GATEWAYS]):
        observe_own(w, e, g)
