"""Settings of an agent as people write them: `adsac gamma=0.9 attention=false`."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

from pydantic import TypeAdapter, ValidationError

from edge_marl.agents.base import Agent, Trainer
from edge_marl.agents.training.presets import with_network
from edge_marl.agents.training.trainer import LearningTrainer
from edge_marl.errors import AgentError, did_you_mean

__all__ = ["configure", "parse_spec", "read_setting"]


SETTING = r"[a-z_]\w*="
AGENTS = [
    re.compile(rf"{agent}(?=\s+{SETTING}|$)") for agent in (r".*?\.py:\w+", r"[\w.]+:\w+", r"\S+")
]
"""A file's path may hold anything, blanks and `=` too; it is tried first."""


def parse_spec(text: str) -> tuple[str, dict[str, Any]]:
    """Return an agent's id and the settings that follow it, as `name=value`."""
    text = text.strip()
    found = next((hit for agent in AGENTS if (hit := agent.match(text))), None)
    if found is None:
        return text, {}
    settings = re.split(rf"\s+(?={SETTING})", text[found.end() :])[1:]
    return found[0], dict(map(read_setting, settings))


def read_setting(text: str) -> tuple[str, Any]:
    """Read `name=value`; the value is as in JSON, or else text.

    Raises:
        AgentError: if it has no `=`.
    """
    name, equals, value = text.partition("=")
    if not equals:
        raise AgentError(f"setting {text}: must be NAME=VALUE, such as gamma=0.95")
    try:
        return name, json.loads(value)
    except (ValueError, RecursionError):
        return name, value


def configure(made: Agent | Trainer, chosen: Mapping[str, Any]) -> None:
    """Replace settings of a trainer, and with its network what goes with it (`presets.py`).

    Raises:
        AgentError: if it has no such setting, or the value is not one of it.
    """
    if not chosen:
        return
    if not isinstance(made, LearningTrainer):
        raise AgentError(f"agent '{made.name}' has no settings: leave out {', '.join(chosen)}")
    kind = made.config_class
    known = [field.name for field in fields(kind)]
    for name, value in chosen.items():
        if name not in known:
            hint = did_you_mean(name, known)
            raise AgentError(
                f"setting {name}={value}: {hint}the settings of {made.name} are {', '.join(known)}"
            )
    settings = asdict(made.config)
    if chosen.get("network", settings.get("network")) != settings.get("network"):
        settings |= with_network(chosen["network"], made.name, made.scenario)
    try:
        made.config = TypeAdapter(kind).validate_python(settings | dict(chosen))
    except ValidationError as error:
        first = error.errors()[0]
        if not first["loc"]:  # the settings' own check says it all
            raise AgentError(f"{made.name}: {first['ctx']['error']}") from None
        hint = ": write it as JSON, such as [32,32]" if first["type"] == "tuple_type" else ""
        raise AgentError(
            f"setting {first['loc'][0]} = {first['input']!r}: {first['msg']}{hint}"
        ) from None
