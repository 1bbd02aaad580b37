"""Sections on arrivals: bursts, hot spots and daily curves."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from edge_marl.scenario.section import MAX_CHANGES, MAX_TASKS, Positive, Section, Span, ms

__all__ = ["Arrivals", "Bursts", "HotSpots"]


class Bursts(Section):
    """Each gateway is quiet or busy: a two-state Markov-modulated Poisson process."""

    ratio: Annotated[float, Field(ge=1, le=1e6)]
    """Rate when busy over rate when quiet."""
    quiet_s: Span
    """Mean duration of a quiet spell; exponential."""
    busy_s: Span
    """Mean duration of a busy spell; exponential."""


class HotSpots(Section):
    """Crowds that move: for a period, the gateways nearest to a place have more requests."""

    count: Positive
    """Hot spots at one time."""
    gateways: Positive
    """Gateways of each: those nearest to it."""
    ratio: Annotated[float, Field(ge=1, le=1e6)]
    """Rate of a hot gateway over that of another."""
    period_s: Span
    """Time until every hot spot is somewhere else."""

    @property
    def period_ms(self) -> int:
        """Period in milliseconds."""
        return ms(self.period_s)


class Arrivals(Section):
    """When requests arrive: without the parts below, the first at 0, then a Poisson process.

    With any of them, each gateway has a process of its own: a renewal process of gamma gaps, in a
    time that runs as fast as the gateway's rate at the moment.
    """

    rate_per_s: Annotated[float, Field(ge=1e-7, le=1e9)]
    """Mean rate of all gateways together."""
    horizon_s: Annotated[float, Field(ge=1e-9, le=2e9)]
    resolution_s: Annotated[float, Field(ge=0.001, le=2e9)] = 0.001
    """Arrivals are cut down to multiples of this (published: whole seconds)."""
    gap_cv: Annotated[float, Field(ge=0.1, le=10)] = 1.0
    """Coefficient of variation of the gaps between a gateway's requests; 1 is Poisson."""
    bursts: Bursts | None = None
    daily: tuple[Annotated[float, Field(ge=0, le=1e6)], ...] = ()
    """Weights of equal parts of a day (such as 24 hours), which repeats; empty is even."""
    day_s: Span = 86400.0
    """Length of a day."""
    hot_spots: HotSpots | None = None

    @property
    def horizon_ms(self) -> int:
        """Horizon in milliseconds."""
        return ms(self.horizon_s)

    @property
    def resolution_ms(self) -> int:
        """Resolution in milliseconds."""
        return ms(self.resolution_s)

    @property
    def day_ms(self) -> int:
        """Length of a day in milliseconds."""
        return ms(self.day_s)

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
