"""The sections of a scenario: frozen, validated facts with their units.

`docs/model/base.md` and `docs/model/extended.md` say what each part does. A section that a file
leaves out is off.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from edge_marl.scenario.section import (
    MAX_GATEWAYS,
    MAX_WAITING,
    Factor,
    Seconds,
    Section,
    Share,
    Span,
    Weight,
    ms,
    zero_or_a_millisecond,
)

__all__ = [
    "Clock",
    "Cloud",
    "Concurrency",
    "Decline",
    "Energy",
    "Episode",
    "Gateways",
    "Levels",
    "LoadMode",
    "Network",
    "Outages",
    "Overload",
    "Queue",
    "Residency",
    "Sleep",
    "Telemetry",
]


class Sleep(Section):
    """Gateways that go silent for a while, each by itself; spells are exponential."""

    awake_s: Span
    """Mean time from waking up to the next sleep."""
    asleep_s: Span
    """Mean length of a sleep."""

    @property
    def share(self) -> float:
        """Share of the time that a gateway sleeps."""
        return self.asleep_s / (self.awake_s + self.asleep_s)


class Gateways(Section):
    """Where requests arrive."""

    count: Annotated[int, Field(ge=1, le=MAX_GATEWAYS)] = 1
    neighbourhood: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0
    """Servers that a gateway may send to: the nearest, the cloud among them; 0 is all."""
    zipf: Annotated[float, Field(ge=0, le=10)] = 0.0
    """Load of the r-th gateway (in a random order) is r^-zipf; 0 is even."""
    area_km: tuple[Annotated[float, Field(gt=0, le=1e4)], Annotated[float, Field(gt=0, le=1e4)]] = (
        1.0,
        1.0,
    )
    """Sides of the area over which servers and gateways lie uniformly, where places count."""
    sleep: Sleep | None = None
    """When gateways decide nothing, and their tasks wait; in slots only."""


class Network(Section):
    """Time between a gateway and a server: a fixed part, distance, and size over bandwidth."""

    latency_ms: Annotated[float, Field(ge=0, le=1e6)]
    """One way, at no distance."""
    ms_per_km: Annotated[float, Field(ge=0, le=500)] = 0.0
    bandwidth_mbit: tuple[
        Annotated[float, Field(ge=0.008, le=1e6)], Annotated[float, Field(ge=0.008, le=1e6)]
    ]
    """Least and largest bandwidth of a link, in Mbit/s; uniform."""

    @model_validator(mode="after")
    def _least_first(self) -> Self:
        low, high = self.bandwidth_mbit
        if low > high:
            raise ValueError(f"bandwidth_mbit = [{low}, {high}]: the least comes first")
        return self


class LoadMode(Section):
    """One mode of the time that it takes to load a model: lognormal."""

    share: Weight
    median_s: Annotated[float, Field(ge=0.001, le=1e6)]
    sd_log: Annotated[float, Field(ge=0, le=5)]
    """Standard deviation of the logarithm."""


class Residency(Section):
    """Models have to be in a server's memory; the least recently used idle one makes room."""

    load: Annotated[tuple[LoadMode, ...], Field(min_length=1)]
    """The time that loading takes is drawn from these, anew for each task."""

    @property
    def mean_load_ms(self) -> float:
        """Mean time to load a model: of a lognormal mode, median x exp(sd^2 / 2)."""
        total = sum(m.share * m.median_s * math.exp(m.sd_log**2 / 2) for m in self.load)
        return 1000.0 * total / sum(mode.share for mode in self.load)


class Cloud(Section):
    """One more server, in every neighbourhood: never full, never down, far away and priced."""

    price_per_step: Annotated[float, Field(ge=0, le=1e6)]
    """Price of a denoising step, in units of utility."""
    slowdown: Factor = 1.0
    """Run time of all models against the reference, on top of the model's own."""
    latency_ms: Annotated[float, Field(ge=0, le=1e6)] = 0.0
    """One way, from every gateway; counts where there is a section `network`."""
    bandwidth_mbit: Annotated[float, Field(ge=0.008, le=1e6)] = 1000.0


