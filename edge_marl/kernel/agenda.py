"""What comes next: the server whose task ends first, and the agenda.

Which server's task ends first says a tree of minima. A node has eight children, which lie in one
cache line: with hundreds of environments a step's cost is that of lines. The children of node i are
8 (i - 6) and the seven after it; the root is 7.

The agenda is a binary heap of packed keys, the smallest first.
"""

from __future__ import annotations

from edge_marl.kernel.world import AGENDA, FIRST_LEAF, World

ROOT = 7
CHILDREN = 8

# Of a key: its time, then whether it is a decision, then the task's row.
ROW_BITS = 20
KIND_BIT = 1 << ROW_BITS
TIME_SHIFT = ROW_BITS + 1
EMPTY = 2**63 - 1  # after every key


def first_leaf(num_servers: int) -> int:
    """Return the node of server 0: the level above has a node for every eight servers at least."""
    node, leaves = ROOT, 1
    while leaves < num_servers:
        node = CHILDREN * (node - 6)
        leaves *= CHILDREN
    return node


def note_soonest(w: World, e: int, server: int, end: int) -> None:
    """Note when the next task of a server ends (NEVER: none runs), up to the root."""
    node = w.spec[FIRST_LEAF] + server
    w.soonest[e, node] = end
    while node > ROOT:
        first = node // CHILDREN * CHILDREN
        soonest = w.soonest[e, first]
        for child in range(1, CHILDREN):
            soonest = min(soonest, w.soonest[e, first + child])
        node = node // CHILDREN + 6
        w.soonest[e, node] = soonest


def find_soonest(w: World, e: int) -> int:
    """Return the server whose task ends first (of equals, the lowest number)."""
    node = ROOT
    soonest = w.soonest[e, ROOT]
    while node < w.spec[FIRST_LEAF]:
        first = CHILDREN * (node - 6)
        found = 0
        for child in range(CHILDREN - 1, -1, -1):
            found = child if w.soonest[e, first + child] == soonest else found
        node = first + found
    return int(node - w.spec[FIRST_LEAF])


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
