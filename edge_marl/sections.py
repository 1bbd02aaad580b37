"""The sections of a scenario: frozen, validated facts with their units.

`docs/model.md` and `docs/extended_model.md` say what each part does. A section that a file leaves
out is off.
"""

from __future__ import annotations

import itertools
import math
from datetime import date, datetime
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, PlainValidator, model_validator

__all__ = [
    "MAX_CHANGES",
    "MAX_LINKS",
    "MAX_OUTAGES",
    "MAX_STAGES",
    "MAX_TASKS",
    "Arrivals",
    "Bursts",
    "Clock",
    "Cloud",
    "Device",
    "DeviceServers",
    "DrawnServers",
    "Energy",
    "Episode",
    "Gateways",
    "GivenServers",
    "HotSpots",
    "LoadMode",
    "Model",
    "Network",
    "Outages",
    "Overload",
    "Positive",
    "Replay",
    "Residency",
    "Section",
    "Tasks",
    "Telemetry",
    "Tokens",
    "Windows",
]

MAX_TASKS = 2**20
"""No episode holds more tasks (the simulator packs a task's number into 20 bits)."""

MAX_STAGES = 3
"""Stages that a request may have."""

MAX_OUTAGES = 2**16
"""Server failures that an episode may have on average."""

MAX_LINKS = 2**22
"""Pairs of a gateway and a server, where distances count."""

MAX_CHANGES = 10_000
"""Times that a gateway's rate may change in an episode for any one reason, about."""

Positive = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1)]
Weight = Annotated[float, Field(gt=0, le=1e9)]
Factor = Annotated[float, Field(ge=0.001, le=1000)]
Seconds = Annotated[float, Field(ge=0, le=1e7)]
Kilobytes = Annotated[int, Field(ge=0, le=10**9)]


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


class Section(BaseModel):
    """Base of all sections: frozen, and no field is unknown."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class DrawnServers(Section):
    """Servers and services drawn by a published law, one draw per world (`topology.py`)."""

    law: Literal["adsac", "agod"]
    """Whose draw: the ADSAC paper's code or AGOD's."""
    world: Annotated[int, Field(ge=0, lt=2**32)] = 0
    """Seed of the draw; world 0 is the published one."""
    count: Positive
    services: Positive
    """Generative models per server."""
    capacity: Annotated[tuple[Positive, ...], Field(min_length=1)]
    """Capacities (denoising steps that fit at one time) that a server's is drawn from."""

    @model_validator(mode="after")
    def _agod_has_one_service(self) -> Self:
        if self.law == "agod" and self.services != 1:
            raise ValueError(f"law 'agod' has one service per server, not {self.services}")
        return self


class GivenServers(Section):
    """Servers and services written out, for worlds of one's own."""

    law: Literal["given"]
    capacity: Annotated[tuple[Positive, ...], Field(min_length=1)]
    """Capacity of each server, in denoising steps."""
    baseline: tuple[tuple[tuple[float, ...], ...], ...]
    """Quality of each (server, service, task type)."""
    curve: tuple[tuple[tuple[float, float, float, float], ...], ...]
    """Quality over steps of each (server, service): ax, ay, bx, by, with bx > ax."""

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
        if self.services == 0 or len({len(kinds) for row in self.baseline for kinds in row}) != 1:
            raise ValueError("each service needs one baseline per task type, and at least one")
        for row in self.curve:
            for ax, _, bx, _ in row:
                if not bx > ax:
                    raise ValueError(f"curve ({ax}, .., {bx}, ..): bx must be larger than ax")
        return self


class Device(Section):
    """A class of servers."""

    name: str
    share: Weight = 1.0
    """Weight in the draw of a server's class."""
    capacity: Annotated[tuple[Positive, ...], Field(min_length=1)]
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
    hosted: Annotated[int, Field(ge=0)] = 0
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

    @property
    def max_slowdown(self) -> float:
        """Slowdown of the slowest model on the slowest device."""
        slowest = max(model.slowdown for model in self.models)
        return slowest * max(device.slowdown for device in self.devices)

    @model_validator(mode="after")
    def _hosts_what_there_is(self) -> Self:
        if self.hosted > self.services:
            raise ValueError(f"hosted = {self.hosted}: there are {self.services} models")
        return self


