"""`central`: sees the whole game as it is, and assigns the tasks of a slot together.

All that wait in a slot are assigned to places by one linear assignment problem (Kuhn, "The
Hungarian method for the assignment problem", Naval Research Logistics Quarterly 2 (1955); solved as
in Crouse, "On implementing 2D rectangular assignment algorithms", IEEE Trans. Aerospace and
Electronic Systems 52 (2016), by SciPy). What a place pays for a task is what the heuristics take it
to pay (`View.value`), seen without telemetry: its best service, at its best level.

* A server's free capacity is cut into places as large as the largest task of the slot, and one of
  what is left over. A task takes a place that is large enough, so no server is sent more than fits.
* Where servers have lines, a server has a place for each task that its line takes. Each before it
  that does not fit makes it wait as `View.wait_ms` takes one to wait.
* The cloud has a place for each task.
* A task may be left over, at the price of losing it, or of declining it; with `hold` it waits for
  the next slot instead, for nothing.

What it does not do: look past the slot, or at the price that capacity has for tasks to come; hold
two cold models against the memory of the same server; expect that tasks of the slot slow each other
down. So it is a reference for what coordination within a slot is worth, not a bound.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_marl.agents.base import CentralAgent, ChooseAll
from edge_marl.agents.heuristics.known import Known
from edge_marl.agents.heuristics.view import View, best_action
from edge_marl.agents.registry import register_reference
from edge_marl.errors import AgentError
from edge_marl.scenario import Scenario
from edge_marl.simulator.gateways import GatewaySimulator
from edge_marl.workload import Workload

__all__ = ["Central"]

Actions = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

MOST_PLACES = 8
"""Of a server, in a slot."""
FORBIDDEN = -1e9


@register_reference("central")
class Central(CentralAgent):
    """Assigns the tasks of a slot together, by all that there is to see.

    Raises (where it is to act on what one gateway sees):
        AgentError: it decides for all gateways of the game.
    """

    deterministic = True

    def reset(self, seed: int) -> None:
        """Nothing is kept between decisions."""

    def act(self, observation: npt.NDArray[np.float32], info: Mapping[str, Any]) -> Actions:
        """Refuse: a single observation is not what it decides on."""
        raise AgentError(
            "agent 'central' decides for all gateways of a game together: run it with "
            "--api parallel"
        )

    def take_seats(self, game: GatewaySimulator, workloads: Sequence[Workload]) -> ChooseAll:
        """Return what decides for the gateways of a game that is about to begin."""
        return _Table(game.scenario, workloads).choose_all


class _Table:
    """The game once more, seen as it is: without telemetry."""

    def __init__(self, scenario: Scenario, workloads: Sequence[Workload]) -> None:
        fresh = scenario.telemetry.model_copy(update={"period_s": 0.0})
        self._scenario = scenario.model_copy(update={"telemetry": fresh})
        self._known = Known(self._scenario)
        self._game = GatewaySimulator(self._scenario, len(workloads))
        for row, workload in enumerate(workloads):
            self._game.load(row, workload)
        self._rewards = np.zeros((len(workloads), self._game.num_gateways))
        self._servers = [self._links_of(workload) for workload in workloads]

    def choose_all(self) -> Actions:
        """Return what gateways choose in the next slot of every row, (E, G)."""
        game = self._game
        shape = self._rewards.shape
        choices = np.full(shape, game.nothing)
        rows, gateways = np.nonzero(game.waiting)
        if len(rows):
            at = rows * shape[1] + gateways
            choices[rows, gateways] = self._assign(
                rows, gateways, game.seen[at], game.masks[at][:, :-1]
            )
        game.play(choices, self._rewards)
        return choices

    def _links_of(self, workload: Workload) -> npt.NDArray[np.int64]:
        """Return the server of each link of each gateway, (G, L)."""
        near = workload.topology.neighbours
        if near is None:
            return np.tile(np.arange(self._scenario.num_neighbours), (self._game.num_gateways, 1))
        return np.asarray(near, dtype=np.int64)

    def _assign(
        self,
        rows: Actions,
        gateways: Actions,
        seen: npt.NDArray[np.float32],
        legal: npt.NDArray[np.int8],
    ) -> Actions:
        """Return what is chosen for B tasks that wait, of any rows, (B,)."""
        view = View(self._known, seen, {"action_mask": legal})
        largest = np.zeros(len(self._servers), dtype=np.int64)
        np.maximum.at(largest, rows, view.steps.max(axis=(1, 2)))
        count = np.bincount(rows, minlength=len(largest))
        places = int(min(MOST_PLACES, count.max()))
        worth = np.empty((len(rows), places, view.legal.shape[1]))
        action = np.empty(worth.shape, dtype=np.int64)
        for place in range(places):
            self._offer(seen, legal, largest[rows], place, worth[:, place], action[:, place])
        harm, left_over = self._left_over(view)
        chosen = left_over.copy()
        for row in np.flatnonzero(count):
            of_row = np.flatnonzero(rows == row)
            picked = self._solve(worth[of_row], self._servers[row][gateways[of_row]], harm[of_row])
            for k, (place, link) in zip(of_row, picked, strict=True):
                if place >= 0:
                    chosen[k] = action[k, place, link]
        return chosen

    def _offer(
        self,
        seen: npt.NDArray[np.float32],
        legal: npt.NDArray[np.int8],
        largest: Actions,
        place: int,
        worth: Floats,
        action: Actions,
    ) -> None:
        """Write what a server's n-th place pays for each task, (B, N), and by which action."""
        view = View(self._known, seen, {"action_mask": legal})
        before = (place * largest)[:, None, None]
        free = view.free[..., None]
        if self._known.max_waiting:
            missing = np.maximum(0, np.minimum(before, before + view.steps - free))
            longer = missing / np.maximum(view.capacity, 1)[..., None] * view.duration_ms
            delayed = np.where(view.cloud, 0.0, longer)
            view.__dict__["until_end_ms"] = view.until_end_ms + delayed
            in_line = view.waiting[..., None] + place < self._known.max_waiting
            allowed = view.fits & (view.cloud | in_line)
        else:
            size = np.minimum(largest[:, None, None], free - before)
            allowed = view.fits & (view.cloud | (view.steps <= size))
        value = np.where(allowed, view.value, FORBIDDEN)
        services = value.shape[2]
        best = value.argmax(axis=2)
        worth[:] = np.take_along_axis(value, best[..., None], axis=2)[..., 0]
        action[:] = np.arange(value.shape[1]) * services + best

    def _left_over(self, view: View) -> tuple[Floats, Actions]:
        """Return what it pays to leave each task over, and how that is done."""
        scenario = self._scenario
        if scenario.clock.hold:
            return np.zeros(view.rows), np.full(view.rows, self._game.nothing)
        harm = np.full(view.rows, -float(scenario.overload.penalty))
        action = best_action(view.least_bad, view.value)
        if scenario.decline:
            saved = -scenario.decline.price * view.weight[:, 0, 0]
            harm = np.where(view.may_decline, saved, harm)
            action = view.or_decline(action, np.ones(view.rows, dtype=np.bool_))
        return harm, action

    def _solve(self, worth: Floats, servers: Actions, harm: Floats) -> list[tuple[int, int]]:
        """Return the place and link of each of K tasks of a row; (-1, -1) where it is left over.

        Args:
            worth: (K, P, L) of each place on the server of each link.
            servers: (K, L) which server that is.
            harm: (K,) what it pays to leave a task over.
        """
        count, places, links = worth.shape
        known, column = np.unique(servers, return_inverse=True)
        column = column.reshape(servers.shape)
        wide = len(known) * places
        cloud = len(known) - 1 if self._known.cloud.any() else -1
        table = np.full((count, wide + count * (2 if cloud >= 0 else 1)), FORBIDDEN)
        link_of = np.zeros((count, len(known)), dtype=np.int64)
        for k in range(count):
            link_of[k, column[k]] = np.arange(links)
            for place in range(places):
                table[k, column[k] * places + place] = worth[k, place]
            table[k, wide + k] = harm[k]
            if cloud >= 0:  # it is never full
                table[k, wide + count + k] = worth[k, 0, links - 1]
        from scipy.optimize import linear_sum_assignment  # here: it takes a while to load

        tasks, taken = linear_sum_assignment(table, maximize=True)
        found = [(-1, -1)] * count
        for k, at in zip(tasks.tolist(), taken.tolist(), strict=True):
            if table[k, at] <= FORBIDDEN / 2 or wide <= at < wide + count:
                continue
            if at >= wide + count:
                found[k] = 0, links - 1
            else:
                found[k] = at % places, int(link_of[k, at // places])
        return found
