"""A kind of model server: what it is asked for, a step of it, and what its client is told."""

from __future__ import annotations

import mmap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

__all__ = ["MOST_STEPS", "Asked", "Kind", "Task", "WrongRequestError", "whole"]

MOST_STEPS = 10_000


class WrongRequestError(Exception):
    """A request asks for what there is not."""


@dataclass(frozen=True)
class Asked:
    """What a request asks for."""

    steps: int
    """That it holds memory for."""
    what: Any
    """Of a kind's own."""


@dataclass
class Task:
    """A request that is computed."""

    id: str
    model: str
    asked: Asked
    done: Callable[[Any], Any]
    """Called in the engine's thread with what came of it."""
    at: int = 0
    """Steps that are done."""
    until: int = 0
    """Steps that it takes; its kind says so as it begins."""
    state: Any = None
    memory: mmap.mmap | None = None
    left: bool = False
    """Nobody waits for it any more."""


class Kind(Protocol):
    """What an engine computes; all but `asked` and `answer` in its thread."""

    models: Sequence[str]
    paths: Sequence[str]
    """That it is asked on, by POST."""
    slack_mib: int
    """Memory beyond that of its tasks."""
    small: Mapping[str, Any]
    """The body of a request that each model warms up on."""

    def asked(self, path: str, body: Mapping[str, Any]) -> Asked:
        """Return what a body asks for.

        Raises:
            WrongRequestError: what is wrong with it.
        """
        ...

    def begin(self, task: Task) -> None:
        """Make a task ready for its first step, and say how many it takes."""
        ...

    def step(self, model: str, tasks: Sequence[Task]) -> None:
        """Do one step of tasks of a model; their `at` is counted on by the engine."""
        ...

    def made(self, task: Task) -> Any:
        """Return what came of a task."""
        ...

    def answer(self, path: str, asked: Asked, made: Any) -> dict[str, Any]:
        """Return what the client is told."""
        ...


def whole(body: Mapping[str, Any], name: str, default: int, most: int) -> int:
    """Return a number of a body.

    Raises:
        WrongRequestError: it is none from 1 to `most`.
    """
    value = body.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise WrongRequestError(f"{name} = {value!r}: must be a whole number, 1 to {most}")
    return value
