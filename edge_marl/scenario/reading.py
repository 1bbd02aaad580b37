"""Scenarios from tiers, files and text, and what is wrong with them in one message."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from edge_marl import tiers
from edge_marl.errors import ScenarioError, did_you_mean, show
from edge_marl.scenario.scenario import Scenario
from edge_marl.scenario.section import Section
from edge_marl.scenario.servers import DeviceServers, DrawnServers, GivenServers

__all__ = [
    "check_scenario",
    "find_release",
    "list_test_sets",
    "list_tiers",
    "load_scenario",
    "parse_scenario",
    "read_tier",
    "split_label",
]

LAWS: dict[str, type[Section]] = {
    "adsac": DrawnServers,
    "agod": DrawnServers,
    "given": GivenServers,
    "devices": DeviceServers,
}
"""What `[servers]` may hold, by its `law`."""


def list_tiers(newest: bool = False) -> list[str]:
    """Return the labels of all releases of tiers, sorted: `paper`, `campus@1`.

    Args:
        newest: whether only the newest version of each tier is wanted.
    """
    releases = []
    for name in tiers.tier_names():
        releases += _releases(name)[-1:] if newest else _releases(name)
    return sorted(releases)


def _releases(name: str) -> list[str]:
    """Labels of a tier's releases, from the oldest."""
    return [f"{name}@{version}" for version in tiers.versions_of(name)] or [name]


def list_test_sets() -> list[str]:
    """Return the labels of all releases of test sets, sorted: `metro-half@2`."""
    return sorted(label for name in tiers.names_of_test_sets() for label in _releases(name))


def load_scenario(scenario: str | Path | Scenario, world: int | None = None) -> Scenario:
    """Return the scenario of a released name, a TOML file's path, or one already loaded.

    A tier's name alone is its newest version; `campus@1` is version 1.

    Args:
        scenario: for example `"paper"`, `"campus@1"`, `"my_world.toml"` or a `Scenario`; a test set
            of a tier likewise: `"metro-half"`, `"metro-half@2"`.
        world: replaces the world that the scenario states (`paper` has worlds 0..9).

    Raises:
        ScenarioError: neither name, path nor `Scenario`; unknown tier or version; unreadable or
            malformed file (line, field, what is allowed); no such world.
    """
    if isinstance(scenario, str | Path):
        scenario = _read(scenario)
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


def read_tier(name: str) -> str:
    """Return the text of a tier's or test set's file, given its name, or its name and version.

    Raises:
        ScenarioError: unknown tier or version: what there is.
    """
    tier, at, version = name.partition("@")
    names = [*tiers.tier_names(), *tiers.names_of_test_sets()]
    if tier not in names:
        hint = did_you_mean(name, [*names, *list_tiers(), *list_test_sets()])
        raise ScenarioError(
            f"unknown tier '{name}': {hint}The tiers are {', '.join(list_tiers())}; "
            "a scenario of your own is given by the path of its .toml file"
        )
    newest = tiers.read_text(_releases(tier)[-1])
    if not at:
        return newest
    known = tiers.versions_of(tier) or (tomllib.loads(newest)["version"],)
    if version not in map(str, known):
        told = ", ".join(f"{tier}@{number}" for number in known)
        raise ScenarioError(f"tier '{tier}' has no version '{version}': it has {told}")
    return tiers.read_text(name) if tiers.versions_of(tier) else newest


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
    tier = release.partition("@")[0]
    for known in _releases(tier) if tier in tiers.tier_names() else ():
        try:
            found = load_scenario(known, world)
        except ScenarioError:  # no such world
            continue
        if found.digest == digest:
            return found
    return None


def _read(source: str | Path) -> Scenario:
    path = Path(source)
    if path.suffix != ".toml":
        return parse_scenario(read_tier(str(source)), f"{source}.toml")
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
        facts = tomllib.loads(text.removeprefix("\ufeff"))  # the byte order mark of Notepad
    except RecursionError:
        raise ScenarioError(f"{where}: not valid TOML: nested too deeply") from None
    except ValueError as error:  # also of a number of thousands of digits
        line = re.search(r"\(at line (\d+), column \d+\)", str(error))
        place = f"{where}:{line[1]}" if line else where
        raise ScenarioError(f"{place}: not valid TOML: {error}") from None
    try:
        return Scenario.model_validate(facts)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False)
        # A list whose item is refused is reported as too short as well.
        inner = {problem["loc"][:-1] for problem in found if problem["loc"]}
        told = [problem for problem in found if problem["loc"] not in inner]
        problems = [_explain(problem, text, where) for problem in told]
        raise ScenarioError(*problems) from None


def _explain(problem: Any, text: str, where: str) -> str:
    """One line for one validation problem: place, field, value, rule, what is allowed."""
    loc = list(problem["loc"])
    if loc[:1] == ["servers"] and loc[1:2] and loc[1] in LAWS:
        del loc[1]  # the tag of a union, no key of the file
    field = ".".join(str(part) for part in loc) or "the file as a whole"
    place = f"{where}:{_line_of(text, loc)}"
    if problem["type"] == "extra_forbidden":
        allowed = _allowed_fields(problem["loc"][:-1])
        hint = did_you_mean(str(loc[-1]), allowed)
        return f"{place}: unknown field '{field}': {hint}Allowed here: {', '.join(allowed)}"
    if problem["type"] == "missing":
        return f"{place}: field '{field}' is missing: it has no default"
    rule = problem["msg"].removeprefix("Value error, ")
    value = problem["input"]
    shown = "" if isinstance(value, dict | BaseModel) else f" = {show(value)}"
    return f"{place}: {field}{shown}: {rule}"


def _allowed_fields(loc: tuple[int | str, ...]) -> list[str]:
    if not loc:
        return sorted(Scenario.model_fields)
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


def _line_of(text: str, loc: Sequence[int | str]) -> int:
    """Line of the key at `loc`, or of the innermost table or key around it that is written."""
    table: tuple[int | str, ...] = ()
    count: Counter[str] = Counter()
    best, found = 0, 1
    for number, line in enumerate(text.splitlines(), start=1):
        path = table
        if match := re.match(r"\s*(\[\[?)\s*([\w.-]+)\s*\]", line):
            table = path = tuple(match[2].split("."))
            if match[1] == "[[":
                table = path = (*path, count[match[2]])
                count[match[2]] += 1
        elif match := re.match(r"\s*([\w-]+)\s*=", line):
            path = (*table, match[1])
        if len(path) > best and path == tuple(loc[: len(path)]):
            best, found = len(path), number
    return found
