"""Sections on servers and the models that they host."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from edge_marl.scenario.section import (
    Coordinate,
    Factor,
    Positive,
    Quality,
    Section,
    Share,
    Steps,
    Weight,
)

__all__ = ["Device", "DeviceServers", "DrawnServers", "GivenServers", "Model"]


class DrawnServers(Section):
    """Servers and services drawn by a published law, one draw per world (`topology.py`)."""

    law: Literal["adsac", "agod"]
    """Whose draw: the ADSAC paper's code or AGOD's."""
    world: Annotated[int, Field(ge=0, lt=2**32)] = 0
    """Seed of the draw; world 0 is the published one."""
    count: Positive
    services: Positive
    """Generative models per server."""
    capacity: Annotated[tuple[Steps, ...], Field(min_length=1)]
    """Capacities (denoising steps that fit at one time) that a server's is drawn from."""

    @model_validator(mode="after")
    def _agod_has_one_service(self) -> Self:
        if self.law == "agod" and self.services != 1:
            raise ValueError(f"law 'agod' has one service per server, not {self.services}")
        return self


class GivenServers(Section):
    """Servers and services written out, for worlds of one's own."""

    law: Literal["given"]
    capacity: Annotated[tuple[Steps, ...], Field(min_length=1)]
    """Capacity of each server, in denoising steps."""
    baseline: tuple[tuple[tuple[Quality, ...], ...], ...]
    """Quality of each (server, service, task type)."""
    curve: tuple[tuple[tuple[Coordinate, Quality, Coordinate, Quality], ...], ...]
    """Quality over steps of each (server, service): ax, ay, bx, by, with bx > ax."""
    slowdown: tuple[tuple[Factor, ...], ...] = ()
    """Run time of each (server, service) against that of `tasks.run_time_minutes`; empty is 1."""

    @property
    def world(self) -> int:
        """Written-out servers are their only world."""
        return 0

    @property
    def count(self) -> int:
        """Number of servers."""
        return len(self.capacity)

    @property
    def services(self) -> int:
        """Services per server."""
        return len(self.curve[0])

    @model_validator(mode="after")
    def _one_shape(self) -> Self:
        if len(self.baseline) != self.count or len(self.curve) != self.count:
            raise ValueError(
                f"capacity has {self.count} servers, baseline {len(self.baseline)} and curve "
                f"{len(self.curve)}: give each server one row in all three"
            )
        if {len(server) for server in (*self.baseline, *self.curve)} != {self.services}:
            raise ValueError("each server needs the same number of services in baseline and curve")
        if self.slowdown and [len(row) for row in self.slowdown] != [self.services] * self.count:
            raise ValueError(
                f"slowdown: give each of {self.count} servers one number for each of "
                f"{self.services} services, or leave it out"
            )
        if self.services == 0 or len({len(kinds) for row in self.baseline for kinds in row}) != 1:
            raise ValueError("each service needs one baseline per task type, and at least one")
        for row in self.curve:
            for ax, _, bx, _ in row:
                if not bx - ax >= 1e-6:  # less, and the slope is no number of any use
                    raise ValueError(
                        f"curve ({ax}, .., {bx}, ..): bx must be larger than ax, by 1e-6 at least"
                    )
        return self


class Device(Section):
    """A class of servers."""

    name: str
    share: Weight = 1.0
    """Weight in the draw of a server's class."""
    capacity: Annotated[tuple[Steps, ...], Field(min_length=1)]
    """Capacities (denoising steps in progress at one time) that a server's is drawn from."""
    slowdown: Factor = 1.0
    """Run time against that of `tasks.run_time_minutes`."""
    memory_mib: Annotated[int, Field(ge=0, le=2**40)] = 0
    """Memory for models; counts where there is a section `residency`."""
    joule_per_step: Annotated[float, Field(ge=0, le=1e6)] = 0.0
    """Energy of a denoising step of a model of slowdown 1."""


class Model(Section):
    """A generative model: what a service runs."""

    name: str
    slowdown: Factor = 1.0
    """Run time (and energy of a step) against the reference, on top of the device's."""
    memory_mib: Annotated[int, Field(ge=0, lt=2**31)] = 0
    quality: tuple[Share, Share] = (0.0, 0.9)
    """Its baseline quality for a type of task is uniform between these, in thousandths."""

    @model_validator(mode="after")
    def _least_first(self) -> Self:
        low, high = self.quality
        if low > high:
            raise ValueError(f"quality = [{low}, {high}]: the least comes first")
        return self


class DeviceServers(Section):
    """Servers of device classes, drawn anew for each episode; their qualities are observed."""

    law: Literal["devices"]
    count: Positive
    """Number of edge servers (the cloud, if any, is one more)."""
    devices: Annotated[tuple[Device, ...], Field(min_length=1)]
    models: Annotated[tuple[Model, ...], Field(min_length=1, max_length=62)]
    hosted: Annotated[int, Field(ge=0, le=62)] = 0
    """Models that each server hosts, drawn without repetition; 0 is all."""

    @property
    def world(self) -> int:
        """Every episode draws its own: there are no worlds to choose from."""
        return 0

    @property
    def services(self) -> int:
        """Number of models V."""
        return len(self.models)

    @property
    def capacity(self) -> tuple[int, ...]:
        """Every capacity that a server may have."""
        return tuple(sorted({c for device in self.devices for c in device.capacity}))

    @model_validator(mode="after")
    def _hosts_what_there_is(self) -> Self:
        if self.hosted > self.services:
            raise ValueError(f"hosted = {self.hosted}: there are {self.services} models")
        return self