class Tasks(Section):
    """What the users ask for; quantities are independent of each other."""

    types: Positive
    demand: Annotated[tuple[Positive, ...], Field(min_length=1)]
    """Numbers of denoising steps that a task's demand is drawn from."""
    run_time_minutes: tuple[float, float, float]
    """Run time of t steps in minutes: a t^2 + b t + c."""
    demand_share: tuple[Weight, ...] = ()
    """Weight of each demand; empty is uniform."""
    zipf: Annotated[float, Field(ge=0, le=10)] = 0.0
    """Popularity of the r-th type is r^-zipf; 0 is uniform."""
    sticky: Share = 0.0
    """Probability that a user's next request keeps the type of the one before."""
    users: Annotated[int, Field(ge=1, le=10**6)] = 1
    """Users of each gateway, equally active; counts where they are sticky."""
    stages: Annotated[tuple[Weight, ...], Field(min_length=1, max_length=MAX_STAGES)] = (1.0,)
    """Weights of requests of one, two, three stages; each stage has its own type and demand."""
    deadline_s: tuple[Annotated[float, Field(ge=0.001, le=1e7)], ...] = ()
    """Deadline of a stage by type; a request has the sum of its stages'. Empty is none."""
    fail_share: Share = 0.0
    """Share of tasks that fail by themselves."""
    upload_kb: tuple[Kilobytes, Kilobytes] = (0, 0)
    """Least and largest input; uniform."""
    download_kb: tuple[Kilobytes, Kilobytes] = (0, 0)
    """Least and largest result; uniform."""

    def run_time_ms(self, demand: int) -> int:
        """Run time in milliseconds of `demand` denoising steps."""
        a, b, c = self.run_time_minutes
        return round((a * demand**2 + b * demand + c) * 60 * 1000)

    @property
    def max_deadline_ms(self) -> int:
        """Longest deadline of a request; 0 if there are none."""
        return len(self.stages) * _ms(max(self.deadline_s, default=0.0))

    @model_validator(mode="after")
    def _one_entry_each(self) -> Self:
        if self.demand_share and len(self.demand_share) != len(self.demand):
            raise ValueError(
                f"demand_share has {len(self.demand_share)} entries, demand {len(self.demand)}: "
                "give each demand its weight"
            )
        if self.deadline_s and len(self.deadline_s) != self.types:
            raise ValueError(
                f"deadline_s has {len(self.deadline_s)} entries for {self.types} types: give each "
                "type its deadline"
            )
        for name in ("upload_kb", "download_kb"):
            low, high = getattr(self, name)
            if low > high:
                raise ValueError(f"{name} = [{low}, {high}]: the least comes first")
        return self

    @model_validator(mode="after")
    def _takes_time(self) -> Self:
        for demand in self.demand:
            if self.run_time_ms(demand) < 1:
                raise ValueError(
                    f"run_time_minutes gives {self.run_time_ms(demand)} ms for demand {demand}: "
                    "every demand must run for at least 1 ms"
                )
        return self


class Bursts(Section):
    """Each gateway is quiet or busy: a two-state Markov-modulated Poisson process."""

    ratio: Annotated[float, Field(ge=1, le=1e6)]
    """Rate when busy over rate when quiet."""
    quiet_s: Annotated[float, Field(ge=0.001, le=1e7)]
    """Mean duration of a quiet spell; exponential."""
    busy_s: Annotated[float, Field(ge=0.001, le=1e7)]
    """Mean duration of a busy spell; exponential."""


class HotSpots(Section):
    """Crowds that move: for a period, the gateways nearest to a place have more requests."""

    count: Positive
    """Hot spots at one time."""
    gateways: Positive
    """Gateways of each: those nearest to it."""
    ratio: Annotated[float, Field(ge=1, le=1e6)]
    """Rate of a hot gateway over that of another."""
    period_s: Annotated[float, Field(ge=0.001, le=1e7)]
    """Time until every hot spot is somewhere else."""

    @property
    def period_ms(self) -> int:
        """Period in milliseconds."""
        return _ms(self.period_s)


