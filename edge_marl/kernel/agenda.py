"""The agenda: a binary heap of packed keys, the smallest first."""

from __future__ import annotations

from edge_marl.kernel.world import AGENDA, World

# Of a key: its time, then whether it is a decision, then the task's row.
ROW_BITS = 20
KIND_BIT = 1 << ROW_BITS
TIME_SHIFT = ROW_BITS + 1
EMPTY = 2**63 - 1  # after every key


def note_ahead(w: World, e: int, key: int) -> None:
    """Put a key on the agenda."""
    at = w.episode[e, AGENDA]
    w.episode[e, AGENDA] = at + 1
    while at > 0 and w.agenda[e, (at - 1) >> 1] > key:
        w.agenda[e, at] = w.agenda[e, (at - 1) >> 1]
        at = (at - 1) >> 1
    w.agenda[e, at] = key


def next_on_agenda(w: World, e: int) -> int:
    """Return the first key of the agenda; EMPTY if there is none."""
    return int(w.agenda[e, 0]) if w.episode[e, AGENDA] > 0 else EMPTY


def strike_first(w: World, e: int) -> None:
    """Take the first key off the agenda."""
    count = w.episode[e, AGENDA] - 1
    w.episode[e, AGENDA] = count
    key = w.agenda[e, count]
    at = 0
    child = 1
    while child < count:
        if child + 1 < count and w.agenda[e, child + 1] < w.agenda[e, child]:
            child += 1
        if w.agenda[e, child] >= key:
            break
        w.agenda[e, at] = w.agenda[e, child]
        at = child
        child = 2 * at + 1
    w.agenda[e, at] = key
