"""Scenarios from tiers, files and text, and what is wrong with them in one message."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, get_args

from pydantic import ValidationError

from edge_marl.errors import ScenarioError, did_you_mean
from edge_marl.scenario.scenario import Scenario
from edge_marl.scenario.section import Section, told_of
from edge_marl.scenario.servers import DeviceServers, DrawnServers, GivenServers
from edge_marl.tiers.extending import EXTENDS, Layers, parse_layers, read_file
from edge_marl.tiers.releases import labels_of_releases, list_games, list_tiers, read_tier

__all__ = [
    "check_scenario",
    "find_release",
    "load_scenario",
    "parse_scenario",
    "read_layers",
    "split_label",
]

LAWS: dict[str, type[Section]] = {
    "adsac": DrawnServers,
    "agod": DrawnServers,
    "given": GivenServers,
    "devices": DeviceServers,
}
"""What `[servers]` may hold, by its `law`."""


def load_scenario(scenario: str | Path | Scenario, world: int | None = None) -> Scenario:
    """Return the scenario of a released name, a TOML file's path, or one already loaded.

    A tier's name alone is its newest version; `campus@1` is version 1.

    Args:
        scenario: for example `"paper"`, `"campus@1"`, `"my_world.toml"` or a `Scenario`; a game
            or a test set of a tier likewise: `"paper-game"`, `"metro-half@2"`.
        world: replaces the world that the scenario states (`paper` has worlds 0..9).

    Raises:
        ScenarioError: neither name, path nor `Scenario`; unknown tier or version; unreadable or
            malformed file (line, field, what is allowed); no such world.
    """
    if isinstance(scenario, str | Path):
        scenario = _checked(read_layers(scenario))
    elif not isinstance(scenario, Scenario):
        raise ScenarioError(
            f"scenario = {scenario!r}: must be a tier's name, the path of a scenario file, or a "
            "Scenario"
        )
    return scenario if world is None else scenario.in_world(world)


def check_scenario(scenario: Any) -> Scenario:
    """Return a scenario that has been loaded, and nothing else.

    Raises:
        ScenarioError: if it is a name, a path, or anything else.
    """
    if not isinstance(scenario, Scenario):
        raise ScenarioError(
            f"scenario = {scenario!r}: must be a Scenario, as edge_marl.load_scenario returns it"
        )
    return scenario


def split_label(label: str) -> tuple[str, int | None]:
    """Return the release and the world that a label names: `paper-w3` is world 3 of `paper`.

    The world is None where the label names none: the published one.
    """
    match = re.fullmatch(r"(.*?)-w([0-9]{1,10})", label)
    return (match[1], int(match[2])) if match else (label, None)


def find_release(label: str, digest: str) -> Scenario | None:
    """Return the release that is, or was, called by a label, given its digest; None if none is.

    Before a tier had versions its label was its name alone, which is now that of the newest.
    """
    release, world = split_label(label)
    name = release.partition("@")[0]
    released = {*list_tiers(), *list_games()}
    for known in (label for label in labels_of_releases(name) if label in released):
        try:
            found = load_scenario(known, world)
        except ScenarioError:  # no such world
            continue
        if found.digest == digest:
            return found
    return None


def read_layers(source: str | Path) -> Layers:
    """Return what the file of a release, or of a path, states with all that it extends.

    Raises:
        ScenarioError: as `load_scenario`, but for what the file states.
    """
    path = Path(source)
    if path.suffix != ".toml":
        return parse_layers(read_tier(str(source)), f"{source}.toml")
    return parse_layers(read_file(path), str(path))


def parse_scenario(text: str, where: str) -> Scenario:
    """Return the scenario that TOML text describes; `where` names its place in errors.

    Raises:
        ScenarioError: with place, line, field, value and rule of everything that is wrong.
    """
    return _checked(parse_layers(text, where))


def _checked(layers: Layers) -> Scenario:
    try:
        return Scenario.model_validate(layers.facts)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False)
        # A list whose item is refused is reported as too short as well.
        inner = {problem["loc"][:-1] for problem in found if problem["loc"]}
        told = [problem for problem in found if problem["loc"] not in inner]
        raise ScenarioError(*(_explain(problem, layers) for problem in told)) from None


def _explain(problem: Any, layers: Layers) -> str:
    """One line for one validation problem: place, field, value, rule, what is allowed."""
    loc = list(problem["loc"])
    if loc[:1] == ["servers"] and loc[1:2] and loc[1] in LAWS:
        del loc[1]  # the tag of a union, no key of the file
    field = ".".join(str(part) for part in loc) or "the file as a whole"
    place = layers.place_of(loc)
    if problem["type"] == "extra_forbidden":
        allowed = _allowed_fields(problem["loc"][:-1])
        hint = did_you_mean(str(loc[-1]), allowed)
        return f"{place}: unknown field '{field}': {hint}Allowed here: {', '.join(allowed)}"
    if problem["type"] == "missing":
        return f"{place}: field '{field}' is missing: it has no default"
    return f"{place}: {told_of(problem, field)}"


def _allowed_fields(loc: tuple[int | str, ...]) -> list[str]:
    if not loc:
        return sorted([*Scenario.model_fields, EXTENDS])
    known: Any = LAWS[str(loc[1])] if loc[0] == "servers" else Scenario
    names = loc[2:] if loc[0] == "servers" else loc
    for name in names:
        if isinstance(name, str):
            known = _section_in(known.model_fields[name].annotation)
    return sorted(known.model_fields)


def _section_in(annotation: Any) -> Any:
    """The section in `Section`, `Section | None` or `tuple[Section, ...]`."""
    if isinstance(annotation, type):
        return annotation
    return next(_section_in(part) for part in get_args(annotation) if part is not type(None))
