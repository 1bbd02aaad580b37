"""An agent's own code: what it raises is told as one line, and what it decides is checked."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Mapping
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_marl.agents.base import Agent
from edge_marl.errors import AgentError

__all__ = ["CheckedAgent", "module_of", "told"]

LONGEST = 300
"""Characters of an exception's text that are told."""


class CheckedAgent:
    """An agent whose decisions are counted and checked.

    Args:
        agent: what decides.
    """

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self._decisions = 0

    def reset(self, seed: int) -> None:
        """Start new episodes (see `Agent.reset`).

        Raises:
            AgentError: the agent's code raised.
        """
        self._decisions = 0
        try:
            self._agent.reset(seed)
        except Exception as error:  # whatever its code raises
            raise self.error(f"reset raised {told(error, module_of(type(self._agent)))}") from error

    def act(
        self, observation: npt.NDArray[np.float32], info: Mapping[str, Any]
    ) -> npt.NDArray[np.int64]:
        """Return one whole number per row (see `Agent.act`); whether it is an action is not asked.

        Raises:
            AgentError: the agent's code raised, or returned something else.
        """
        self._decisions += 1
        try:
            action = np.asarray(self._agent.act(observation, info))
        except Exception as error:  # whatever its code raises, or arrays of no one shape
            raise self.error(f"act raised {told(error, module_of(type(self._agent)))}") from error
        rows = len(observation)
        if action.shape != (rows,) or not np.issubdtype(action.dtype, np.integer):
            raise self.error(
                f"act returned shape {action.shape} and type {action.dtype}: must be {rows} whole "
                "numbers, one action per row"
            )
        return action.astype(np.int64, copy=False)

    def error(self, reason: str) -> AgentError:
        """Return the error that says what is wrong with the latest decision."""
        name = getattr(self._agent, "name", type(self._agent).__name__)
        when = f", decision {self._decisions}" if self._decisions else ""
        return AgentError(f"agent '{name}'{when}: {reason}")


def told(error: Exception, code: ModuleType | None) -> str:
    """Return an exception as one line: its type, its text, and where it was raised.

    Args:
        error: as it was caught.
        code: the module of the agent's class: an exception from deeper down is told at the line
            there that led to it.
    """
    text = " ".join(f"{type(error).__name__}: {error}".split())
    text = text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
    file = getattr(code, "__file__", None)
    own = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    return f"{text}, at {own[-1].filename}:{own[-1].lineno}" if own else text


def module_of(kind: type) -> ModuleType | None:
    """Return the module that a class was defined in."""
    return sys.modules.get(kind.__module__)
