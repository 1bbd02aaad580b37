"""What each step costs, and what its reward consists of: read off the simulator's arrays.

The kernel knows nothing of it. Before a step it is noted which tasks are to be decided on; after it
their fates are looked at, and those of all tasks that were sent before and are not settled yet. So
an environment that nobody asks for costs steps as if there were none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numba
import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from edge_marl.errors import ScenarioError, did_you_mean
from edge_marl.jit import jit, part
from edge_marl.kernel import world as k
from edge_marl.simulator import Simulator
from edge_marl.simulator.world_type import world_at

__all__ = ["COSTS", "REWARD_PARTS", "Accounts", "Cost", "open_accounts", "reward_space"]

Cost = Literal["crash", "lost", "late", "energy", "price"]

COSTS = {
    "crash": "servers that a task crashed, which did not fit there",
    "lost": "tasks lost: their dispatch crashed a server, was illegal or met one that takes none, "
    "or they were lost later, in a crash, in an outage or by themselves",
    "late": "requests whose result came back after their deadline",
    "energy": "energy of the tasks that were sent to a server and started, J",
    "price": "utility paid for denoising steps (cloud, energy) and for declining",
}
"""What a step may cost, by name: counts, and where they are none, the unit. None is below 0."""

REWARD_PARTS = {
    "utility": "granted for what was sent",
    "price": "minus what its denoising steps cost, or what it costs to decline",
    "crash": "minus the cost of the crash that it caused",
    "lost": "minus the penalty where it was dropped or denied",
    "refund": "minus what had been granted for tasks that are lost by now",
}
"""The parts of a reward, by name, in the order in which their sum is the reward, bit for bit."""

CRASH, LOST, LATE, ENERGY, PRICE = range(5)
"""Columns of costs."""
OF_UTILITY, OF_PRICE, OF_CRASH, OF_LOST, OF_REFUND = range(5)
"""Columns of parts."""

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


def reward_space(in_parts: bool) -> spaces.Box:
    """Return the space of a reward: of a number, or of parts, which but the first are at most 0."""
    if not in_parts:
        return spaces.Box(-np.inf, np.inf, (), np.float64)
    highest = np.zeros(len(REWARD_PARTS))
    highest[OF_UTILITY] = np.inf
    return spaces.Box(-np.inf, highest, dtype=np.float64)


class Book(NamedTuple):
    """What compiled code reads and writes of E rows with G seats: gateways, or one orchestrator."""

    steps: npt.NDArray[np.bool_]
    """(E,) rows that take the step; the others are passed over."""
    decides: Ints
    """(E, G) the task that each decides on, or NOWHERE."""
    unsettled: Ints
    """(E, N) in the first `open`: tasks that were sent, whose fate is open."""
    open: Ints
    """(E,)."""
    costs: Floats
    """(E, G, 5), as `COSTS`."""
    parts: Floats
    """(E, G, 5), as `REWARD_PARTS`."""


class Accounts:
    """The costs of every row's last step, and the parts of its reward.

    Args:
        simulator: whose rows.
        cost: which of the costs is told as *the* cost; None tells none.
    """

    def __init__(self, simulator: Simulator, cost: Cost | None) -> None:
        self._simulator, self._cost = simulator, cost
        rows, game = simulator.num_envs, simulator.in_game
        seats = simulator.scenario.gateways.count if game else 1
        self.costs: Floats = np.zeros((rows, seats, len(COSTS)))
        """(E, G, 5), or (E, 1, 5) of one orchestrator: what the last step cost each."""
        self.parts: Floats = np.zeros((rows, seats, len(REWARD_PARTS)))
        """Likewise: what the reward of its own dispatches consists of."""
        self._book = Book(
            steps=np.zeros(rows, dtype=np.bool_),
            decides=np.full((rows, seats), k.NOWHERE),
            unsettled=np.zeros((rows, 0), dtype=np.int64),
            open=np.zeros(rows, dtype=np.int64),
            costs=self.costs,
            parts=self.parts,
        )

    def begin(self, rows: Sequence[int]) -> None:
        """Note which tasks are not settled in rows where an episode has begun, or goes on."""
        w = self._simulator.world
        self._make_room(w.tasks.shape[1])
        for row in rows:
            tasks = w.tasks[row, : w.episode[row, k.NUM_TASKS]]
            back = tasks[:, k.END]
            if self._simulator.scenario.extended:
                back = back + w.details[row, : len(tasks), k.RETURN]
            sent = np.equal(tasks[:, k.STATUS], k.ADMITTED)
            unsettled = np.flatnonzero(sent & (back > w.episode[row, k.CLOCK]))
            self._book.open[row] = len(unsettled)
            self._book.unsettled[row, : len(unsettled)] = unsettled

    def _make_room(self, tasks: int) -> None:
        """Have room for all tasks of an episode, as the simulator has."""
        before = self._book.unsettled
        if before.shape[1] < tasks:
            unsettled = np.zeros((len(before), tasks), dtype=np.int64)
            unsettled[:, : before.shape[1]] = before
            self._book = self._book._replace(unsettled=unsettled)

    def forget(self) -> None:
        """No step was taken: it cost nothing."""
        self.costs[:] = 0.0
        self.parts[:] = 0.0

    def before(self) -> None:
        """Note what the coming step decides on."""
        w, book = self._simulator.world, self._book
        np.equal(w.episode[:, k.DONE], k.GOING_ON, out=book.steps)
        if self._simulator.in_game:
            np.copyto(book.decides, w.gateways[:, :, k.WAITS])
        else:
            book.decides[:, 0] = np.where(book.steps, w.episode[:, k.SHOWN], k.NOWHERE)

    def after(self) -> None:
        """Note what the step has cost."""
        self.forget()
        if numba.config.DISABLE_JIT:  # plain Python has no addresses
            settle(self._simulator.world, self._book, self._simulator.in_game)
        else:
            settle_at(self._simulator.address, self._book, self._simulator.in_game)

    def told(self) -> dict[str, Any]:
        """Return what is told of the last step, (E, G) arrays or (E, 1): `costs`, `cost`."""
        if self._cost is None:
            return {}
        costs = {name: self.costs[..., column].copy() for column, name in enumerate(COSTS)}
        return {"cost": costs[self._cost].copy(), "costs": costs}

    def told_of_seats(self) -> list[dict[str, Any]]:
        """Return what is told of the last step of the only row, seat by seat, as numbers."""
        if self._cost is None:
            return [{} for _ in self.costs[0]]
        named = [dict(zip(COSTS, costs, strict=True)) for costs in self.costs[0].tolist()]
        return [{"cost": costs[self._cost], "costs": costs} for costs in named]


def open_accounts(simulator: Simulator, cost: Cost | None, in_parts: bool) -> Accounts | None:
    """Return accounts of what is asked for: None where nothing is.

    Args:
        simulator: whose rows; their next episodes are begun from Python then.
        cost: which of the costs is constrained; None tells no costs.
        in_parts: whether rewards are wanted in parts.

    Raises:
        ScenarioError: there is no such cost.
    """
    if cost is not None and cost not in COSTS:
        raise ScenarioError(
            f"cost = {cost!r}: {did_you_mean(str(cost), COSTS)}must be None or one of "
            f"{', '.join(COSTS)}"
        )
    if cost is None and not in_parts:
        return None
    return Accounts(simulator, cost)


@part
def is_late(w: k.World, e: int, task: int, back: int) -> bool:
    """Whether a task that is back now ends its request, past the deadline."""
    deadline = w.details[e, task, k.DEADLINE]
    arrival = w.tasks[e, task - w.details[e, task, k.STAGE], k.ARRIVAL]
    return bool(w.details[e, task, k.AFTER] == 0 and 0 < deadline < back - arrival)


@part
def note_fates(w: k.World, book: Book, e: int, in_game: bool) -> None:
    """Write which tasks were lost by now, and which came back late; keep those that are open."""
    kept = 0
    for at in range(book.open[e]):
        task = book.unsettled[e, at]
        seat = w.tasks[e, task, k.GATEWAY] if in_game else 0
        back = w.tasks[e, task, k.END]
        if len(w.details) > 0:
            back += w.details[e, task, k.RETURN]
        if w.tasks[e, task, k.STATUS] != k.ADMITTED:
            book.costs[e, seat, LOST] += 1.0
        elif back > w.episode[e, k.CLOCK]:
            book.unsettled[e, kept] = task
            kept += 1
        elif len(w.details) > 0 and is_late(w, e, task, back):
            book.costs[e, seat, LATE] += 1.0
    book.open[e] = kept


@part
def note_sent(w: k.World, e: int, task: int, costs: Floats, parts: Floats) -> None:
    """Write what a task that was sent to a server cost and was granted, as `decision.grant` has it.

    Not from what it paid: that may have been taken back in the same step.
    """
    place = w.tasks[e, task, k.PLACE]
    steps = w.terms[e, task, k.STEPS] if len(w.terms) > 0 else w.tasks[e, task, k.DEMAND]
    price = steps * w.prices[w.episode[e, k.TOPOLOGY], place]
    costs[PRICE] = price
    costs[ENERGY] = float(w.energy[e, place]) * float(steps) / 1000
    parts[OF_PRICE] = 0.0 - price  # not -0.0
    parts[OF_UTILITY] = w.values[e, task] if w.details[e, task, k.AFTER] == 0 else 0.0


@part
def note_decision(w: k.World, book: Book, e: int, seat: int) -> None:
    """Write what a seat's own decision has cost it and paid."""
    task = book.decides[e, seat]
    if task == k.NOWHERE or w.tasks[e, task, k.STATUS] == k.WAITING:  # it holds it
        return
    status, paid = w.tasks[e, task, k.STATUS], w.rewards[e, task]
    costs, parts = book.costs[e, seat], book.parts[e, seat]
    if status == k.REFUSED:
        costs[CRASH] = 1.0
        costs[LOST] = 1.0
        parts[OF_CRASH] = paid
    elif status in (k.DROPPED, k.DENIED):
        costs[LOST] = 1.0
        parts[OF_LOST] = paid
    elif status == k.DECLINED:
        costs[PRICE] = -paid
        parts[OF_PRICE] = paid
    else:
        book.unsettled[e, book.open[e]] = task
        book.open[e] += 1
        if len(w.details) == 0:
            parts[OF_UTILITY] = paid
        else:
            note_sent(w, e, task, costs, parts)


@part
def settle(w: k.World, book: Book, in_game: bool) -> None:
    """Write what a step has cost each seat, and the parts of its reward; all are 0 before."""
    for e in range(len(book.steps)):
        if book.steps[e]:
            for seat in range(book.decides.shape[1]):
                note_decision(w, book, e, seat)
                if len(w.owed) > 0:
                    of_whom = seat if in_game else w.owed.shape[1] - 1
                    book.parts[e, seat, OF_REFUND] = w.owed[e, of_whom]
            note_fates(w, book, e, in_game)


@jit
def settle_at(address: int, book: Book, in_game: bool) -> None:
    """`settle` on the arrays of an address table."""
    settle(world_at(address), book, in_game)
