"""Agents on disk: `config.json`, and `weights.safetensors` where there are weights. No pickle."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load, save

from edge_marl._version import __version__
from edge_marl.errors import AgentError, show
from edge_marl.scenario import Scenario

__all__ = ["Config", "Weights", "read_checkpoint", "read_config", "write_checkpoint"]

Weights = dict[str, npt.NDArray[Any]]

Format = Literal["edge-marl-agent-1"]
(FORMAT,) = get_args(Format)
CONFIG, WEIGHTS = "config.json", "weights.safetensors"
PACKAGES = ("numpy", "tianshou", "torch")
"""Their versions are always noted: they decide the last bits of what a network computes."""


class MadeFor(BaseModel):
    """The scenario that an agent was made for."""

    model_config = ConfigDict(strict=True)
    name: str
    digest: str


class Config(BaseModel):
    """What a `config.json` says, so far as it is read."""

    model_config = ConfigDict(strict=True)
    format: Format
    agent: str
    scenario: MadeFor
    settings: dict[str, Any]
    weights_sha256: str | None = None
    """Of the weights' file; None where the agent has no weights."""


def write_checkpoint(
    folder: Path,
    agent: str,
    scenario: Scenario,
    settings: dict[str, Any],
    weights: Weights,
    packages: Sequence[str] = (),
) -> None:
    """Write an agent to a folder, which is made if need be.

    Args:
        folder: where to.
        agent: the agent's id.
        scenario: what it was made for.
        settings: its resolved settings.
        weights: its arrays by name; none writes no weights file.
        packages: distributions that it needs besides `PACKAGES`; their versions are noted too.
    """
    folder.mkdir(parents=True, exist_ok=True)
    config: dict[str, Any] = {
        "format": FORMAT,
        "agent": agent,
        "scenario": {"name": scenario.label, "digest": scenario.digest},
        "settings": settings,
        "versions": {"edge-marl": __version__}
        | {package: metadata.version(package) for package in (*PACKAGES, *packages)},
    }
    if weights:
        content = save({name: np.ascontiguousarray(array) for name, array in weights.items()})
        config["weights_sha256"] = hashlib.sha256(content).hexdigest()
        (folder / WEIGHTS).write_bytes(content)
    (folder / CONFIG).write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", "utf-8")


def read_checkpoint(
    folder: Path, agent: str, scenario: Scenario, transfer: bool = False
) -> tuple[dict[str, Any], Weights]:
    """Return the settings and the weights of an agent on disk.

    Args:
        folder: where it is.
        agent: the agent's id.
        scenario: what it is to decide in.
        transfer: whether that may be another scenario than the one it was made for.

    Raises:
        AgentError: no readable checkpoint, one of another agent or scenario, or damaged weights.
    """
    config = read_config(folder)
    if config.agent != agent:
        raise AgentError(f"{folder} holds an agent '{config.agent}', not '{agent}'")
    made_for = config.scenario
    if made_for.digest != scenario.digest and not transfer:
        raise AgentError(
            f"{folder} holds an agent made for scenario '{made_for.name}' (digest "
            f"{made_for.digest[:12]}), not for '{scenario.label}' ({scenario.digest[:12]}): "
            "load it with the scenario it was made for, or with transfer (--transfer)"
        )
    if config.weights_sha256 is None:
        return config.settings, {}
    return config.settings, _read_weights(folder / WEIGHTS, config.weights_sha256)


def read_config(folder: Path) -> Config:
    """Return the content of a checkpoint's `config.json`.

    Raises:
        AgentError: if there is none, or it is not one of this format.
    """
    path = folder / CONFIG
    try:
        return Config.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise AgentError(f"{folder} holds no agent: there is no {CONFIG} in it") from None
    except OSError as error:
        raise AgentError(f"{path}: cannot be read ({error})") from None
    except ValidationError as error:
        raise AgentError(f"{path}: {_whats_wrong(error)}") from None


def _whats_wrong(error: ValidationError) -> str:
    """Return the first thing that is wrong with a `config.json`."""
    first = error.errors(include_url=False)[0]
    if first["type"] == "json_invalid":
        return f"not readable as JSON ({first['msg']})"
    place, value = first["loc"], first["input"]
    if place in ((), ("format",)):
        found = value if isinstance(value, str) else None
        return f"format {found!r}: this version of edge-marl reads '{FORMAT}'"
    field = ".".join(map(str, place))
    if first["type"] == "missing":
        return f"{field} is missing: every '{FORMAT}' has it"
    return f"{field} = {show(value)}: {first['msg']}"


def _read_weights(path: Path, sha256: str) -> Weights:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise AgentError(f"{path}: the agent's weights cannot be read ({error})") from None
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise AgentError(
            f"{path}: has SHA-256 {found}, {CONFIG} says {sha256}: the file is damaged or edited"
        )
    try:
        return load(content)
    except SafetensorError as error:
        raise AgentError(f"{path}: not a safetensors file ({error})") from None
