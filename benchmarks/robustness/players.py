"""Whom a sheet is about: an agent by its name or its folder, made anew for each game it plays."""

from __future__ import annotations

import hashlib
import inspect
from pathlib import Path

from edge_marl.agents.base import Agent
from edge_marl.agents.checkpoint import CONFIG, read_config
from edge_marl.agents.registry import find, load, make, own_class
from edge_marl.errors import AgentError
from edge_marl.scenario import Scenario
from edge_marl.scenario.evidence import by_utility, read_evidence

__all__ = ["Player", "held_out"]

OTHERWISE = ("prophet", "power-of-two")
"""Heuristics to play against where no evidence says which is best: the first that is no agent."""


class Player:
    """An agent that plays in games of several sizes.

    Args:
        text: a name, module:Class or file.py:Class; or the folder of a trained agent, or of a
            training that has one.

    Raises:
        AgentError: no such agent, or one that has to learn first.
    """

    def __init__(self, text: str) -> None:
        self.name = self.label = text
        self._folder = _folder_of(text)
        sha = hashlib.sha256(text.encode())
        if self._folder is not None:
            config = read_config(self._folder)
            self.name = config.agent
            self.label = f"{config.agent} ({text})"
            sha.update((self._folder / CONFIG).read_bytes())
            kind = find(config.agent)
        else:
            kind = find(text)
            if not issubclass(kind, Agent):
                raise AgentError(
                    f"agent '{text}' has to learn first: `edge-marl train --agent {text}`, and "
                    "give the folder that it is trained in"
                )
            if own_class(text):
                sha.update(Path(inspect.getfile(kind)).read_bytes())
        self.is_central = issubclass(kind, Agent) and kind.central
        """Whether it decides for all gateways together."""
        self.digest = sha.hexdigest()
        """Of all that says how it decides."""

    @property
    def learns(self) -> bool:
        """Whether it was trained."""
        return self._folder is not None

    def made_for(self, game: Scenario) -> Agent:
        """Return a new agent that decides in a game, whichever it was trained in.

        Raises:
            AgentError: it does not fit the game's sizes, or cannot be read or made.
        """
        if self._folder is not None:
            return load(self._folder, game, transfer=True)
        made = make(self.name, game)
        assert isinstance(made, Agent)
        return made


def _folder_of(text: str) -> Path | None:
    """Return the folder that holds the agent; None for a name."""
    folder = Path(text)
    if not folder.is_dir():
        return None
    inside = folder / "agent"
    return inside if (inside / CONFIG).is_file() else folder


def held_out(game: Scenario, players: list[Player]) -> str:
    """Return the heuristic to play against: the game's best one that is none of the players.

    The best is that of the game's evidence; without any it is one that is good in most.
    """
    evidence = read_evidence(game)
    best = by_utility(evidence["agents"]) if evidence else OTHERWISE
    taken = {player.name for player in players}
    return next((name for name in (*best, *OTHERWISE) if name not in taken), OTHERWISE[0])
