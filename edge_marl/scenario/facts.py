"""What a scenario states, section by section, and the sizes that follow from it."""

from __future__ import annotations

import math
from functools import cached_property
from typing import Annotated, Literal

from pydantic import Field

from edge_marl import tiers
from edge_marl.scenario.arrivals import Arrivals
from edge_marl.scenario.parts import (
    Clock,
    Cloud,
    Concurrency,
    Decline,
    Energy,
    Episode,
    Gateways,
    Levels,
    Network,
    Outages,
    Overload,
    Queue,
    Residency,
    Telemetry,
)
from edge_marl.scenario.replay import Replay
from edge_marl.scenario.section import MAX_STAGES, MAX_TIME_MS, Positive, Section
from edge_marl.scenario.servers import DeviceServers, DrawnServers, GivenServers
from edge_marl.scenario.tasks import Tasks

__all__ = ["Api", "Facts"]

Api = Literal["single", "parallel"]
"""What a scenario is played on: the single environment, or the game of gateways."""

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$")]

MAX_GAP = 37
"""More than the longest gap that is drawn, in mean gaps: the logarithm of 2^53."""


class Facts(Section):
    """The sections of a scenario."""

    name: Name
    version: Positive
    summary: str
    test_set_of: Name | None = None
    """The tier, of the same version, that this is a test set of: nothing is trained on it."""
    servers: Annotated[DrawnServers | GivenServers | DeviceServers, Field(discriminator="law")]
    tasks: Tasks
    arrivals: Arrivals
    gateways: Gateways = Gateways()
    clock: Clock = Clock()
    overload: Overload
    episode: Episode
    network: Network | None = None
    residency: Residency | None = None
    cloud: Cloud | None = None
    outages: Outages | None = None
    telemetry: Telemetry = Telemetry()
    energy: Energy = Energy()
    queue: Queue | None = None
    concurrency: Concurrency | None = None
    levels: Levels | None = None
    decline: Decline | None = None
    replay: Replay | None = None

    @property
    def num_servers(self) -> int:
        """Number of servers S, the cloud among them."""
        return self.servers.count + (self.cloud is not None)

    @property
    def num_services(self) -> int:
        """Number of services per server V."""
        return self.servers.services

    @property
    def num_types(self) -> int:
        """Number of task types K."""
        return self.tasks.types

    @property
    def num_neighbours(self) -> int:
        """Number of servers N that a gateway may send to; all S without neighbourhoods."""
        return self.gateways.neighbourhood or self.num_servers

    @property
    def num_actions(self) -> int:
        """Number of actions N * V * L; action = (neighbour * V + service) * L + level.

        Where a gateway may decline there is one more, the last.
        """
        places = self.num_neighbours * self.num_services
        return places * self.num_levels + (self.decline is not None)

    @property
    def num_levels(self) -> int:
        """Number of levels L that a task may be done at; 1 where all steps are done."""
        return len(self.levels.shares) if self.levels else 1

    @property
    def has_terms(self) -> bool:
        """Whether a part is on that the kernel keeps `terms` for."""
        parts = (self.queue, self.concurrency, self.levels, self.decline, self.tasks.classes)
        return any(parts)

    @cached_property
    def extended(self) -> bool:
        """Whether any part of the extended model is on (`docs/model/extended.md`).

        Parts that only the workload knows of (popularity, arrival processes) do not count.
        """
        tasks, overload = self.tasks, self.overload
        sections = (self.network, self.residency, self.cloud, self.outages)
        return bool(
            isinstance(self.servers, DeviceServers)
            or (isinstance(self.servers, GivenServers) and self.servers.slowdown)
            or any(sections)
            or self.gateways.neighbourhood
            or self.telemetry.period_ms
            or self.energy.weight
            or len(tasks.stages) > 1
            or tasks.deadline_s
            or tasks.fail_share
            or overload.refund
            or overload.restart_ms
            or self.has_terms
        )

    @property
    def model(self) -> Literal["base", "extended", "terms"]:
        """Which of the models that have compiled code of their own it takes."""
        if not self.extended:
            return "base"
        return "terms" if self.has_terms else "extended"

    @property
    def api(self) -> Api:
        """What it is played on if nothing else is asked for: in slots there is the game alone."""
        return "parallel" if self.clock.slot_ms else "single"

    @property
    def release(self) -> str:
        """Name of the scenario's file: with the version where the tier of that name has several."""
        return f"{self.name}@{self.version}" if tiers.versions_of(self.name) else self.name

    @property
    def superseded(self) -> bool:
        """Whether the tier of its name has a newer version."""
        return self.version < max(tiers.versions_of(self.name), default=self.version)

    @property
    def label(self) -> str:
        """Name for people: the release, with the world where it is not the published one."""
        return self.release if self.servers.world == 0 else f"{self.release}-w{self.servers.world}"

    @property
    def latest_end_ms(self) -> int:
        """Return a time that no request of an extended scenario lasts past, in ms."""
        tasks, network, cloud = self.tasks, self.network, self.cloud
        arrival = self.arrivals.horizon_ms
        if self.episode.end == "last-task":  # the second request is waited for
            arrival = max(arrival, math.ceil(1000 * MAX_GAP / self.arrivals.rate_per_s))
        stage = self.max_duration_ms + 2
        if self.queue:  # each task in a line ends after one before it at most
            stage *= self.queue.limit + 1
        if self.residency:
            stage += MAX_TIME_MS // 8  # where drawn loads are cut
        if network:
            slowest = min(network.bandwidth_mbit[0], cloud.bandwidth_mbit if cloud else math.inf)
            size = 2 * max(tasks.upload_kb[1], tasks.download_kb[1]) + tasks.download_kb[1]
            apart = network.latency_ms + network.ms_per_km * math.hypot(*self.gateways.area_km)
            latency = max(apart, cloud.latency_ms if cloud else 0.0)
            stage += math.ceil(8 * size / slowest + 3 * latency) + 4
        return arrival + MAX_STAGES * stage

    @property
    def max_duration_ms(self) -> int:
        """Longest time that a task runs on a server, beside as many others as fit there."""
        slowed = -(-self.tasks.max_run_time_ms * self.max_slowdown // 1000)
        return -(-slowed * self.max_stretch(self.max_beside) // 1000)

    def max_stretch(self, beside: int) -> int:
        """Most that `beside` other tasks stretch a run time, in thousandths."""
        growth = self.concurrency.thousandths(1) if self.concurrency else (0,)
        return 1000 + max(growth) * beside

    @property
    def max_beside(self) -> int:
        """Most tasks that may run beside one on a server of the largest capacity."""
        return max(0, max(self.servers.capacity) // self.least_steps(min(self.tasks.demand)) - 1)

    def least_steps(self, demand: int) -> int:
        """Denoising steps that are done at least of a demand: those of the lowest level."""
        return -(-demand * self.levels.thousandths[0] // 1000) if self.levels else demand

    @property
    def max_slowdown(self) -> int:
        """Largest slowdown that the servers may have, in thousandths."""
        devices, models = [1.0], [1.0]
        if isinstance(self.servers, DeviceServers):
            devices = [device.slowdown for device in self.servers.devices]
            models = [model.slowdown for model in self.servers.models]
        elif isinstance(self.servers, GivenServers) and self.servers.slowdown:
            models = [factor for row in self.servers.slowdown for factor in row]
        if self.cloud:
            devices.append(self.cloud.slowdown)
        return max(1, round(1000 * max(devices) * max(models)))
