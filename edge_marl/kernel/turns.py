"""The game of gateways in turn: within a slot they decide one after the other.

The order is that in which choices of a slot are applied, (arrival, gateway), and each choice is
applied before the next gateway looks. So the slot's choices together, played at once (`game.play`),
give the same episode, task for task.

What a gateway sees in its turn is what it would see in the slot, with the choices before it told:

* Where it sees a server as it is (its own one, and all where there is no telemetry), it sees what
  they did there.
* Where telemetry shows the server, that stays as old as it was, and each choice that was sent there
  in this slot is told on top: the capacity that it took, the models that came and went for it, and
  its place and turn in the line. What others sent in the slots before is not told.
* A server that a choice met otherwise than telemetry shows it, because it crashed or was down, or
  was up again, is shown as it is then.

    turns   (E, 2)          int64    AT, COUNT: whose turn it is, an index of `order`; how many act
    chosen  (E, G)          int64    what has been chosen in this slot; nothing until then
    ended   (E,)            int64    1 where the last turn ended a slot
    told    (E, G)          int64    what was chosen in the slot that has ended
    kept    (X, S, 1 + 6)   float64  what telemetry shows of servers that were told of; (0, 0, 7)
                                     in the base model, which has none

The other arrays are those of `world.World`.
"""

from __future__ import annotations

from edge_marl.kernel.decision import place_of
from edge_marl.kernel.game import acting_order, go_on, nothing, observe_own, send
from edge_marl.kernel.servers import free_share, report, warm_models
from edge_marl.kernel.terms import declines
from edge_marl.kernel.world import (
    CLOCK,
    DENIED,
    DONE,
    DOWN,
    DROPPED,
    FREE,
    GATEWAY,
    GOING_ON,
    HALF,
    MAX_WAITING,
    MAY_HOLD,
    NUM_GATEWAYS,
    NUM_RUNNING,
    NUM_SERVICES,
    PERIOD,
    PLACE,
    REFUSED,
    SEEN_LAST_TURN,
    SEEN_RUNNING,
    SEEN_WAITING,
    SHOWN,
    SLOT,
    STATUS,
    TERMS,
    TURN,
    WAITS,
    WARM,
    WARM_TOO,
    Floats,
    Ints,
    World,
)

AT, COUNT = range(2)
NUM_TURN_COLUMNS = 2

# Columns of `kept`: 1 if the server was told of in this slot; columns of `telemetry` and `lines`
# that telling changes, as they were.
IS_KEPT, KEPT_FREE, KEPT_WARM, KEPT_WARM_TOO, KEPT_RUNNING, KEPT_WAITING, KEPT_LAST_TURN = range(7)
NUM_KEPT_COLUMNS = 7


def begin_turns(w: World, e: int, turns: Ints, chosen: Ints) -> None:
    """Begin a slot: note who decides in it, and write what the first of them sees."""
    turns[e, AT] = 0
    turns[e, COUNT] = 0
    if w.episode[e, DONE] == GOING_ON:
        if w.spec[SLOT] == 0:
            w.order[e, 0] = w.tasks[e, w.episode[e, SHOWN], GATEWAY]
            turns[e, COUNT] = 1
        else:
            for g in range(w.spec[NUM_GATEWAYS]):
                chosen[e, g] = 0  # who holds is not known yet: all that wait have a turn
            turns[e, COUNT] = acting_order(w, e, chosen)
        observe_own(w, e, w.order[e, 0])
    for g in range(w.spec[NUM_GATEWAYS]):
        chosen[e, g] = nothing(w)


def keep(w: World, e: int, server: int, kept: Floats) -> None:
    """Keep what telemetry shows of a server, unless that was done in this slot."""
    if kept[e, server, IS_KEPT] == 1.0:
        return
    kept[e, server, IS_KEPT] = 1.0
    kept[e, server, KEPT_FREE] = w.telemetry[e, server, FREE]
    kept[e, server, KEPT_WARM] = w.telemetry[e, server, WARM]
    kept[e, server, KEPT_WARM_TOO] = w.telemetry[e, server, WARM_TOO]
    if w.spec[TERMS] == 1:
        kept[e, server, KEPT_RUNNING] = w.lines[e, server, SEEN_RUNNING]
        kept[e, server, KEPT_WAITING] = w.lines[e, server, SEEN_WAITING]
        kept[e, server, KEPT_LAST_TURN] = w.lines[e, server, SEEN_LAST_TURN]


