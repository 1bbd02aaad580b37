"""A step of one environment, and of many rows: decisions, what is handed out, next episodes."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy.typing as npt

from edge_marl.kernel.ahead import fetch_ahead, fetch_base, fetch_gateway, fetch_neighbours
from edge_marl.kernel.clock import live_on, show_next
from edge_marl.kernel.decision import dispatch
from edge_marl.kernel.game import observe_gateways, play
from edge_marl.kernel.observe import observe
from edge_marl.kernel.world import (
    DONE,
    EXTENDED,
    GOING_ON,
    LAST_VIEWER,
    NUM_GATEWAYS,
    NUM_SERVICES,
    SHOWN,
    VIEWER,
    Floats,
    Ints,
    Masks,
    Observations,
    World,
)

# When a row whose episode is over starts its next one: not by itself, in the step that ended it, or
# in the step after that (which passes over its action).
NOT_BY_ITSELF, SAME_STEP, NEXT_STEP = range(3)

# In `step_rows`: the row that memory is asked for ahead of its turn, in the base model; of the
# extended model the rows that decide together, and how many looks ahead memory is asked for: of
# more of them, it would be out of the first cache again before it is used.
LOOK_AHEAD = 4
GROUP = 16
NEAR = 3


class Outputs(NamedTuple):
    """What a step of E rows of environments, or of gateways, hands out besides rewards.

    H = E, or E * G in the game of gateways, rows are seen, of D features and A actions.
    """

    seen: Observations
    """(H, D) what is seen after the step; (0, D) if nobody wants it, as `masks`."""
    masks: Masks
    """(H, A) what may be chosen then."""
    last_seen: Observations
    """(H, D) what was seen at the end of episodes that ended in this step, where the next one has
    begun; (0, D) where rows do not start by themselves, as `last_masks`."""
    last_masks: Masks
    """(H, A) what could be chosen then."""
    ended: npt.NDArray[Any]
    """(E,) int8: DONE after the step, before a next episode begins in it."""
    left: npt.NDArray[Any]
    """(E,) bool: where the next episode should have begun, and the caller has to see to it."""
    when: int
    """NOT_BY_ITSELF, SAME_STEP or NEXT_STEP."""
    source: int
    """Address of what next episodes are made of (`simulator.restarts`)."""
    table: int
    """Address of the arrays' table."""
    thread: int
    """Which of the crew's threads this is."""


def not_begun(out: Outputs, e: int) -> bool:
    """Begin the next episode of a row, unless that is left to the caller: return whether it is.

    It is here: plain Python does not draw; `compiled.py` has its own.
    """
    return True


def decide(w: World, e: int, action: int) -> float:
    """One decision of environment e, in place, but for what is seen; return the reward."""
    total = w.spec[NUM_GATEWAYS]
    extended = w.spec[EXTENDED] == 1
    if extended:
        w.owed[e, total] = 0.0
    k = w.episode[e, SHOWN]
    reward = dispatch(w, e, k, action)
    w.rewards[e, k] = reward
    if extended:
        live_on(w, e)
        reward += w.owed[e, total]
    else:
        show_next(w, e)
    return reward


def step(w: World, e: int, action: int) -> float:
    """One decision of environment e, in place; return the reward."""
    reward = decide(w, e, action)
    observe(w, e)
    return reward


def copy_rows(target: Any, source: Any, first: int, stop: int) -> None:
    """Copy rows first..stop-1, as far as the target has rows."""
    for row in range(first, min(stop, len(target))):
        for at in range(source.shape[1]):
            target[row, at] = source[row, at]


def end_step(
    w: World, e: int, was_over: bool, seen: Observations, masks: Masks, each: int, out: Outputs
) -> None:
    """After a row's decisions: begin its next episode if it is time to, and hand out what is seen.

    Args:
        w: the world.
        e: the row.
        was_over: whether its episode was over before the step.
        seen: what is seen, rows e * each and so on.
        masks: likewise.
        each: rows of `seen` per environment.
        out: what to write to.
    """
    first, stop = e * each, e * each + each
    out.left[e] = False
    if was_over and out.when == NEXT_STEP:
        out.left[e] = not_begun(out, e)
    out.ended[e] = w.episode[e, DONE]
    if out.ended[e] != GOING_ON and out.when == SAME_STEP:
        copy_rows(out.last_seen, seen, first, stop)
        copy_rows(out.last_masks, masks, first, stop)
        w.episode[e, LAST_VIEWER] = w.episode[e, VIEWER]
        out.left[e] = not_begun(out, e)
    copy_rows(out.seen, seen, first, stop)
    copy_rows(out.masks, masks, first, stop)


def step_group(
    w: World, first: int, stop: int, actions: Ints, step_rewards: Floats, out: Outputs
) -> None:
    """One decision of a few environments."""
    extended = w.spec[EXTENDED] == 1
    for e in range(first, stop):
        out.left[e] = w.episode[e, DONE] != GOING_ON  # until `end_step`: was over before
        step_rewards[e] = 0.0
        if not out.left[e]:
            step_rewards[e] = decide(w, e, actions[e])
        if extended:
            fetch_gateway(w, e)
    near = NEAR if extended else 0
    for ahead in range(first, stop + near):
        if extended and ahead < stop:
            fetch_neighbours(w, ahead)
        e = ahead - near
        if e < first:
            continue
        was_over = out.left[e]
        if extended or not was_over:  # the extended model's may be written to another place now
            observe(w, e)
        end_step(w, e, was_over, w.observations, w.feasible, 1, out)


def step_rows(
    w: World, first: int, stop: int, actions: Ints, step_rewards: Floats, out: Outputs
) -> None:
    """One decision of environments first..stop-1; one that has ended gets 0."""
    extended = w.spec[EXTENDED] == 1
    rows = GROUP if extended else 1
    for begin in range(first, stop, rows):
        end = min(begin + rows, stop)
        if extended:
            fetch_ahead(w, begin, end, actions)
        else:
            ahead = min(begin + LOOK_AHEAD, stop - 1)
            fetch_base(w, ahead, actions[ahead] // w.spec[NUM_SERVICES])
        step_group(w, begin, end, actions, step_rewards, out)


def play_rows(
    w: World, first: int, stop: int, choices: Ints, own_rewards: Floats, out: Outputs
) -> None:
    """One step of the game in environments first..stop-1; in one that has ended rewards are 0."""
    gateways = w.spec[NUM_GATEWAYS]
    for e in range(first, stop):
        was_over = w.episode[e, DONE] != GOING_ON
        if was_over:
            for g in range(gateways):
                own_rewards[e, g] = 0.0
        else:
            play(w, e, choices, own_rewards)
            observe_gateways(w, e)
        end_step(w, e, was_over, w.seen, w.masks, gateways, out)
