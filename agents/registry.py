"""Agents by name, and a user's own agents by `module:Class` or `file.py:Class`."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from edge_marl.agents.base import Agent, CentralAgent, Trainer
from edge_marl.agents.checkpoint import read_config
from edge_marl.agents.own_code import module_of, told
from edge_marl.agents.own_files import let_import_beside
from edge_marl.errors import AgentError, EdgeMarlError, did_you_mean
from edge_marl.scenario import Scenario, check_scenario

__all__ = [
    "find",
    "load",
    "make",
    "names",
    "own_class",
    "references",
    "register",
    "register_family",
    "register_reference",
]

Kind = type[Agent] | type[Trainer]
K = TypeVar("K", bound=Kind)
C = TypeVar("C", bound=type[CentralAgent])
Family = Callable[[type[Agent]], type[CentralAgent]]
"""Makes a reference of an agent."""

_KINDS: dict[str, Kind] = {}
_REFERENCES: dict[str, type[CentralAgent]] = {}
_FAMILIES: dict[str, Family] = {}
_OF_FAMILIES: dict[tuple[str, type[Agent]], type[CentralAgent]] = {}
"""References that were made: an agent has one of each family."""


def register(name: str) -> Callable[[K], K]:
    """Return a class decorator that registers an agent, or a trainer of one, under a name.

    Raises:
        AgentError: if the name is taken, or holds a colon.
    """
    if ":" in name:
        raise AgentError(f"agent name '{name}': a colon is for 'module:Class'; leave it out")

    def add(kind: K) -> K:
        if name in _KINDS:
            raise AgentError(
                f"agent name '{name}' is taken by {_KINDS[name].__qualname__}: choose another"
            )
        kind.name = name
        _KINDS[name] = kind
        return kind

    return add


def register_reference(name: str) -> Callable[[C], C]:
    """Return a class decorator that registers a reference of the game (`CentralAgent`)."""

    def add(kind: C) -> C:
        kind.name = name
        _REFERENCES[name] = kind
        return kind

    return add


def register_family(name: str) -> Callable[[Family], Family]:
    """Return a decorator of a function that makes a reference of any agent.

    For an AGENT it is called `NAME:AGENT`.
    """

    def add(family: Family) -> Family:
        _FAMILIES[name] = family
        return family

    return add


def names() -> list[str]:
    """Names of the registered agents, sorted; for references see `references`."""
    return sorted(_KINDS)


def references() -> dict[str, Any]:
    """References of the game by name, sorted, and what documents each: a class or a family.

    AGENT in a name is that of any agent that acts.
    """
    of_families = {f"{name}:AGENT": family for name, family in _FAMILIES.items()}
    return dict(sorted({**_REFERENCES, **of_families}.items()))


def own_class(name: str) -> str:
    """Return the `module:Class` or `file.py:Class` that an agent's name holds; "" if it is ours."""
    family, colon, inner = name.partition(":")
    if colon and family in _FAMILIES:
        return own_class(inner)
    return name if colon else ""


def make(name: str, scenario: Scenario) -> Agent | Trainer:
    """Return a new agent, or the trainer of one that has to learn first.

    Args:
        name: a registered name, `module:Class` or `file.py:Class` for a class of one's own, or
            that of a reference (`references`).
        scenario: the world that it is for.

    Raises:
        AgentError: unknown name, or no such file, module or class, or a class of the wrong kind or
            that cannot be made.
        ScenarioError: a name or a path instead of a `Scenario`.
    """
    check_scenario(scenario)
    kind = find(name)
    if name in _KINDS:
        return kind(scenario)
    try:
        return kind(scenario)
    except EdgeMarlError:
        raise
    except Exception as error:  # whatever the class's own code raises
        raise AgentError(
            f"agent '{name}' cannot be made for scenario '{scenario.label}' "
            f"({told(error, module_of(kind))})"
        ) from error


def load(folder: str | Path, scenario: Scenario, *, transfer: bool = False) -> Agent:
    """Return the agent that `Agent.save` wrote to a folder.

    Args:
        folder: where it is.
        scenario: the world to decide in.
        transfer: whether that may be another one than the agent was made for.

    Raises:
        AgentError: no readable checkpoint, one made for another scenario, an unknown agent, or one
            that cannot be loaded.
        ScenarioError: a name or a path instead of a `Scenario`.
    """
    check_scenario(scenario)
    name = read_config(Path(folder)).agent
    kind = find(name)
    try:
        return kind.load(folder, scenario, transfer=transfer)
    except EdgeMarlError:
        raise
    except Exception as error:  # whatever the class's own code raises
        raise AgentError(
            f"agent '{name}' cannot be loaded from {folder} ({told(error, module_of(kind))})"
        ) from error


def find(name: str) -> Kind:
    """Return the class that a name stands for (see `make`).

    Raises:
        AgentError: unknown name, or no such file, module or class, or a class of the wrong kind.
    """
    if name in _KINDS:
        return _KINDS[name]
    if name in _REFERENCES:
        return _REFERENCES[name]
    family, colon, inner = name.partition(":")
    if colon and family in _FAMILIES:
        return _of_family(family, inner)
    if colon:
        return _own_class(name)
    hint = did_you_mean(name, [*_KINDS, *_REFERENCES])
    raise AgentError(
        f"unknown agent '{name}': {hint}the agents are {', '.join(names())}; references of the "
        f"game are {', '.join(references())}; one of your own is given as module:Class or "
        "file.py:Class"
    )


def _of_family(family: str, inner: str) -> type[CentralAgent]:
    """Return the reference that a family makes of an agent."""
    kind = find(inner)
    if not issubclass(kind, Agent) or issubclass(kind, CentralAgent):
        why = "learns first" if issubclass(kind, Trainer) else "is a reference itself"
        raise AgentError(f"agent '{family}:{inner}': {inner} {why}; give an agent that acts alone")
    if (family, kind) not in _OF_FAMILIES:
        made = _FAMILIES[family](kind)
        made.name = f"{family}:{inner}"
        _OF_FAMILIES[family, kind] = made
    return _OF_FAMILIES[family, kind]


def _own_class(name: str) -> Kind:
    place, _, attribute = name.rpartition(":")
    module = _run_file(Path(place)) if place.endswith(".py") else _import(place)
    kind = getattr(module, attribute, None)
    if kind is None:
        raise AgentError(f"agent '{name}': {place} has no class '{attribute}'")
    if not (isinstance(kind, type) and issubclass(kind, Agent | Trainer)):
        raise AgentError(
            f"agent '{name}': {attribute} is not a class derived from edge_marl.agents.Agent or "
            "edge_marl.agents.Trainer"
        )
    if "name" not in vars(kind):
        kind.name = name
    return kind


def _import(place: str) -> ModuleType:
    try:
        return importlib.import_module(place)
    except Exception as error:  # whatever the module's own code raises
        raise AgentError(
            f"agent module '{place}' cannot be imported ({type(error).__name__}: {error}); "
            "a file is given with its .py"
        ) from error


def _run_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise AgentError(f"agent file '{path}': there is no such file")
    # Under a name of its own in sys.modules, where dataclasses and the like look it up.
    digest = hashlib.sha256(str(path.resolve()).encode()).hexdigest()
    name = f"edge_marl_own_{path.stem}_{digest[:8]}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise AgentError(f"agent file '{path}': not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    let_import_beside(path)
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # whatever the file's own code raises
        del sys.modules[name]
        raise AgentError(f"agent file '{path}' cannot be run ({told(error, module)})") from error
    return module
