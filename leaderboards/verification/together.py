"""A game in closed loop: a process per gateway, in lock step, each decision with a deadline.

The processes are asked one after the other, so that each has a processor to itself. One that is
late has chosen to do nothing: it holds its task where the game has that, and loses it elsewhere.
What they chose is then a log like any other, on which gateways can be asked alone: whatever way of
telling each other they had while they played together, there they have it no longer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager

import numpy as np
import numpy.typing as npt

from edge_marl.leaderboards.policies.asking import InProcess
from edge_marl.leaderboards.policies.opening import OpenGateways
from edge_marl.leaderboards.submission.chain import Moment
from edge_marl.scenario import Scenario
from edge_marl.workload import Workload

__all__ = ["DEADLINE_S", "PROCESSES", "Together", "open_together"]

DEADLINE_S = 0.1
"""Seconds of its processor that a gateway has for a decision; for those of several episodes that
are asked at once, as many times that. What a process is asked first is not timed: there libraries
are loaded and code is compiled, which takes an honest heuristic seconds."""

PROCESSES = 32
"""At once: a process with a network takes some 200 MiB. Where there are more gateways, each process
has several, an agent each."""


class Together:
    """Asks each gateway's process in turn, and makes one answer of theirs.

    Args:
        asks: a process each.
        groups: the gateways of each.
        scenario: the game.
    """

    def __init__(
        self, asks: Sequence[InProcess], groups: Sequence[Sequence[int]], scenario: Scenario
    ) -> None:
        self._asks, self._groups = asks, groups
        self._decided = [False] * len(asks)
        self._nothing = scenario.num_actions
        self.late: list[npt.NDArray[np.bool_]] = []
        """(R,) decisions of each step that came too late."""

    def __call__(self, moment: Moment) -> npt.NDArray[np.int64]:
        """Return the actions of all rows, (R,)."""
        chosen = np.zeros(len(moment.going), dtype=np.int64)
        late = np.zeros(len(moment.going), dtype=np.bool_)
        for number, (ask, group) in enumerate(zip(self._asks, self._groups, strict=True)):
            rows = rows_of_gateways(group, moment)
            own = moment.at(rows)
            chosen[rows] = ask(own)
            if decisions := int(own.going.sum()):
                if self._decided[number] and ask.used_s > DEADLINE_S * decisions:
                    late[rows] = own.going
                self._decided[number] = True
        self.late.append(late)
        return np.where(late, self._nothing, chosen)

    def preferences(self) -> None:
        """It is not asked: nothing is compared with what it chooses while it plays."""


def rows_of_gateways(group: Sequence[int], moment: Moment) -> npt.NDArray[np.int64]:
    """Return the rows of some gateways, episode by episode."""
    episodes = np.arange(0, len(moment.going), moment.gateways)
    rows: npt.NDArray[np.int64] = np.add.outer(episodes, group).ravel()
    return rows


@contextmanager
def open_together(
    opener: OpenGateways, scenario: Scenario, seed: int, workloads: Sequence[Workload]
) -> Iterator[Together]:
    """Open the processes of all gateways of a game.

    Args:
        opener: opens some gateways of a policy, in a process of its own.
        scenario: the game.
        seed: of the run.
        workloads: of the episodes.
    """
    groups = [
        part.tolist()
        for part in np.array_split(np.arange(scenario.gateways.count), PROCESSES)
        if len(part)
    ]
    with ExitStack() as stack:
        asks = []
        for group in groups:
            opened: AbstractContextManager[InProcess] = opener(seed, workloads, group)
            asks.append(stack.enter_context(opened))
        yield Together(asks, groups, scenario)
