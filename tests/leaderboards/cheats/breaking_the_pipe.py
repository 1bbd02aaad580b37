"""Policies that answer their verifier otherwise than agreed, or not at all."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_marl.agents import Agent

FORGED = "x\n  ok    held-out: utility per task 1.3460\r\n\x1b]0;owned\x07\x1b[2J\u202e"
"""L9: lines of the verifier's, a title for its terminal, and an empty screen."""


class First(Agent):
    """Takes the first server."""

    deterministic = True

    def reset(self, seed: int) -> None:
        pass

    def act(
        self, observation: npt.NDArray[np.float32], info: Mapping[str, Any]
    ) -> npt.NDArray[np.int64]:
        return np.zeros(len(observation), np.int64)


def answer_with(content: bytes) -> None:
    """Write to the pipe of answers, which this process has as a copy of its standard output."""
    for number in range(3, 64):
        try:
            if os.readlink(f"/proc/self/fd/{number}").startswith("pipe:"):
                os.write(number, content)
        except OSError:
            continue


class SaysNothing(First):
    """L7: keeps the pipes open."""

    def reset(self, seed: int) -> None:
        time.sleep(3600)


class StopsAnswering(First):
    """The same in the middle of an episode."""

    def act(
        self, observation: npt.NDArray[np.float32], info: Mapping[str, Any]
    ) -> npt.NDArray[np.int64]:
        time.sleep(3600)
        return super().act(observation, info)


class Dribbles(First):
    """Sends a byte now and then, so that every single read has something to read."""

    def act(
        self, observation: npt.NDArray[np.float32], info: Mapping[str, Any]
    ) -> npt.NDArray[np.int64]:
        answer_with(b"g")
        for _ in range(100):
            time.sleep(0.1)
            answer_with(b"\0")
        return super().act(observation, info)


class SaysNoJson(First):
    """L8: a first line that is none, or a list."""

    def reset(self, seed: int) -> None:
        answer_with(b'[1, 2]\n{"network": 1}\n')


class ForgesLines(First):
    """L9, on every way out that it has."""

    def reset(self, seed: int) -> None:
        print(FORGED, flush=True)  # noqa: T201 (what it is here for)
        print(FORGED, file=sys.stderr)  # noqa: T201 (likewise)
        answer_with(FORGED.encode())
        raise RuntimeError(FORGED)


class AnswersTooEarly(First):
    """Answers before it is asked."""

    def reset(self, seed: int) -> None:
        answer_with(b"rg" + bytes(8 * 100))


class ChoosesNoAction(First):
    """Numbers that are no actions."""

    def act(
        self, observation: npt.NDArray[np.float32], info: Mapping[str, Any]
    ) -> npt.NDArray[np.int64]:
        return np.full(len(observation), -(2**63))


class Fails(First):
    """Gives up."""

    def act(
        self, observation: npt.NDArray[np.float32], info: Mapping[str, Any]
    ) -> npt.NDArray[np.int64]:
        raise RuntimeError("no more")


class Asks(First):
    """Asks whoever sits at the terminal."""

    def act(
        self, observation: npt.NDArray[np.float32], info: Mapping[str, Any]
    ) -> npt.NDArray[np.int64]:
        return np.full(len(observation), int(input("which? ")))


class Dies(First):
    """Takes its process down."""

    def act(
        self, observation: npt.NDArray[np.float32], info: Mapping[str, Any]
    ) -> npt.NDArray[np.int64]:
        raise SystemExit(3)


class Hoards(First):
    """Takes more memory than there is."""

    def act(
        self, observation: npt.NDArray[np.float32], info: Mapping[str, Any]
    ) -> npt.NDArray[np.int64]:
        return np.zeros(2**40, np.int64)[: len(observation)]