def put_back(w: World, e: int, kept: Floats) -> None:
    """Have telemetry show what it showed at the slot's start."""
    for server in range(kept.shape[1]):
        if kept[e, server, IS_KEPT] == 1.0:
            kept[e, server, IS_KEPT] = 0.0
            w.telemetry[e, server, FREE] = kept[e, server, KEPT_FREE]
            w.telemetry[e, server, WARM] = kept[e, server, KEPT_WARM]
            w.telemetry[e, server, WARM_TOO] = kept[e, server, KEPT_WARM_TOO]
            if w.spec[TERMS] == 1:
                w.lines[e, server, SEEN_RUNNING] = int(kept[e, server, KEPT_RUNNING])
                w.lines[e, server, SEEN_WAITING] = int(kept[e, server, KEPT_WAITING])
                w.lines[e, server, SEEN_LAST_TURN] = int(kept[e, server, KEPT_LAST_TURN])


def tell_models(w: World, e: int, server: int, before: int, service: int) -> None:
    """Telemetry shows the models that have come and gone since `before`, and one that is in use."""
    now = warm_models(w, e, server)
    seen = int(w.telemetry[e, server, WARM]) | int(w.telemetry[e, server, WARM_TOO]) << HALF
    seen = (seen & ~(before & ~now)) | (now & ~before) | (now & (1 << service))
    w.telemetry[e, server, WARM] = seen & ((1 << HALF) - 1)
    w.telemetry[e, server, WARM_TOO] = seen >> HALF


def tell_line(w: World, e: int, k: int, server: int) -> None:
    """Telemetry shows task k as well, which runs at a server or waits there for its turn."""
    turn = w.terms[e, k, TURN]
    if turn <= w.episode[e, CLOCK]:
        w.lines[e, server, SEEN_RUNNING] += 1
    else:
        w.lines[e, server, SEEN_WAITING] = min(
            w.lines[e, server, SEEN_WAITING] + 1, w.spec[MAX_WAITING]
        )
        w.lines[e, server, SEEN_LAST_TURN] = turn


def tell(w: World, e: int, k: int, server: int, free: float, warm: int, beside: int) -> None:
    """Telemetry shows what became of task k on a server, on top of what it showed.

    Args:
        free: the server's share of free capacity before it came.
        warm: its models then, as bits.
        beside: tasks that ran and waited there then.
    """
    status = w.tasks[e, k, STATUS]
    known = w.telemetry[e, server, FREE]
    unlike = (status == REFUSED) | (status == DENIED) | (known == DOWN)
    if unlike:
        report(w, e, server)
        return
    left = known + free_share(w, e, server) - free
    w.telemetry[e, server, FREE] = max(left, 0.0)
    tell_models(w, e, server, warm, w.tasks[e, k, PLACE] % w.spec[NUM_SERVICES])
    if w.spec[TERMS] == 1 and w.servers[e, server, NUM_RUNNING] > beside:
        tell_line(w, e, k, server)


def send_and_tell(w: World, e: int, g: int, choice: int, kept: Floats, own_rewards: Floats) -> None:
    """Gateway g decides on its task, and those after it in the slot are told."""
    k = w.gateways[e, g, WAITS]
    unseen = w.spec[PERIOD] == 0 or choice == nothing(w) or declines(w, choice)
    if unseen:
        send(w, e, g, k, choice, own_rewards)
        return
    server = place_of(w, e, k, choice) // w.spec[NUM_SERVICES]
    free = free_share(w, e, server)
    warm = warm_models(w, e, server)
    beside = w.servers[e, server, NUM_RUNNING]
    send(w, e, g, k, choice, own_rewards)
    if w.tasks[e, k, STATUS] != DROPPED:
        keep(w, e, server, kept)
        tell(w, e, k, server, free, warm, beside)


def take_turn(
    w: World,
    e: int,
    choice: int,
    turns: Ints,
    chosen: Ints,
    told: Ints,
    kept: Floats,
    own_rewards: Floats,
) -> bool:
    """The gateway whose turn it is in environment e chooses; return whether that ended the slot."""
    g = w.order[e, turns[e, AT]]
    chosen[e, g] = choice
    if choice != nothing(w) or w.spec[MAY_HOLD] == 0:
        send_and_tell(w, e, g, choice, kept, own_rewards)
    turns[e, AT] += 1
    if turns[e, AT] < turns[e, COUNT]:
        observe_own(w, e, w.order[e, turns[e, AT]])
        return False
    for gateway in range(w.spec[NUM_GATEWAYS]):
        told[e, gateway] = chosen[e, gateway]
    put_back(w, e, kept)
    go_on(w, e)
    begin_turns(w, e, turns, chosen)
    return True


def take_turns(
    w: World,
    choices: Ints,
    turns: Ints,
    chosen: Ints,
    ended: Ints,
    told: Ints,
    kept: Floats,
    own_rewards: Floats,
) -> None:
    """In every environment that is going on, whose turn it is chooses.

    Args:
        choices: (E,).
    """
    for e in range(len(choices)):
        ended[e] = 0
        if w.episode[e, DONE] == GOING_ON and take_turn(
            w, e, choices[e], turns, chosen, told, kept, own_rewards
        ):
            ended[e] = 1
