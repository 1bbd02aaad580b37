"""What heuristics decide on: a batch of observations as arrays of servers and services.

One form for both models. In the base model qualities are not observed and come from the scenario's
topology; in the extended model all comes from the observation (`docs/model/extended.md`), and
everything that is stale there is stale here.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_marl.agents.base import legal_actions
from edge_marl.agents.heuristics import places
from edge_marl.agents.heuristics.known import Known
from edge_marl.kernel.world import Floats, Ints
from edge_marl.simulator.utility import task_utilities

__all__ = ["View", "any_place", "best_action", "first_that_has_any", "pick"]

Observations = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]


class View:
    """A batch of observations: B rows, N servers, V services, each at every level.

    Args:
        known: what is known besides.
        observation: (B, D).
        info: what came with it; see `Agent.act`.
    """

    def __init__(self, known: Known, observation: Observations, info: Mapping[str, Any]) -> None:
        self._known = known
        self._observation = np.require(observation, np.float32, ["C", "W"])
        self._layout = known.layout
        self.rows = len(observation)
        servers = known.layout.num_servers
        self._grid = (self.rows, servers, known.layout.num_choices)
        self.mask = np.ascontiguousarray(legal_actions(info, self.rows, known.scenario))
        """(B, A) what may be done."""
        self.legal = self.mask[:, : servers * self._grid[2]].reshape(self._grid)
        """(B, N, V) what the mask allows."""
        self._seen = known.layout.decode(self._observation)
        self._index = info.get("agent_index")

    @property
    def gateway(self) -> Ints:
        """(B,) which gateway decides; 0 where nobody says."""
        none = np.zeros(self.rows, dtype=np.int64)
        return none if self._index is None else np.asarray(self._index)

    @property
    def cloud(self) -> Bools:
        """(N, 1) which server is the cloud, to combine with (B, N, V)."""
        return self._known.cloud[:, None]

    @property
    def edge(self) -> Bools:
        """(N, 1) which servers are not the cloud."""
        return ~self.cloud

    @property
    def demand(self) -> Ints:
        """(B,) demand of the task in denoising steps; 0 where none is shown."""
        return self._seen.demand

    @property
    def capacity(self) -> Ints:
        """(B, N) capacity of each server in denoising steps."""
        return self._seen.capacity

    @property
    def free(self) -> Ints:
        """(B, N) free capacity of each server in denoising steps, as far as the gateway knows."""
        return self._seen.free

    @cached_property
    def free_share(self) -> Floats:
        """(B, N) free capacity over capacity."""
        return self._read("server free share")

    @cached_property
    def waiting(self) -> Ints:
        """(B, N) tasks that wait at each server."""
        if not self._known.max_waiting:
            return np.zeros(self._grid[:2], dtype=np.int64)
        return np.rint(self._read("server waiting")).astype(np.int64)

    @cached_property
    def up(self) -> Bools:
        """(B, N) servers that are not down."""
        if not self._layout.extended:
            return np.ones(self._grid[:2], dtype=np.bool_)
        return self._read("server up") > 0.5

    @cached_property
    def usable(self) -> Bools:
        """(B, N, V) legal actions on servers that are up; all legal ones where none of them is."""
        usable = self.legal & self.up[..., None]
        return first_that_has_any(usable, self.legal)

    @property
    def fits(self) -> Bools:
        """(B, N, V) legal actions on servers that are up and have room, as far as is seen.

        Room is free capacity, or a place in the line, and memory whatever models the server is
        busy with: which they are is not observed. The cloud always has room.
        """
        return self._room[places.FITS]

    @property
    def safe(self) -> Bools:
        """(B, N, V) those of `fits` that have a reserve for what may have been sent since.

        Where telemetry is old, a server that fits for one gateway fits for all around, and they
        meet there. All is safe that is seen as it is now. With lines no server fails for want of
        capacity: what is too much waits, and the line is long or short by its value.
        """
        return self._room[places.SAFE]

    @property
    def candidates(self) -> Bools:
        """(B, N, V) what is safe; where nothing is, what fits; where nothing does, `least_bad`."""
        return self._room[places.CANDIDATES]

    @property
    def least_bad(self) -> Bools:
        """(B, N, V) legal actions on the server where a task without room does the least harm.

        One that is down only denies the task, or is up again by now. Else that with the least in
        use: a crash costs the penalty for what runs there too.
        """
        return self._room[places.LEAST_BAD]

    @cached_property
    def warm(self) -> Bools:
        """(B, N, V) models that are resident; all in the base model."""
        if not self._layout.extended:
            return np.ones(self._grid, dtype=np.bool_)
        resident = self._read("service warm") > 0.5
        return np.repeat(resident, len(self._known.levels), axis=-1).reshape(self._grid)

    @cached_property
    def steps(self) -> Ints:
        """(B, 1, V) denoising steps that the task takes."""
        of_each: Ints = np.tile(self._steps, self._layout.num_services)[:, None]
        return of_each

    @cached_property
    def run_time_ms(self) -> Floats:
        """(B,) run time of the task on the reference device."""
        return self._read("task run time")[:, 0]

    @cached_property
    def duration_ms(self) -> Floats:
        """(B, N, V) run time at each place, without input, loading and result."""
        if not self._layout.extended:
            return np.broadcast_to(self.run_time_ms[:, None, None], self._grid)
        return self._worth[places.DURATION]

    @cached_property
    def wait_ms(self) -> Floats:
        """(B, N, V) expected wait for capacity: for those who wait, and for as much as is missing.

        What is missing comes free as if the server's tasks took as long as this one.
        """
        if not self._layout.extended:
            return np.zeros(self._grid)
        return self._worth[places.WAIT]

    @property
    def until_end_ms(self) -> Floats:
        """(B, N, V) expected time from now until the stage has ended and its result is back.

        A model that is not resident is loaded while the input is on its way, and while it waits.
        """
        if not self._layout.extended:
            return self.duration_ms
        return self._worth[places.UNTIL_END]

    @cached_property
    def value(self) -> Floats:
        """(B, N, V) expected reward of each place if the task fits there.

        Base model: the very utility. Extended: the stage's share of its request's value, after the
        lateness that it can expect, less its cost. A stage is late by as much as its request is if
        later stages take as long; the deadline of a request is taken to be that of this stage's
        type, times its stages.
        """
        topology = self._known.topology
        if topology is not None:
            utility = task_utilities(topology, self._seen.task_type, self.demand)
            return utility.reshape(self._grid)
        return self._worth[places.VALUE]

    @property
    def value_in_time(self) -> Floats:
        """(B, N, V) the same if nothing could be late."""
        if not self._layout.extended:
            return self.value
        return self._worth[places.VALUE_IN_TIME]

    @cached_property
    def weight(self) -> Floats:
        """(B, 1, 1) what the value of the task's request is multiplied by."""
        if not self._known.scenario.tasks.classes:
            return np.ones((self.rows, 1, 1))
        return self._read("request weight")[..., None] / 1000

    @cached_property
    def may_decline(self) -> Bools:
        """(B,) where the gateway may say no."""
        if self._known.decline < 0:
            return np.zeros(self.rows, dtype=np.bool_)
        allowed: Bools = self.mask[:, self._known.decline]
        return allowed

    def or_decline(self, action: Ints, where: Bools) -> Ints:
        """Return actions (B,), but to say no where that is better, (B,), and may be done."""
        chosen: Ints = np.where(where & self.may_decline, self._known.decline, action)
        return chosen

    @cached_property
    def _room(self) -> list[Bools]:
        """What `places.find_room` finds, (B, N, V) each."""
        room = np.empty((places.NUM_ROOMS, self.rows, self._grid[1] * self._grid[2]), np.bool_)
        places.find_room(
            *self._known.of_room,
            *(self._observation, self.mask, self.up),
            *(self.capacity, self.free, self.waiting, self._steps, self.run_time_ms, room),
        )
        return list(room.reshape(-1, *self._grid))

    @cached_property
    def _worth(self) -> list[Floats]:
        """What `places.find_worth` finds, (B, N, V) each."""
        worth = np.empty((places.NUM_WORTHS, self.rows, self._grid[1] * self._grid[2]))
        places.find_worth(
            *self._known.of_worth,
            *(self._observation, self.capacity, self.free, self.waiting, self._steps),
            *(self._known.deadline_ms[self._seen.task_type], worth),
        )
        return list(worth.reshape(-1, *self._grid))

    @cached_property
    def _steps(self) -> Ints:
        """(B, L) denoising steps that the task takes at each level."""
        steps: Ints = -(-self.demand[:, None] * self._known.levels // 1000)
        return steps

    def of_server(self, server: Ints) -> Bools:
        """Return (B, N, 1): the services of a server of each row, (B,)."""
        chosen: Bools = np.arange(self._grid[1]) == server[:, None]
        return chosen[..., None]

    def _read(self, name: str) -> Floats:
        return self._known.read(name, self._observation)


def best_action(allowed: Bools, worth: Floats) -> Ints:
    """Return the allowed action of the largest worth, (B,); the first of equals.

    Args:
        allowed: (B, N, V); where a row has none, its action is 0.
        worth: (B, N, V), or with a 1 for what is the same for all servers or services.
    """
    action: Ints = np.where(allowed, worth, -np.inf).reshape(len(allowed), -1).argmax(1)
    return action


def first_that_has_any(*choices: Bools) -> Bools:
    """Return, row by row, the first of several choices (B, N, V) that has any; else the last."""
    found = choices[0]
    for choice in choices[1:]:
        has = any_place(found)
        if has.all():
            break
        found = np.where(has[:, None, None], found, choice)
    return found


def any_place(places_of: Bools) -> Bools:
    """Return in which rows any place is true, (B,), of (B, N, V)."""
    some: Bools = np.logical_or.reduce(places_of.reshape(len(places_of), -1), axis=1)
    return some


def pick(weights: Ints | Bools, share: Floats) -> Ints:
    """Return an index of each row, drawn in proportion to whole weights (B, N); 0 where all are 0.

    Args:
        weights: (B, N), 0 or more.
        share: (B,) uniform in [0, 1).
    """
    up_to = weights.cumsum(1)
    rank = np.floor(share * up_to[:, -1]).astype(np.int64)
    index: Ints = (up_to > rank[:, None]).argmax(1)
    return index