class Arrivals(Section):
    """When requests arrive: without the parts below, the first at 0, then a Poisson process.

    With any of them, each gateway has a process of its own: a renewal process of gamma gaps, in a
    time that runs as fast as the gateway's rate at the moment.
    """

    rate_per_s: Annotated[float, Field(ge=1e-7)]
    """Mean rate of all gateways together."""
    horizon_s: Annotated[float, Field(gt=0, le=2e9)]
    resolution_s: Annotated[float, Field(ge=0.001)] = 0.001
    """Arrivals are cut down to multiples of this (published: whole seconds)."""
    gap_cv: Annotated[float, Field(ge=0.1, le=10)] = 1.0
    """Coefficient of variation of the gaps between a gateway's requests; 1 is Poisson."""
    bursts: Bursts | None = None
    daily: tuple[Annotated[float, Field(ge=0, le=1e6)], ...] = ()
    """Weights of equal parts of a day (such as 24 hours), which repeats; empty is even."""
    day_s: Annotated[float, Field(gt=0, le=1e7)] = 86400.0
    """Length of a day."""
    hot_spots: HotSpots | None = None

    @property
    def horizon_ms(self) -> int:
        """Horizon in milliseconds."""
        return _ms(self.horizon_s)

    @property
    def resolution_ms(self) -> int:
        """Resolution in milliseconds."""
        return _ms(self.resolution_s)

    @property
    def day_ms(self) -> int:
        """Length of a day in milliseconds."""
        return _ms(self.day_s)

    @model_validator(mode="after")
    def _of_a_size(self) -> Self:
        if self.rate_per_s * self.horizon_s > MAX_TASKS / 2:
            raise ValueError(
                f"rate_per_s x horizon_s = {self.rate_per_s * self.horizon_s:g} tasks per episode: "
                f"at most {MAX_TASKS // 2} fit"
            )
        if self.daily and not sum(self.daily) > 0:
            raise ValueError(f"daily = {list(self.daily)}: some part of the day needs a weight")
        return self

    @model_validator(mode="after")
    def _changes_seldom(self) -> Self:
        """Rates change so often at most that an episode can be drawn in a moment."""
        bursts, hot = self.bursts, self.hot_spots
        lengths = {
            "the mean of bursts.quiet_s and bursts.busy_s": bursts
            and (bursts.quiet_s + bursts.busy_s) / 2,
            "hot_spots.period_s": hot and hot.period_s,
            f"a part of the day, day_s / {len(self.daily)},": self.daily
            and self.day_s / len(self.daily),
        }
        for name, length in lengths.items():
            if length and (length < 0.001 or self.horizon_s / length > MAX_CHANGES):
                raise ValueError(
                    f"{name} is {length:g} s: must be at least 0.001 s and at least horizon_s / "
                    f"{MAX_CHANGES} = {self.horizon_s / MAX_CHANGES:g} s"
                )
        return self


def _moment(value: object) -> datetime | float:
    """A moment of a recorded trace: a date with or without time of day, or seconds."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise ValueError("must be a date such as 2024-12-04 or a number of seconds") from None
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day)
    if isinstance(value, datetime):
        if value.tzinfo:
            raise ValueError("must have no time zone: traces are recorded without one")
        return value
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1e11:
        return float(value)
    raise ValueError("must be a date such as 2024-12-04 or a number of seconds")


def _write_moment(moment: datetime | float) -> str | float:
    return moment.isoformat() if isinstance(moment, datetime) else moment


Moment = Annotated[datetime | float, PlainValidator(_moment), PlainSerializer(_write_moment)]
SPANS = ("train", "validation", "test")


class Windows(Section):
    """Parts of a recorded trace, from the first moment up to (without) the second, one per split.

    All in dates, or all in seconds after the trace's first request (of a `csv`: as its times are).
    """

    train: tuple[Moment, Moment]
    validation: tuple[Moment, Moment]
    test: tuple[Moment, Moment]

    @property
    def dated(self) -> bool:
        """Whether the moments are dates."""
        return isinstance(self.train[0], datetime)

    @model_validator(mode="after")
    def _never_overlap(self) -> Self:
        spans = {name: getattr(self, name) for name in SPANS}
        if len({type(moment) for span in spans.values() for moment in span}) > 1:
            raise ValueError("has dates and seconds: give all six in one of the two")
        for name, (start, end) in spans.items():
            if not start < end:
                raise ValueError(f"{name} = [{start}, {end}]: must end after its start")
        order = sorted(SPANS, key=lambda name: spans[name][0])
        for name, after in itertools.pairwise(order):
            if spans[after][0] < spans[name][1]:
                raise ValueError(
                    f"{after} starts at {spans[after][0]}, before {name} ends at {spans[name][1]}: "
                    "no request may be in two splits"
                )
        return self


class Tokens(Section):
    """What a request to a language model asks of a server, from its numbers of tokens."""

    block: Positive
    """Tokens, of prompt and answer together, that count as one step of demand."""
    prefill_per_s: Annotated[float, Field(gt=0, le=1e9)]
    """Tokens of the prompt that the reference model on the reference device reads in a second."""
    decode_per_s: Annotated[float, Field(gt=0, le=1e9)]
    """Tokens of the answer that it writes in a second."""
    prompt_bounds: tuple[Positive, ...] = ()
    """Where types end: type k is of prompts shorter than the k-th bound, the last of all others."""

    @model_validator(mode="after")
    def _go_up(self) -> Self:
        if any(b <= a for a, b in itertools.pairwise(self.prompt_bounds)):
            raise ValueError(f"prompt_bounds = {list(self.prompt_bounds)}: must go up")
        return self


class Replay(Section):
    """Requests from a recorded trace in place of drawn ones (`docs/data.md`).

    What the trace does not tell comes from the other sections, and what it tells is cut to the
    largest demand, run time and sizes that `tasks` states.
    """

    trace: (
        Literal[
            "gentd26", "azure-code", "azure-conv", "mooncake-conversation", "mooncake-synthetic"
        ]
        | None
    ) = None
    """A trace of a registered data set (`edge-marl data list`)."""
    csv: str | None = None
    """Instead of it, the path of a file of one's own."""
    sha256: Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")] = ""
    """What the file's SHA-256 must be, if stated: then the digest stands for its content too."""
    windows: Windows
    window_s: Annotated[float, Field(ge=0.001, le=1e9)]
    """Recorded time that an episode replays."""
    compress: Annotated[float, Field(ge=1e-3, le=1e6)] = 1.0
    """Recorded seconds that pass in a second of the episode; run times stay as they are."""
    tokens: Tokens | None = None
    """Needed by, and only by, traces of language models."""
    places: Literal["eua-melbourne"] | None = None
    """Put servers and gateways at recorded places instead of drawn ones."""
    own_quality: Annotated[float, Field(ge=0, le=1000)] | None = None
    """Baseline quality of service v for tasks of type v: the model that the user asked for."""

    @property
    def length_ms(self) -> int:
        """Time of an episode in which requests arrive, in milliseconds."""
        return math.ceil(1000 * self.window_s / self.compress)

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.trace is None) == (self.csv is None):
            raise ValueError("needs either trace or csv")
        if self.sha256 and self.csv is None:
            raise ValueError("sha256 is of a csv: registered traces have theirs in the registry")
        asks_tokens = self.trace is not None and self.trace != "gentd26"
        if asks_tokens != (self.tokens is not None):
            verb = "needs" if asks_tokens else "has no use for"
            raise ValueError(f"{self.trace or 'csv'} {verb} a section tokens")
        dated = self.trace in ("gentd26", "azure-code", "azure-conv")
        if self.windows.dated and not dated:
            raise ValueError(f"{self.trace or 'csv'} has no dates: give its windows in seconds")
        return self

    @model_validator(mode="after")
    def _episodes_fit(self) -> Self:
        for name in SPANS:
            start, end = getattr(self.windows, name)
            length = (end - start).total_seconds() if self.windows.dated else end - start
            if length < self.window_s:
                raise ValueError(
                    f"window_s = {self.window_s:g}: the window {name} is only {length:g} s long"
                )
        return self


