"""What a gateway is told of itself and of its servers: a TOML file beside the scenario's."""

from __future__ import annotations

import ipaddress
import tomllib
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, ValidationError, model_validator

from edge_marl.errors import ServingError
from edge_marl.scenario import Scenario, load_scenario
from edge_marl.scenario.section import (
    Coordinate,
    Factor,
    Quality,
    Seconds,
    Section,
    Span,
    Steps,
    told_of,
)

__all__ = ["Backend", "Config", "Limits", "Service", "load_config"]

Count = Annotated[int, Field(ge=1, le=2**16)]
Place = tuple[Annotated[float, Field(ge=0, le=1e4)], Annotated[float, Field(ge=0, le=1e4)]]
UrlPath = Annotated[str, Field(pattern=r"^(/[!-~]*)?$")]
"""Path of an address; empty is none."""


class Backend(Section):
    """A model server: one of the scenario's servers, in their order."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")]
    address: Annotated[str, Field(pattern=r"^https?://[!-~]+[^/]$")]
    """Where its API is, without a path."""
    models: Annotated[tuple[str, ...], Field(min_length=1, max_length=62)]
    """What it calls the model of each service, in their order; "" is one that it has not got."""
    capacity: Steps | None = None
    """Denoising steps in progress at one time; the scenario's own where it states servers."""
    slowdown: Factor = 1.0
    """Run time against that of `tasks.run_time_minutes`, on top of the model's."""
    memory_mib: Annotated[int, Field(ge=0, le=2**40)] = 0
    """Memory for models; counts where the scenario has a section `residency`."""
    joule_per_step: Annotated[float, Field(ge=0, le=1e6)] = 0.0
    """Energy of a denoising step of a model of slowdown 1."""
    place_km: Place = (0.0, 0.0)
    """Where it is: decides on nearness, and on delay where the scenario has a network."""
    bandwidth_mbit: Annotated[float, Field(ge=0.008, le=1e6)] | None = None
    """Of its link; the middle of the network's where it is not stated."""
    health: UrlPath = "/healthz"
    """What is asked, by GET, whether it is up: 200 is yes."""
    report: UrlPath = ""
    """What is asked instead, if it tells what it has in memory and in progress."""


class Service(Section):
    """What a service is worth, where the scenario draws it anew for each episode."""

    quality: Annotated[tuple[Quality, ...], Field(min_length=1)]
    """Baseline for each type of task."""
    curve: tuple[Coordinate, Quality, Coordinate, Quality]
    """Quality over denoising steps, on top: ax, ay, bx, by, with bx > ax."""
    load_s: Seconds = 0.0
    """Time to load its model."""


class Limits(Section):
    """What a gateway takes, and how long it waits."""

    body_kb: Count = 1024
    """Size of a request's body."""
    answer_mb: Count = 64
    """Size of a backend's answer that is not streamed."""
    in_flight: Count = 256
    """Requests that are there at one time, those that wait for a decision among them."""
    body_s: Span = 10.0
    """For a client to send its body."""
    decide_s: Span = 0.25
    """For the policy to decide."""
    connect_s: Span = 2.0
    """For a backend to take a connection, and to say whether it is up."""
    answer_s: Span = 300.0
    """For a backend to answer, and between two parts of a stream."""
    probe_s: Span = 1.0
    """Between two questions whether a backend is up."""
    attempts: Annotated[int, Field(ge=1, le=16)] = 2
    """Backends that a request is sent to at most, one after the other where one fails."""
    stop_s: Seconds = 30.0
    """For requests in flight to end, after a signal to stop."""


class Config(Section):
    """A gateway and its servers."""

    scenario: str
    """A tier's name, or the path of a scenario file from the folder of this one."""
    gateway: Annotated[int, Field(ge=0, lt=2**20)] = 0
    """Which of the scenario's gateways it is."""
    host: str = "127.0.0.1"
    """Address to listen on; any but a loopback one is open to the network."""
    port: Annotated[int, Field(ge=0, le=65535)] = 8080
    """0 is a free one."""
    place_km: Place = (0.0, 0.0)
    """Where the gateway is."""
    types: tuple[str, ...] = ()
    """Names of the types of tasks, in their order; without them they go by number."""
    tokens_per_step: Annotated[int, Field(ge=1, le=2**31 - 1)] = 64
    """Tokens of prompt and answer together that count as a step of demand."""
    limits: Limits = Limits()
    backends: Annotated[tuple[Backend, ...], Field(min_length=1)]
    services: tuple[Service, ...] = ()

    @property
    def on_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    @model_validator(mode="after")
    def _named_once(self) -> Self:
        names = [backend.name for backend in self.backends]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two backends are called '{name}': give each its own name")
        return self


def load_config(path: Path, **instead: Any) -> tuple[Config, Scenario]:
    """Return what a file tells, and the scenario that it names.

    Args:
        path: of the file.
        instead: fields that are not as the file has them; None: as it has it.

    Raises:
        ServingError: unreadable or malformed file, or one that does not fit its scenario.
        ScenarioError: what is wrong with the scenario.
    """
    try:
        facts = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise ServingError(f"{path}: there is no such file") from None
    except (OSError, ValueError, RecursionError) as error:
        raise ServingError(f"{path}: not readable as TOML ({error})") from None
    try:
        facts |= {name: value for name, value in instead.items() if value is not None}
        config = Config.model_validate(facts)
    except ValidationError as error:
        raise ServingError(
            *(f"{path}: {_explain(problem)}" for problem in error.errors())
        ) from None
    named = path.parent / config.scenario
    scenario = load_scenario(named if named.suffix == ".toml" else config.scenario)
    _check_fits(path, config, scenario)
    return config, scenario


def _explain(problem: Any) -> str:
    """One line for one problem: field, value, rule."""
    field = ".".join(map(str, problem["loc"])) or "the file as a whole"
    if problem["type"] == "extra_forbidden":
        return f"{field}: there is no such field; leave it out"
    if problem["type"] == "missing":
        return f"{field} is missing: it has no default"
    return told_of(problem, field)


def _check_fits(path: Path, config: Config, scenario: Scenario) -> None:
    """Raise ServingError unless a file has what its scenario asks for."""
    label, servers, services = scenario.label, scenario.num_servers, scenario.num_services
    if len(config.backends) != servers:
        raise ServingError(
            f"{path}: {len(config.backends)} backends: scenario '{label}' has {servers} servers; "
            "give each one backend, or export the scenario and change its servers"
        )
    if config.gateway >= scenario.gateways.count:
        raise ServingError(
            f"{path}: gateway = {config.gateway}: scenario '{label}' has gateways 0 to "
            f"{scenario.gateways.count - 1}"
        )
    if config.types and len(config.types) != scenario.num_types:
        raise ServingError(
            f"{path}: types names {len(config.types)}: scenario '{label}' has {scenario.num_types}"
        )
    for backend in config.backends:
        if len(backend.models) != services:
            raise ServingError(
                f"{path}: backend '{backend.name}' names {len(backend.models)} models: scenario "
                f"'{label}' has {services} services; name one for each, \"\" if it has none"
            )
