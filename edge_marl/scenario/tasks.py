"""The section on tasks."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from edge_marl.scenario.section import (
    MAX_STAGES,
    MAX_TIME_MS,
    Coordinate,
    Kilobytes,
    Positive,
    Section,
    Share,
    Span,
    Steps,
    Weight,
    ms,
)

__all__ = ["ServiceClass", "Tasks"]


class ServiceClass(Section):
    """A class of service: what its requests are worth against those of others."""

    name: str
    share: Weight = 1.0
    """Weight in the draw of a request's class."""
    weight: Annotated[float, Field(ge=0.001, le=1000)] = 1.0
    """What the value of a request is multiplied by, in thousandths."""

    @property
    def thousandths(self) -> int:
        """The weight in thousandths."""
        return round(1000 * self.weight)


class Tasks(Section):
    """What the users ask for; quantities are independent of each other."""

    types: Positive
    demand: Annotated[tuple[Steps, ...], Field(min_length=1)]
    """Numbers of denoising steps that a task's demand is drawn from."""
    run_time_minutes: tuple[Coordinate, Coordinate, Coordinate]
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
    deadline_s: tuple[Span, ...] = ()
    """Deadline of a stage by type; a request has the sum of its stages'. Empty is none."""
    fail_share: Share = 0.0
    """Share of tasks that fail by themselves."""
    upload_kb: tuple[Kilobytes, Kilobytes] = (0, 0)
    """Least and largest input; uniform."""
    download_kb: tuple[Kilobytes, Kilobytes] = (0, 0)
    """Least and largest result; uniform."""
    classes: Annotated[tuple[ServiceClass, ...], Field(max_length=64)] = ()
    """Classes of service, one drawn for each request; empty is one of weight 1."""

    @property
    def mean_stages(self) -> float:
        """Stages of a request, on average."""
        return sum(k * weight for k, weight in enumerate(self.stages, 1)) / sum(self.stages)

    def run_time_ms(self, demand: int) -> int:
        """Run time in milliseconds of `demand` denoising steps."""
        a, b, c = self.run_time_minutes
        return round((a * demand**2 + b * demand + c) * 60 * 1000)

    @property
    def max_demand(self) -> int:
        """Largest demand of a task."""
        return max(self.demand)

    @property
    def max_run_time_ms(self) -> int:
        """Longest run time of a task."""
        return max(self.run_time_ms(demand) for demand in self.demand)

    @property
    def max_deadline_ms(self) -> int:
        """Longest deadline of a request; 0 if there are none."""
        return len(self.stages) * ms(max(self.deadline_s, default=0.0))

    @property
    def max_weight(self) -> int:
        """Largest weight of a request, in thousandths."""
        return max((each.thousandths for each in self.classes), default=1000)

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
            if not 1 <= self.run_time_ms(demand) <= MAX_TIME_MS // 2:
                raise ValueError(
                    f"run_time_minutes gives {self.run_time_ms(demand)} ms for demand {demand}: "
                    f"every demand must run for at least 1 ms and at most {MAX_TIME_MS // 2}"
                )
        return self