class Gateways(Section):
    """Where requests arrive."""

    count: Positive = 1
    neighbourhood: Annotated[int, Field(ge=0)] = 0
    """Servers that a gateway may send to: the nearest, the cloud among them; 0 is all."""
    zipf: Annotated[float, Field(ge=0, le=10)] = 0.0
    """Load of the r-th gateway (in a random order) is r^-zipf; 0 is even."""
    area_km: tuple[Annotated[float, Field(gt=0, le=1e4)], Annotated[float, Field(gt=0, le=1e4)]] = (
        1.0,
        1.0,
    )
    """Sides of the area over which servers and gateways lie uniformly, where places count."""


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

    every_s: Annotated[float, Field(gt=0, le=1e12)]
    """Mean time between a server's failures."""
    repair_s: Annotated[float, Field(gt=0, le=1e7)]
    """Mean time of a repair; exponential."""


class Telemetry(Section):
    """How old a gateway's knowledge of servers other than its own may be."""

    period_s: Seconds = 0.0
    """Time between two reports of all servers; 0 is the present."""

    @property
    def period_ms(self) -> int:
        """Period in milliseconds."""
        return _ms(self.period_s)


class Energy(Section):
    """What energy costs; what it amounts to is a metric everywhere."""

    weight: Annotated[float, Field(ge=0, le=1e6)] = 0.0
    """Utility that a joule costs."""


class Clock(Section):
    """When gateways decide in the multi-agent game (the single environment runs on events)."""

    slot_s: Annotated[float, Field(ge=0)] = 0.0
    """Length of a slot; 0 is the event clock: one decision at each arrival."""
    hold: bool = False
    """Whether a gateway may keep its task for the next slot."""

    @property
    def slot_ms(self) -> int:
        """Length of a slot in milliseconds."""
        return round(self.slot_s * 1000)

    @model_validator(mode="after")
    def _whole_milliseconds(self) -> Self:
        if self.slot_s > 0 and self.slot_ms < 1:
            raise ValueError(f"slot_s = {self.slot_s}: must be 0 (event clock) or at least 0.001")
        if self.hold and self.slot_s == 0:
            raise ValueError("hold = true needs slots: give slot_s > 0, or leave hold out")
        return self


class Overload(Section):
    """What it costs to send a task to a server without room for it (SPEC: the server crashes)."""

    penalty: Annotated[float, Field(ge=0)]
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
        return _ms(self.restart_s)


class Episode(Section):
    """How an episode ends."""

    end: Literal["last-task", "horizon"]
    """`last-task`: terminates when the last task is shown, which is never assigned (published);
    `horizon`: every task is assigned, then time runs to the horizon and the episode truncates."""
