"""What there is to see of an episode now: servers, tasks on them, links, and what was just lost."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from edge_marl.kernel import world as k
from edge_marl.scenario import Scenario
from edge_marl.scenario.servers import DeviceServers
from edge_marl.simulator import EpisodeLog, Simulator

__all__ = ["Scene", "scene_of"]

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

KEPT = (k.WAITING, k.ADMITTED, k.DECLINED)
"""Values of STATUS of tasks that are not lost."""

JUST = 60
"""What happened within this share of the horizon has just happened."""


@dataclass(frozen=True, eq=False)
class Scene:
    """An episode as it stands (copies; times in milliseconds)."""

    scenario: Scenario
    log: EpisodeLog
    used: Ints
    """(S,) denoising steps in progress on each server."""
    waiting: Ints
    """(S,) tasks in the line of each server."""
    down_ms: Ints
    """(S,) how much longer each server is down; 0 while it is up."""
    resident: Bools | None
    """(S, V) models in memory; None where all are at all times."""
    neighbours: Ints | None
    """(G, N) servers that each gateway may send to, nearest first; None in the base model."""

    @property
    def clock_ms(self) -> int:
        """Now."""
        return self.log.clock_ms

    @property
    def num_servers(self) -> int:
        """Servers S, the cloud among them."""
        return len(self.log.capacity)

    @property
    def cloud(self) -> int | None:
        """The server that is the cloud."""
        return self.num_servers - 1 if self.log.has_cloud else None

    @cached_property
    def load(self) -> npt.NDArray[np.float64]:
        """(S,) share of each server's capacity in use; the cloud has no limit."""
        return self.used / np.maximum(self.log.capacity, 1)

    @cached_property
    def here(self) -> Ints:
        """(R,) tasks on servers now, by number, in order of assignment."""
        rows = np.flatnonzero(self.log.running)
        return rows[np.argsort(self.log.tasks[rows, k.START], kind="stable")]

    @cached_property
    def server_of(self) -> Ints:
        """(N,) server that each task was sent to; negative before it is sent."""
        servers: Ints = self.log.tasks[:, k.PLACE] // self.log.num_services
        return servers

    @property
    def service_of(self) -> Ints:
        """(N,) service that each task was sent to."""
        services: Ints = self.log.tasks[:, k.PLACE] % self.log.num_services
        return services

    @cached_property
    def steps(self) -> Ints:
        """(N,) capacity that each task takes while it runs."""
        terms = self.log.terms
        steps: Ints = self.log.tasks[:, k.DEMAND] if terms is None else terms[:, k.STEPS]
        return steps

    @cached_property
    def in_line(self) -> Bools:
        """(N,) whether each task, if it is on a server, still waits there for its turn."""
        if self.log.terms is None:
            return np.zeros(len(self.log.tasks), dtype=np.bool_)
        late: Bools = self.log.terms[:, k.TURN] > self.clock_ms
        return late

    @cached_property
    def progress(self) -> npt.NDArray[np.float64]:
        """(N,) share of its time on the server that each task has behind it."""
        tasks = self.log.tasks
        length = np.maximum(tasks[:, k.END] - tasks[:, k.START], 1)
        share: npt.NDArray[np.float64] = (self.clock_ms - tasks[:, k.START]) / length
        return np.clip(share, 0.0, 1.0)

    @cached_property
    def at_gateways(self) -> Ints:
        """(G,) tasks that wait at each gateway for a decision."""
        tasks, details = self.log.tasks, self.log.details
        ready = tasks[:, k.ARRIVAL] <= self.clock_ms
        if details is not None:
            done = np.roll(self.log.finished, 1)  # a later stage follows its request's one before
            ready = np.where(details[:, k.STAGE] > 0, done, ready)
        waits = ready & (tasks[:, k.STATUS] == k.WAITING)
        return np.bincount(tasks[waits, k.GATEWAY], minlength=self.scenario.gateways.count)

    @cached_property
    def lost(self) -> Bools:
        """(N,) tasks that are lost."""
        return ~np.isin(self.log.tasks[:, k.STATUS], KEPT)

    @cached_property
    def just_ms(self) -> int:
        """How far back what has just happened goes: a slot at least."""
        arrivals, clock = self.scenario.arrivals, self.scenario.clock
        return max(arrivals.horizon_ms // JUST, clock.slot_ms, 1)

    @cached_property
    def just_lost(self) -> Ints:
        """(S,) tasks that were lost on each server, or on the way to it, just now."""
        since = self.log.tasks[:, k.END] > self.clock_ms - self.just_ms
        rows = self.lost & since & (self.server_of >= 0)
        return np.bincount(self.server_of[rows], minlength=self.num_servers)

    def fullest(self, most: int) -> Ints:
        """Return servers to show, at most so many: all in order, or the fullest first."""
        if self.num_servers <= most:
            return np.arange(self.num_servers)
        fullness = (self.load + self.waiting)[: self.cloud]
        return np.argsort(-fullness, kind="stable")[:most]

    @property
    def services(self) -> tuple[str, ...]:
        """Names of the services, or numbers where they have none."""
        servers = self.scenario.servers
        if isinstance(servers, DeviceServers):
            return tuple(model.name for model in servers.models)
        return tuple(f"service {v}" for v in range(self.log.num_services))

    def name_of(self, server: int) -> str:
        """Return what a server is called."""
        return "cloud" if server == self.cloud else str(server)


def scene_of(simulator: Simulator, row: int = 0) -> Scene:
    """Return what there is to see of the episode in a row."""
    scenario, w = simulator.scenario, simulator.world
    log = simulator.log(row)
    nothing = np.zeros(len(log.capacity), dtype=np.int64)
    extended = scenario.extended
    down_ms = np.maximum(w.sites[row, :, k.DOWN_UNTIL] - log.clock_ms, 0) if extended else nothing
    bits = np.arange(log.num_services)
    resident = (w.sites[row, :, k.RESIDENT, None] >> bits) & 1 if scenario.residency else None
    neighbours = None
    if extended:
        neighbours = w.links[w.episode[row, k.TOPOLOGY], :, :, k.SERVER].astype(np.int64)
    return Scene(
        scenario=scenario,
        log=log,
        used=w.servers[row, :, k.USED].astype(np.int64),
        waiting=w.lines[row, :, k.WAIT].copy() if scenario.has_terms else nothing,
        down_ms=down_ms,
        resident=None if resident is None else resident.astype(np.bool_),
        neighbours=neighbours,
    )
