"""Facts of a submission that follow from others: its tier, its kind, its means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any, get_args

from edge_marl.agents import Agent, Trainer, names
from edge_marl.agents.base import Sharing
from edge_marl.agents.own_files import file_of, own_sources
from edge_marl.agents.registry import find, own_class
from edge_marl.errors import AgentError, ScenarioError, SubmissionError
from edge_marl.leaderboards.submission import files
from edge_marl.leaderboards.submission.schema import (
    Execution,
    Information,
    Kind,
    Run,
)
from edge_marl.scenario import Scenario, list_games, list_tiers, load_scenario, split_label

__all__ = [
    "board_name",
    "check_name",
    "code_sha256",
    "execution_of",
    "information_of",
    "is_registered",
    "is_released",
    "kind_of",
    "means_of",
    "registered_name",
    "sharing_of",
    "tier_of",
]


LOOK_ALIKE = str.maketrans("01345i", "oleasl", ".-")
"""Characters of a board's names that are read for one another, and those that are overlooked."""


def check_name(name: str) -> None:
    """Raise unless an agent of the authors' own has a name that reads like no registered one's.

    Raises:
        SubmissionError: it does.
    """
    for registered in names():
        if name.translate(LOOK_ALIKE) == registered.translate(LOOK_ALIKE):
            raise SubmissionError(
                f"agent '{name}' is not registered, and reads like '{registered}', which is: give "
                "it a name of its own (edge-marl submit --name)"
            )


def is_released(scenario: Scenario) -> bool:
    """Whether a scenario is a released tier or game, or another world of one."""
    released = tier_of(scenario.label)
    return released is not None and released.digest == scenario.digest


def tier_of(label: str) -> Scenario | None:
    """Return the released tier or game with a label; None if there is none.

    Args:
        label: such as `paper`, `campus@1`, `paper-game@1` or, of another world, `paper-w3`.
    """
    release, world = split_label(label)
    if release not in (*list_tiers(), *list_games()):
        return None
    try:
        scenario = load_scenario(release, world)
    except ScenarioError:
        return None
    return scenario if scenario.label == label else None


def kind_of(agent: str) -> Kind:
    """Return what a registered agent is, or one given as `module:Class` or `file.py:Class`."""
    agent_class = find(agent)
    if issubclass(agent_class, Trainer):
        return "learner"
    return "deterministic" if agent_class.deterministic else "randomised"


def board_name(agent: str) -> str:
    """Return the name on the boards of a registered agent; of `in-turn:prophet` it has a dot."""
    return agent.replace(":", ".")


def registered_name(name: str) -> str:
    """Return the name of a registered agent, given that on the boards; else the name."""
    agent = name if name in names() else name.replace(".", ":", 1)
    return agent if own_class(agent) == "" else name


def is_registered(agent: str) -> bool:
    """Whether an agent of this name is registered."""
    try:
        find(agent)
    except AgentError:
        return False
    return own_class(agent) == ""


def execution_of(agent: str) -> Execution:
    """Return the class of a policy of gateways, of an agent named as for `kind_of`.

    A trainer's policies are decentralised: whatever they were trained on.
    """
    agent_class = find(agent)
    central = issubclass(agent_class, Agent) and agent_class.central
    return "central" if central else "decentralised"


def information_of(agent: str) -> Information:
    """Return what the training of an agent uses, named as for `kind_of`."""
    agent_class = find(agent)
    return agent_class.information if issubclass(agent_class, Trainer) else "none"


def sharing_of(settings: Mapping[str, Any]) -> Sharing:
    """Return which gateways have the same weights, by the resolved settings of an agent."""
    known: tuple[Sharing, ...] = get_args(Sharing)
    return next((one for one in known if one == settings.get("sharing")), "all")


def code_sha256(agent: str) -> str:
    """Return the digest of the file of an agent given as `module:Class` or `file.py:Class`.

    Nothing of it is run.

    Raises:
        SubmissionError: if there is no such file, or it imports others that nobody has installed.
    """
    place = agent.rpartition(":")[0]
    path = file_of(place)
    content = files.read_bytes(path, files.MIB)
    others = {
        name: other
        for name, other in own_sources(place).items()
        if other.resolve() != path.resolve() and other.stat().st_size
    }
    if others:
        raise SubmissionError(
            f"agent '{agent}' needs {', '.join(sorted(others))}: a submitted agent is one file "
            "(file.py:Class): put that code into it, or install it as a package"
        )
    return files.sha256_of(content)


def means_of(runs: Sequence[Run]) -> dict[str, float | None]:
    """Return the mean of every metric over all runs and workloads that have it."""
    means: dict[str, float | None] = {}
    for name in runs[0].metrics:
        values = [value for run in runs for value in run.metrics[name] if value is not None]
        means[name] = fmean(values) if values else None
    return means
