"""A scenario: everything that defines a world and its load, frozen, validated and hashed.

A tier is a scenario that is released with the package (`edge_marl/scenarios/*.toml`); a user's own
file has the same form and works wherever a tier's name does.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import re
import tomllib
from collections.abc import Mapping
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from edge_marl.errors import ScenarioError

__all__ = ["Scenario", "list_tiers", "load_scenario"]

MAX_TASKS = 2**20
"""No episode holds more tasks (the simulator packs a task's number into 20 bits)."""

Positive = Annotated[int, Field(ge=1)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class DrawnServers(_Section):
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


class GivenServers(_Section):
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


class Tasks(_Section):
    """What the users ask for. Type and demand of a task are uniform and independent."""

    types: Positive
    demand: Annotated[tuple[Positive, ...], Field(min_length=1)]
    """Numbers of denoising steps that a task's demand is drawn from."""
    run_time_minutes: tuple[float, float, float]
    """Run time of t steps in minutes: a t^2 + b t + c."""

    def run_time_ms(self, demand: int) -> int:
        """Run time in milliseconds of `demand` denoising steps."""
        a, b, c = self.run_time_minutes
        return round((a * demand**2 + b * demand + c) * 60 * 1000)

    @model_validator(mode="after")
    def _takes_time(self) -> Self:
        for demand in self.demand:
            if self.run_time_ms(demand) < 1:
                raise ValueError(
                    f"run_time_minutes gives {self.run_time_ms(demand)} ms for demand {demand}: "
                    "every demand must run for at least 1 ms"
                )
        return self


class Arrivals(_Section):
    """When tasks arrive: the first at 0, then a Poisson process until the horizon."""

    rate_per_s: Annotated[float, Field(gt=0)]
    horizon_s: Annotated[float, Field(gt=0, le=1e10)]
    resolution_s: Annotated[float, Field(ge=0.001)] = 0.001
    """Arrivals are cut down to multiples of this (published: whole seconds)."""

    @property
    def horizon_ms(self) -> int:
        """Horizon in milliseconds."""
        return round(self.horizon_s * 1000)

    @property
    def resolution_ms(self) -> int:
        """Resolution in milliseconds."""
        return round(self.resolution_s * 1000)

    @model_validator(mode="after")
    def _of_a_size(self) -> Self:
        if self.rate_per_s * self.horizon_s > MAX_TASKS / 2:
            raise ValueError(
                f"rate_per_s x horizon_s = {self.rate_per_s * self.horizon_s:g} tasks per episode: "
                f"at most {MAX_TASKS // 2} fit"
            )
        return self


class Gateways(_Section):
    """Where tasks arrive; each task's gateway is uniform and independent."""

    count: Positive = 1


class Clock(_Section):
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


class Overload(_Section):
    """What it costs to send a task to a server without room for it (SPEC: the server crashes)."""

    penalty: Annotated[float, Field(ge=0)]
    """Cost of a crash, and of each running task that it loses times the part still to run."""
    loss_sum: Literal["by-service", "in-order"]
    """Order of summation of the losses, which decides the last bits: each service's part first
    (ADSAC's code), or one running sum in order of assignment (AGOD's)."""


class Episode(_Section):
    """How an episode ends."""

    end: Literal["last-task", "horizon"]
    """`last-task`: terminates when the last task is shown, which is never assigned (published);
    `horizon`: every task is assigned, then time runs to the horizon and the episode truncates."""


class Scenario(_Section):
    """One world and its load. Frozen; `digest` identifies it in every result."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$")]
    version: Positive
    summary: str
    servers: Annotated[DrawnServers | GivenServers, Field(discriminator="law")]
    tasks: Tasks
    arrivals: Arrivals
    gateways: Gateways = Gateways()
    clock: Clock = Clock()
    overload: Overload
    episode: Episode

    @model_validator(mode="after")
    def _one_baseline_per_type(self) -> Self:
        if isinstance(self.servers, GivenServers):
            known = len(self.servers.baseline[0][0])
            if known != self.tasks.types:
                raise ValueError(
                    f"servers.baseline has {known} task types, tasks.types is {self.tasks.types}"
                )
        return self

    def model_copy(
        self, *, update: Mapping[str, Any] | None = None, deep: bool = False
    ) -> Scenario:
        """Copy with changes (unchecked, as pydantic's); the copy's digest is its own."""
        copy = super().model_copy(update=update, deep=deep)
        copy.__dict__.pop("digest", None)  # pydantic copies cached properties along
        return copy

    def __hash__(self) -> int:
        """Hash by digest, which is computed once; pydantic's would walk all fields each time."""
        return hash(self.digest)

    @property
    def num_servers(self) -> int:
        """Number of servers S."""
        return self.servers.count

    @property
    def num_services(self) -> int:
        """Number of services per server V."""
        return self.servers.services

    @property
    def num_types(self) -> int:
        """Number of task types K."""
        return self.tasks.types

    @property
    def num_actions(self) -> int:
        """Number of actions S * V; action = server * V + service."""
        return self.num_servers * self.num_services

    @property
    def label(self) -> str:
        """Name for people: the tier's, with the world where it is not the published one."""
        return self.name if self.servers.world == 0 else f"{self.name}-w{self.servers.world}"

    @cached_property
    def digest(self) -> str:
        """SHA-256 (hex) of the canonical JSON of all that bears on results.

        Fields left at their defaults stay out, so that a later version of the package can add a
        part that is off by default without touching the digests of released tiers.
        """
        facts = self.model_dump(mode="json", exclude_defaults=True, exclude={"summary"})
        text = json.dumps(facts, sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()

    def in_world(self, world: int) -> Scenario:
        """Return the same scenario with the servers of another published world.

        Raises:
            ScenarioError: if the world is not in 0..2**32-1, or the servers are written out.
        """
        if isinstance(self.servers, GivenServers):
            raise ScenarioError(
                f"world = {world}: scenario '{self.name}' has no worlds to choose from (its "
                'servers are written out, law = "given"): leave world out'
            )
        if not 0 <= world < 2**32:
            raise ScenarioError(f"world = {world}: must be from 0 (the published one) to 2**32 - 1")
        servers = self.servers.model_copy(update={"world": int(world)})
        return self.model_copy(update={"servers": servers})

    def with_gateways(self, count: int) -> Scenario:
        """Return the same scenario with another number of gateways.

        Raises:
            ScenarioError: if the number is below 1.
        """
        if count < 1:
            raise ScenarioError(f"gateways = {count}: must be at least 1, or 'servers'")
        return self.model_copy(update={"gateways": Gateways(count=count)})

    def with_clock(self, slot_s: float, hold: bool) -> Scenario:
        """Return the same scenario with another clock of the multi-agent game.

        Raises:
            ScenarioError: if the slot is negative or below a millisecond, or holding has no slots.
        """
        try:
            clock = Clock(slot_s=slot_s, hold=hold)
        except ValidationError as error:
            rule = error.errors()[0]["msg"].removeprefix("Value error, ")
            raise ScenarioError(f"slot_s = {slot_s}, hold = {hold}: {rule}") from None
        return self.model_copy(update={"clock": clock})


def list_tiers() -> list[str]:
    """Names of the released tiers, sorted."""
    folder = resources.files("edge_marl.scenarios")
    files = [file.name for file in folder.iterdir()]
    return sorted(name.removesuffix(".toml") for name in files if name.endswith(".toml"))


def load_scenario(scenario: str | Path | Scenario, world: int | None = None) -> Scenario:
    """Return the scenario of a tier's name, a TOML file's path, or one already loaded.

    Args:
        scenario: for example `"paper"`, `"my_world.toml"` or a `Scenario`.
        world: replaces the world that the scenario states (`paper` has worlds 0..9).

    Raises:
        ScenarioError: unknown tier; unreadable or malformed file (line, field, what is allowed).
    """
    if not isinstance(scenario, Scenario):
        scenario = _read(scenario)
    return scenario if world is None else scenario.in_world(world)


def _read(source: str | Path) -> Scenario:
    tiers = list_tiers()
    if str(source) in tiers:
        text = resources.files("edge_marl.scenarios").joinpath(f"{source}.toml").read_text("utf-8")
        return parse_scenario(text, f"{source}.toml")
    path = Path(source)
    if path.suffix != ".toml":
        near = difflib.get_close_matches(str(source), tiers, n=1)
        hint = f"did you mean '{near[0]}'? " if near else ""
        raise ScenarioError(
            f"unknown tier '{source}': {hint}The tiers are {', '.join(tiers)}; "
            "a scenario of your own is given by the path of its .toml file"
        )
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        raise ScenarioError(f"{path}: there is no such scenario file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ScenarioError(f"{path}: cannot be read as UTF-8 text ({error})") from None
    return parse_scenario(text, str(path))


def parse_scenario(text: str, where: str) -> Scenario:
    """Return the scenario that TOML text describes; `where` names its place in errors.

    Raises:
        ScenarioError: with place, line, field, value and rule of everything that is wrong.
    """
    try:
        facts = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        line = re.search(r"\(at line (\d+), column \d+\)", str(error))
        place = f"{where}:{line[1]}" if line else where
        raise ScenarioError(f"{place}: not valid TOML: {error}") from None
    try:
        return Scenario.model_validate(facts)
    except ValidationError as error:
        problems = [_explain(problem, text, where) for problem in error.errors()]
        raise ScenarioError("\n".join(problems)) from None


def _explain(problem: Any, text: str, where: str) -> str:
    """One line for one validation problem: place, field, value, rule, what is allowed."""
    # A tagged union puts its tag ("adsac", "given") into the location; it is no key of the file.
    loc = [part for part in problem["loc"] if part not in ("adsac", "agod", "given")]
    field = ".".join(str(part) for part in loc) or "the file as a whole"
    place = f"{where}:{_line_of(text, loc)}"
    if problem["type"] == "extra_forbidden":
        allowed = _allowed_fields(problem["loc"][:-1])
        near = difflib.get_close_matches(str(loc[-1]), allowed, n=1)
        hint = f"did you mean '{near[0]}'? " if near else ""
        return f"{place}: unknown field '{field}': {hint}Allowed here: {', '.join(allowed)}"
    if problem["type"] == "missing":
        return f"{place}: field '{field}' is missing: it has no default"
    rule = problem["msg"].removeprefix("Value error, ")
    value = problem["input"]
    shown = "" if isinstance(value, dict | BaseModel) else f" = {value!r}"
    return f"{place}: {field}{shown}: {rule}"


def _allowed_fields(loc: tuple[int | str, ...]) -> list[str]:
    if not loc:
        return sorted(Scenario.model_fields)
    if loc[0] == "servers":
        return sorted((GivenServers if "given" in loc else DrawnServers).model_fields)
    section: Any = Scenario.model_fields[str(loc[0])].annotation
    return sorted(section.model_fields)


def _line_of(text: str, loc: list[int | str]) -> int:
    """Line of the key at `loc`, or of its table where the key is not written."""
    table = [part for part in loc[:-1] if isinstance(part, str)]
    key = next((part for part in reversed(loc) if isinstance(part, str)), "")
    if loc and not isinstance(loc[-1], str):
        table = table[:-1]
    header, found = "", 1
    for number, line in enumerate(text.splitlines(), start=1):
        if match := re.match(r"\s*\[\s*([\w.-]+)\s*\]", line):
            header = match[1]
            if header == ".".join([*table, key]) or header == ".".join(table):
                found = number
        elif header == ".".join(table) and re.match(rf"\s*{re.escape(key)}\s*=", line):
            return number
    return found
