"""What heuristics decide on: a batch of observations as arrays of servers and services.

One form for both models. In the base model qualities are not observed and come from the scenario's
topology; in the extended model all comes from the observation (`docs/extended_model.md`), and
everything that is stale there is stale here.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from edge_marl.agents.base import legal_actions
from edge_marl.agents.heuristics.known import Known
from edge_marl.kernel.world import Floats, Ints
from edge_marl.simulator.utility import task_utilities

__all__ = ["View", "best_action", "first_that_has_any", "pick"]

Observations = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]
A = TypeVar("A", Floats, Bools)


class View:
    """A batch of observations: B rows, N servers, V services, each at every level.

    Args:
        known: what is known besides.
        observation: (B, D).
        info: what came with it; see `Agent.act`.
    """

    def __init__(self, known: Known, observation: Observations, info: Mapping[str, Any]) -> None:
        self._known = known
        self._observation = observation
        self._layout = known.layout
        self.rows = len(observation)
        servers, self._services = known.layout.num_servers, known.layout.num_services
        self._levels = len(known.levels)
        self._grid = (self.rows, servers, self._services * self._levels)
        self.mask = legal_actions(info, self.rows, known.scenario)
        """(B, A) what may be done."""
        self.legal = self.mask[:, : servers * self._grid[2]].reshape(self._grid)
        """(B, N, V) what the mask allows."""
        self._seen = known.layout.decode(observation)

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
        return np.where(usable.any((1, 2), keepdims=True), usable, self.legal)

    @cached_property
    def fits(self) -> Bools:
        """(B, N, V) legal actions on servers that are up and have room, as far as is seen.

        Room is free capacity, or a place in the line, and memory whatever models the server is
        busy with: which they are is not observed. The cloud always has room.
        """
        return self._fits(0)

    @cached_property
    def safe(self) -> Bools:
        """(B, N, V) those of `fits` that have a reserve for what may have been sent since.

        Where telemetry is old, a server that fits for one gateway fits for all around, and they
        meet there. All is safe that is seen as it is now. With lines no server fails for want of
        capacity: what is too much waits, and the line is long or short by its value.
        """
        if self._known.max_waiting:
            return self.fits
        return self._fits(self._known.reserve[:, None])

    @cached_property
    def candidates(self) -> Bools:
        """(B, N, V) what is safe; where nothing is, what fits; where nothing does, `least_bad`."""
        return first_that_has_any(self.safe, self.fits, self.least_bad)

    @cached_property
    def least_bad(self) -> Bools:
        """(B, N, V) legal actions on the server where a task without room does the least harm.

        One that is down only denies the task, or is up again by now. Else that with the least in
        use: a crash costs the penalty for what runs there too.
        """
        in_use = np.where(self.up, self.capacity - self.free, -1)
        in_use = np.where(self.legal.any(-1), in_use, np.iinfo(np.int64).max)
        return self.legal & self.of_server(in_use.argmin(1))

    @cached_property
    def warm(self) -> Bools:
        """(B, N, V) models that are resident; all in the base model."""
        return self._at_levels(self._resident)

    @cached_property
    def steps(self) -> Ints:
        """(B, 1, V) denoising steps that the task takes."""
        steps = -(-self.demand[:, None] * self._known.levels // 1000)
        of_each: Ints = np.tile(steps, self._services)[:, None]
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
        duration: Floats = self._at_levels(self._duration) * self._share
        return duration

    @cached_property
    def wait_ms(self) -> Floats:
        """(B, N, V) expected wait for capacity: for those who wait, and for as much as is missing.

        What is missing comes free as if the server's tasks took as long as this one.
        """
        if not self._known.max_waiting:
            return np.zeros(self._grid)
        backlog = self._read("server backlog")[..., None]
        free = np.where(self.waiting > 0, 0, self.free)
        missing = (
            np.maximum(0, self.steps - free[..., None]) / np.maximum(self.capacity, 1)[..., None]
        )
        wait: Floats = np.where(self.cloud, 0.0, backlog + missing * self.duration_ms)
        return wait

    @cached_property
    def until_end_ms(self) -> Floats:
        """(B, N, V) expected time from now until the stage has ended and its result is back.

        A model that is not resident is loaded while the input is on its way, and while it waits.
        """
        if not self._layout.extended:
            return self.duration_ms
        delay = self._read("server delay")[..., None]
        load = np.where(self.warm, 0.0, self._known.load_ms)
        return np.maximum(np.maximum(delay, load), self.wait_ms) + self.duration_ms

    @cached_property
    def value(self) -> Floats:
        """(B, N, V) expected reward of each place if the task fits there.

        Base model: the very utility. Extended: the stage's share of its request's value, after the
        lateness that it can expect, less its cost.
        """
        known = self._known
        if known.topology is not None:
            utility = task_utilities(known.topology, self._seen.task_type, self.demand)
            return utility.reshape(self._grid)
        value: Floats = self._quality_share * self._lateness * self.weight - self._cost
        return value

    @cached_property
    def value_in_time(self) -> Floats:
        """(B, N, V) the same if nothing could be late."""
        if not self._layout.extended:
            return self.value
        value: Floats = self._quality_share * self.weight - self._cost
        return value

    @cached_property
    def _cost(self) -> Floats:
        """(B, N, V) what the task costs at each place."""
        cost: Floats = self._at_levels(self._service("service cost")) * self._share
        return cost

    @cached_property
    def _quality_share(self) -> Floats:
        """(B, N, V) the stage's share of its request's quality."""
        return self._quality / self._stages[:, None, None]

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

    def _fits(self, reserve: Ints | int) -> Bools:
        """Legal actions on servers that are up, with room besides a reserve (N, 1), and memory."""
        if self._known.max_waiting:  # a place in the line will do
            in_line = self.waiting[..., None] < self._known.max_waiting
            room = in_line & (self.steps <= self.capacity[..., None])
        else:
            room = self.free[..., None] >= self.steps + reserve
        allowed: Bools = self.legal & self.up[..., None] & (room | self.cloud)
        if self._known.memory is None:
            return allowed
        return allowed & (self.warm | self.cloud | self._at_levels(self._has_memory))

    @cached_property
    def _resident(self) -> Bools:
        """(B, N, V) models in memory; all in the base model."""
        if not self._layout.extended:
            return np.ones((*self._grid[:2], self._services), dtype=np.bool_)
        return self._service("service warm") > 0.5

    @cached_property
    def _duration(self) -> Floats:
        """(B, N, V) time that all steps take at each place."""
        return self._service("service duration")

    @cached_property
    def _quality(self) -> Floats:
        """(B, N, V) quality of the task at each place."""
        lower = [f"service quality at {share / 10:g} %" for share in self._layout.lower_levels]
        names = [*lower, "service quality"]
        return np.stack([self._service(name) for name in names], axis=-1).reshape(self._grid)

    @cached_property
    def _share(self) -> Floats:
        """(V,) part of the steps that is done."""
        return np.tile(self._known.levels / 1000, self._services)

    def _at_levels(self, of_services: A) -> A:
        """Repeat what is of services, (B, N, V), for each of their levels."""
        if self._levels == 1:
            return of_services
        repeated: A = np.repeat(of_services, self._levels, axis=-1)
        return repeated

    @cached_property
    def _has_memory(self) -> Bools:
        """(B, N, V) whether a model that is not resident fits beside all that may be busy."""
        memory = self._known.memory
        assert memory is not None
        resident = -np.sort(-np.where(self._resident, memory.of_model, 0), axis=-1)
        running = (self.capacity - self.free) // self._known.least_steps + self.waiting
        in_use = (resident * (np.arange(self._services) < running[..., None])).sum(-1)
        hosted = self.legal[..., :: self._levels]
        there = memory.of_server(self.capacity, hosted, self._duration, self.run_time_ms)
        enough: Bools = in_use[..., None] + memory.of_model <= there[..., None]
        return enough

    @cached_property
    def _stages(self) -> Floats:
        """(B,) stages of the request: those after this one, this one, and one before if any was.

        That there were two before is not observed; then this is one too low.
        """
        after = self._read("stages after")[:, 0]
        before = self._read("server has the input").any(1)
        return after + 1.0 + before

    @cached_property
    def _lateness(self) -> Floats | float:
        """(B, N, V) part of the value that is left if later stages take as long as this one.

        The deadline of a request is taken to be that of this stage's type, times its stages.
        """
        deadlines = self._known.scenario.tasks.deadline_s
        if not deadlines:
            return 1.0
        after = self._read("stages after")[:, 0]
        left = self._read("deadline left")[:, 0]
        of_type = 1000.0 * np.array(deadlines)[self._seen.task_type]
        takes = self.until_end_ms * (after + 1.0)[:, None, None]
        late = takes - left[:, None, None]
        return np.clip(1.0 - late / (of_type * self._stages)[:, None, None], 0.0, 1.0)

    def of_server(self, server: Ints) -> Bools:
        """Return (B, N, 1): the services of a server of each row, (B,)."""
        chosen: Bools = np.arange(self._grid[1]) == server[:, None]
        return chosen[..., None]

    def _read(self, name: str) -> Floats:
        return self._known.read(name, self._observation)

    def _service(self, name: str) -> Floats:
        return self._read(name).reshape(*self._grid[:2], self._services)


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
    found = choices[-1]
    for choice in reversed(choices[:-1]):
        found = np.where(choice.any((1, 2), keepdims=True), choice, found)
    return found


def pick(weights: Ints | Bools, share: Floats) -> Ints:
    """Return an index of each row, drawn in proportion to whole weights (B, N); 0 where all are 0.

    Args:
        weights: (B, N), 0 or more.
        share: (B,) uniform in [0, 1).
    """
    rank = np.floor(share * weights.sum(1)).astype(np.int64)
    index: Ints = (weights.cumsum(1) > rank[:, None]).argmax(1)
    return index