class Outages(Section):
    """Servers that fail by themselves, each as a Poisson process of its own."""

    every_s: Annotated[float, Field(ge=1e-9, le=1e12)]
    """Mean time between a server's failures."""
    repair_s: Span
    """Mean time of a repair; exponential."""


class Telemetry(Section):
    """How old a gateway's knowledge of servers other than its own may be."""

    period_s: Seconds = 0.0
    """Time between two reports of all servers; 0 is the present."""

    @property
    def period_ms(self) -> int:
        """Period in milliseconds."""
        return ms(self.period_s)


class Queue(Section):
    """Tasks wait at a server for capacity, first come first served; a crash is one of memory."""

    limit: Annotated[int, Field(ge=1, le=MAX_WAITING)]
    """Tasks that may wait at a server; one more is denied."""


class Concurrency(Section):
    """A task runs for longer the more run beside it: (a + c n) / (a + c) with n of them.

    That is 1 + growth (n - 1) with growth = c / (a + c), fixed when the task takes its capacity.
    """

    growth: Annotated[tuple[Share, ...], Field(min_length=1, max_length=62)]
    """What each task beside it adds to the run time, as a part of it, in thousandths: of each
    service, or one for all."""

    def thousandths(self, services: int) -> tuple[int, ...]:
        """Growth of each service in thousandths."""
        rounded = tuple(round(1000 * part) for part in self.growth)
        return rounded * services if len(rounded) == 1 else rounded


class Levels(Section):
    """The action also chooses how many of the denoising steps that were asked for are done."""

    shares: Annotated[
        tuple[Annotated[float, Field(ge=0.001, le=1)], ...], Field(min_length=2, max_length=8)
    ]
    """Of the steps, in thousandths; ascending, and the last is 1."""

    @property
    def thousandths(self) -> tuple[int, ...]:
        """Shares in thousandths."""
        return tuple(round(1000 * share) for share in self.shares)

    @model_validator(mode="after")
    def _up_to_all(self) -> Self:
        steps = self.thousandths
        if list(steps) != sorted(set(steps)) or steps[-1] != 1000:
            raise ValueError(
                f"shares = {list(self.shares)}: must ascend by a thousandth at least, and end at 1"
            )
        return self


class Decline(Section):
    """A gateway may say no to a task."""

    price: Annotated[float, Field(ge=0, le=1e9)]
    """Utility that it costs, times the weight of the request."""


class Energy(Section):
    """What energy costs; what it amounts to is a metric everywhere."""

    weight: Annotated[float, Field(ge=0, le=1e6)] = 0.0
    """Utility that a joule costs."""


class Clock(Section):
    """When gateways decide in the multi-agent game (the single environment runs on events)."""

    slot_s: Annotated[float, Field(ge=0, le=1e7), zero_or_a_millisecond("event clock")] = 0.0
    """Length of a slot; 0 is the event clock: one decision at each arrival."""
    hold: bool = False
    """Whether a gateway may keep its task for the next slot."""

    @property
    def slot_ms(self) -> int:
        """Length of a slot in milliseconds."""
        return ms(self.slot_s)

    @model_validator(mode="after")
    def _holds_in_slots(self) -> Self:
        if self.hold and self.slot_s == 0:
            raise ValueError("hold = true needs slots: give slot_s > 0, or leave hold out")
        return self


class Overload(Section):
    """What it costs to send a task to a server without room for it (SPEC: the server crashes)."""

    penalty: Annotated[float, Field(ge=0, le=1e9)]
    """Cost of a crash, and of each running task that it loses times the part still to run."""
    loss_sum: Literal["by-service", "in-order"]
    """Order of summation of the losses, which decides the last bits: each service's part first
    (ADSAC's code), or one running sum in order of assignment (AGOD's)."""
    restart_s: Seconds = 0.0
    """Time that a crashed server is down."""
    refund: bool = False
    """Whether utility granted for a task is taken back when the task is lost."""

    @property
    def restart_ms(self) -> int:
        """Time that a crashed server is down, in milliseconds."""
        return ms(self.restart_s)


class Episode(Section):
    """How an episode ends."""

    end: Literal["last-task", "horizon"]
    """`last-task`: terminates when the last task is shown, which is never assigned (published);
    `horizon`: every task is assigned, then time runs to the horizon and the episode truncates."""
