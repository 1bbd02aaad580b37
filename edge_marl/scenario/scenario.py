"""A scenario: everything that defines a world and its load, frozen, validated and hashed.

A tier is a scenario that is released with the package (`edge_marl/tiers/*.toml`); a user's own
file has the same form and works wherever a tier's name does.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from functools import cached_property
from typing import Any, Self

from pydantic import ValidationError, model_validator

from edge_marl.errors import ScenarioError
from edge_marl.scenario.extremes import qualities
from edge_marl.scenario.facts import Facts
from edge_marl.scenario.parts import Clock
from edge_marl.scenario.section import (
    MAX_GATEWAYS,
    MAX_LINKS,
    MAX_OUTAGES,
    MAX_QUALITIES,
    MAX_SLEEPS,
    MAX_TASKS,
    MAX_TIME_MS,
    rule_of,
    whole_number,
)
from edge_marl.scenario.servers import DeviceServers, DrawnServers, GivenServers
from edge_marl.tables import Shown, Table

__all__ = ["Scenario"]

ENDS = {"last-task": "terminates at the last task", "horizon": "truncates at the horizon"}


class Scenario(Shown, Facts):
    """One world and its load. Frozen; `digest` identifies it in every result."""

    @model_validator(mode="after")
    def _one_baseline_per_type(self) -> Self:
        if isinstance(self.servers, GivenServers):
            known = len(self.servers.baseline[0][0])
            if known != self.tasks.types:
                raise ValueError(
                    f"servers.baseline has {known} task types, tasks.types is {self.tasks.types}"
                )
        return self

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        """Rules between sections."""
        if self.gateways.neighbourhood > self.num_servers:
            raise ValueError(
                f"gateways.neighbourhood = {self.gateways.neighbourhood}: there are "
                f"{self.num_servers} servers"
            )
        hot = self.arrivals.hot_spots
        if hot and hot.count * hot.gateways > self.gateways.count:
            raise ValueError(
                f"arrivals.hot_spots has {hot.count} spots of {hot.gateways} gateways: there are "
                f"{self.gateways.count} gateways"
            )
        if self.gateways.sleep and not self.clock.slot_ms:
            raise ValueError(
                "gateways.sleep needs slots, in which gateways decide: give clock.slot_s > 0, or "
                "leave it out"
            )
        if self.residency and not isinstance(self.servers, DeviceServers):
            raise ValueError(
                f"residency needs servers with memory: servers.law = '{self.servers.law}' has "
                "none, law = 'devices' has"
            )
        growth = len(self.concurrency.growth) if self.concurrency else 1
        if growth not in (1, self.num_services):
            raise ValueError(
                f"concurrency.growth has {growth} entries: there are {self.num_services} services; "
                "give each its own, or one for all"
            )
        if len(self.tasks.stages) > 1 and self.episode.end == "last-task":
            raise ValueError(
                "tasks.stages has requests of several stages: episode.end must be 'horizon', since "
                "a stage may become ready after the last arrival"
            )
        return self

    @model_validator(mode="after")
    def _can_be_drawn(self) -> Self:
        """Rules that keep what is drawn for an episode of a size, and let every server host."""
        law, weights = self.arrivals, self.tasks.stages
        stages = sum(k * weight for k, weight in enumerate(weights, start=1)) / sum(weights)
        rows = law.rate_per_s * law.horizon_s * stages
        if rows > MAX_TASKS / 2:
            raise ValueError(
                f"arrivals.rate_per_s x horizon_s x mean number of stages = {rows:g} tasks per "
                f"episode: at most {MAX_TASKS // 2} fit"
            )
        every_s = self.outages.every_s if self.outages else math.inf
        outages = law.horizon_s / every_s * self.servers.count
        if outages > MAX_OUTAGES:
            raise ValueError(
                f"outages.every_s = {every_s:g}: {outages:g} outages per episode, at most "
                f"{MAX_OUTAGES} fit"
            )
        if sleep := self.gateways.sleep:
            sleeps = law.horizon_s / (sleep.awake_s + sleep.asleep_s) * self.gateways.count
            if sleeps > MAX_SLEEPS:
                raise ValueError(
                    f"gateways.sleep: {sleeps:g} sleeps per episode, at most {MAX_SLEEPS} fit; "
                    "take awake_s or asleep_s longer"
                )
        parts = (self.gateways.neighbourhood, self.network, self.cloud, self.telemetry.period_ms)
        if any(parts) and self.gateways.count * self.num_servers > MAX_LINKS:
            raise ValueError(
                f"{self.gateways.count} gateways x {self.num_servers} servers: at most {MAX_LINKS} "
                "pairs have a distance"
            )
        if self.residency and isinstance(self.servers, DeviceServers):
            smallest = min(model.memory_mib for model in self.servers.models)
            for device in self.servers.devices:
                if device.memory_mib < smallest:
                    raise ValueError(
                        f"servers.devices '{device.name}' has memory_mib = {device.memory_mib}: "
                        f"the smallest model takes {smallest}, so such a server would host none"
                    )
        return self

    @model_validator(mode="after")
    def _simulator_holds_it(self) -> Self:
        """Rules that keep arrays in memory and every time of an episode in the kernel's bits."""
        numbers = self.num_servers * self.num_services * (self.num_types + 4)
        if numbers > MAX_QUALITIES:
            raise ValueError(
                f"servers x services x (tasks.types + 4) = {numbers} numbers on services: at most "
                f"{MAX_QUALITIES} fit"
            )
        if self.extended and self.latest_end_ms > MAX_TIME_MS - 2:
            raise ValueError(
                f"a request may last until {self.latest_end_ms} ms: at most {MAX_TIME_MS - 2} ms "
                "fit; shorten tasks.run_time_minutes, slowdown or arrivals.horizon_s, or take "
                "upload_kb and download_kb smaller or bandwidth_mbit larger"
            )
        return self

    @model_validator(mode="after")
    def _qualities_can_be_observed(self) -> Self:
        """The extended model shows half the quality of each service, as a number in [0, 1]."""
        if not self.extended:
            return self
        own = self.replay.own_quality if self.replay else None
        for place, low, high in qualities(self.servers, own):
            if low < 0 or high > 2:
                raise ValueError(
                    f"{place} gives qualities from {low:g} to {high:g}: must lie in 0 to 2, since "
                    "the parts of the extended model show them as observations: scale them, with "
                    "overload.penalty and prices alike"
                )
        return self

    @model_validator(mode="after")
    def _replay_fits(self) -> Self:
        """Rules between a recorded trace and the rest."""
        replay = self.replay
        if replay is None:
            return self
        if replay.length_ms > self.arrivals.horizon_ms:
            raise ValueError(
                f"replay.window_s / replay.compress = {replay.window_s / replay.compress:g} s: "
                f"must be at most arrivals.horizon_s = {self.arrivals.horizon_s:g}"
            )
        if replay.tokens and len(replay.tokens.prompt_bounds) + 1 != self.tasks.types:
            raise ValueError(
                f"replay.tokens.prompt_bounds ends {len(replay.tokens.prompt_bounds)} types: "
                f"tasks.types = {self.tasks.types} needs one less than itself"
            )
        law = self.arrivals
        if law.bursts or law.daily or law.hot_spots or law.gap_cv != 1.0:
            raise ValueError(
                "replay has recorded arrivals: leave bursts, daily, hot_spots and gap_cv out of "
                "arrivals"
            )
        if len(self.tasks.stages) > 1:
            raise ValueError("replay has requests of one stage: leave tasks.stages out")
        if replay.places and not (self.gateways.neighbourhood or self.network):
            raise ValueError(
                "replay.places needs a section network or gateways.neighbourhood: without them "
                "places count for nothing"
            )
        return self

    def model_copy(
        self, *, update: Mapping[str, Any] | None = None, deep: bool = False
    ) -> Scenario:
        """Copy with changes (unchecked, as pydantic's); what follows from it is the copy's."""
        copy = super().model_copy(update=update, deep=deep)
        for cached in ("digest", "extended"):  # pydantic copies them along
            copy.__dict__.pop(cached, None)
        return copy

    def __hash__(self) -> int:
        """Hash by digest, which is computed once; pydantic's would walk all fields each time."""
        return hash(self.digest)

    @cached_property
    def digest(self) -> str:
        """SHA-256 (hex) of the canonical JSON of all that bears on results.

        Fields left at their defaults stay out, so that a later version of the package can add a
        part that is off by default without touching the digests of released tiers.
        """
        facts = self.model_dump(mode="json", exclude_defaults=True, exclude={"summary"})
        text = json.dumps(facts, sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()

    def as_table(self) -> Table:
        """Return its sizes, load and digest."""
        clock, arrivals = self.clock, self.arrivals
        gateways = f"{self.gateways.count}"
        if self.gateways.neighbourhood:
            gateways += f", of {self.num_neighbours} neighbours each"
        if sleep := self.gateways.sleep:
            gateways += f", asleep {sleep.share:.0%} of the time"
        in_slots = f"slots of {clock.slot_s:.12g} s: the game of gateways{', hold' * clock.hold}"
        requests = arrivals.rate_per_s * arrivals.horizon_s
        rows = [
            ("version", f"{self.version}"),
            ("summary", self.summary),
            ("servers", f"{self.num_servers}, of {self.num_services} services each"),
            ("actions", f"{self.num_actions}"),
            ("task types", f"{self.num_types}"),
            ("gateways", gateways),
            ("clock", in_slots if clock.slot_ms else "events"),
            ("requests", f"{requests:,.0f} per episode, in {arrivals.horizon_s:,.0f} s"),
            ("episode", ENDS[self.episode.end]),
            ("digest", self.digest),
        ]
        return Table(f"scenario {self.label}", rows)

    def in_world(self, world: int) -> Scenario:
        """Return the same scenario with the servers of another published world.

        Raises:
            ScenarioError: if the world is no whole number in 0..2**32-1, or the servers are
                written out.
        """
        world = whole_number("world", world)
        if not isinstance(self.servers, DrawnServers):
            raise ScenarioError(
                f"world = {world}: scenario '{self.name}' has no worlds to choose from (its "
                f"servers have law = '{self.servers.law}'): leave world out"
            )
        if not 0 <= world < 2**32:
            raise ScenarioError(f"world = {world}: must be from 0 (the published one) to 2**32 - 1")
        servers = self.servers.model_copy(update={"world": world})
        return self.model_copy(update={"servers": servers})

    def with_gateways(self, count: int) -> Scenario:
        """Return the same scenario with another number of gateways.

        Raises:
            ScenarioError: if the number is not whole, below 1, or larger than any scenario's.
        """
        count = whole_number("gateways", count, ", or 'servers'")
        if not 1 <= count <= MAX_GATEWAYS:
            raise ScenarioError(
                f"gateways = {count}: must be at least 1, or 'servers', and at most {MAX_GATEWAYS}"
            )
        gateways = self.gateways.model_copy(update={"count": count})
        return self.model_copy(update={"gateways": gateways})

    def with_clock(self, slot_s: float, hold: bool) -> Scenario:
        """Return the same scenario with another clock of the multi-agent game.

        Raises:
            ScenarioError: if the slot is negative or below a millisecond, or holding has no slots.
        """
        try:
            clock = Clock(slot_s=slot_s, hold=hold)
        except ValidationError as error:
            raise ScenarioError(f"slot_s = {slot_s}, hold = {hold}: {rule_of(error)}") from None
        if self.gateways.sleep and not clock.slot_ms:
            raise ScenarioError(
                f"slot_s = 0: scenario '{self.name}' has gateways that sleep, which they do in "
                "slots only; leave slot_s out, or gateways.sleep"
            )
        return self.model_copy(update={"clock": clock})

    def with_sleep(self, awake_s: float, asleep_s: float) -> Scenario:
        """Return the same scenario with gateways that sleep.

        Args:
            awake_s: mean time from waking up to the next sleep.
            asleep_s: mean length of a sleep.

        Raises:
            ScenarioError: if it is not in slots, or a time is below a millisecond or too long.
        """
        facts = self.model_dump()
        facts["gateways"]["sleep"] = {"awake_s": awake_s, "asleep_s": asleep_s}
        try:
            return Scenario.model_validate(facts)
        except ValidationError as error:
            raise ScenarioError(
                f"awake_s = {awake_s}, asleep_s = {asleep_s}: {rule_of(error)}"
            ) from None

    def on_events(self) -> Scenario:
        """Return the same scenario on the event clock, which the single environment runs on.

        Where it has gateways that sleep, they do not there: it is not they who decide.
        """
        return self.model_copy(update={"clock": Clock()}) if self.clock.slot_ms else self
