"""The case of a verification: what it was given, and what its checks have found so far."""

from __future__ import annotations

import shlex
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from edge_marl.agents.base import CentralAgent
from edge_marl.agents.registry import find
from edge_marl.benchmarks.records.provenance import usable_cores
from edge_marl.errors import SubmissionError
from edge_marl.leaderboards.policies.asking import Ask, InProcess
from edge_marl.leaderboards.policies.opening import OpenGateways, OpenPolicy, policies_of
from edge_marl.leaderboards.policies.sandbox import command_of, usable_sandbox
from edge_marl.leaderboards.policies.side_by_side import side_by_side
from edge_marl.leaderboards.submission.chain import (
    Choose,
    Episode,
    Moment,
    chooser_of,
    play_episodes,
)
from edge_marl.leaderboards.submission.facts import registered_name
from edge_marl.leaderboards.submission.files import ACTIONS, Actions, read_ledger
from edge_marl.leaderboards.submission.ledger import HeldOut, Ledger, Outcome, Sandbox, Verification
from edge_marl.leaderboards.submission.results import outcome_of
from edge_marl.leaderboards.submission.schema import Chain, Submission
from edge_marl.leaderboards.verification.choosers import Again, Logged, Seen, checked
from edge_marl.leaderboards.verification.fresh import Fresh, number_from
from edge_marl.leaderboards.verification.together import Together, open_together
from edge_marl.scenario import Scenario
from edge_marl.workload import Workload

__all__ = ["ALONE", "Case", "Played", "expect"]

Item = TypeVar("Item")
Found = TypeVar("Found")

ALONE = 32
"""Gateways of a game that are run alone: all, or of more a sample that nobody could know."""


@dataclass
class Case:
    """One submission under verification; each check may use what those before it have found."""

    folder: Path
    """The submission's."""
    root: Path
    """Of all submissions."""
    ledger: Ledger | None
    """None is the one in `root`."""
    code: str | None
    """`module:Class` or `file.py:Class` of its agent, where that is not registered."""
    fresh: Fresh | None
    """None where no held-out workloads are asked for."""
    opener: OpenPolicy | None
    """None opens the policies in the folder, each in its own process."""
    reviewed: str | None = None
    """`NAME: why`, where a person found that what looks like another's work is not."""
    asked_sandbox: Sandbox | None = None
    """Where they are to run; None is bubblewrap where that works, else nowhere in particular."""
    output: Path | None = None
    """File that keeps what a policy that failed has printed."""

    # Found by the checks of `claims`, which come first: the others have them all.
    submission: Submission = field(init=False)
    scenario: Scenario = field(init=False)
    workloads: list[Workload] = field(init=False)
    chain: Chain = field(init=False)
    actions: Actions = field(init=False)
    """Of a compact submission those of the first run, until the others are made again."""
    is_compact: bool = field(init=False)
    """Whether it brings the log of its first run only."""

    over: threading.Event = field(default_factory=threading.Event)
    """Set where a check has failed: no policy is waited for any more."""
    _opener: OpenGateways | None = None
    _opening: threading.Lock = field(default_factory=threading.Lock)
    steps: int = 0
    """Moments of the longest episode of any run; from the replay."""
    again: list[list[Again]] = field(default_factory=list)
    """What the policy of each run, or each of its gateways that was asked alone, chose on the test
    workloads; from re-execution."""
    seen: list[Seen] = field(default_factory=list)
    """What the episodes of each run showed; from re-execution."""
    differing: int | None = None
    """Decisions that it makes otherwise than the log says; from re-execution."""
    sandbox: Sandbox | None = None
    """Where its policies ran; None if none has."""
    twins: int | None = None
    """Twin episodes that it was asked in."""
    closed_loop: Outcome | None = None
    """What the policy got on the test workloads, playing by itself; None where no decision
    differs, as it got what the log says."""
    held_out: HeldOut | None = None
    """Its result on held-out workloads."""

    @cached_property
    def taken_in(self) -> Ledger:
        """The ledger."""
        return read_ledger(self.root) if self.ledger is None else self.ledger

    @property
    def known(self) -> Verification | None:
        """The ledger's entry of this very submission."""
        return self.taken_in.verification_of(self.submission)

    @property
    def decisions(self) -> int:
        """All decisions of all runs."""
        return len(self.actions.actions)

    @property
    def container_line(self) -> str | None:
        """The command that runs its first policy in a container, where that is asked for."""
        if self.asked_sandbox != "container":
            return None
        first = self.folder / "policy" / f"seed-{self.submission.runs[0].seed}"
        with command_of("container", first.resolve(), self.code) as command:
            return shlex.join(command.argv)

    @property
    def is_decentralised(self) -> bool:
        """Whether it is a policy of gateways that says to decide alone."""
        game = self.submission.game
        return game is not None and game.execution == "decentralised"

    @property
    def asks_all(self) -> bool:
        """Whether all gateways are run alone, not a sample."""
        return self.scenario.gateways.count <= ALONE

    @cached_property
    def asked_alone(self) -> list[int]:
        """Gateways that are run alone, each in a process of its own; none where it is no
        decentralised policy, or where a test opens it."""
        if not self.is_decentralised or self.opener is not None:
            return []
        every = range(self.scenario.gateways.count)
        if self.asks_all:
            return list(every)
        parts = (self.submission.seal, self.fresh.value if self.fresh else "")
        return sorted(sorted(every, key=lambda g: number_from("alone", g, *parts))[:ALONE])

    def side_by_side(self, ask: Callable[[Item], Found], items: Iterable[Item]) -> list[Found]:
        """Return what is found for each item, where policies are asked (`side_by_side`).

        Those of the package's code are asked with a processor each. Another's code is asked of one
        after the other: while one policy runs there is none that it could tell anything, be it by
        how long it takes.
        """
        at_once = usable_cores() if self.code is None else 1
        return side_by_side(ask, items, at_once, self.over)

    def log_of(self, number: int) -> Logged:
        """Return the log of a run, at its start."""
        where = f"{self.folder / ACTIONS}: run {self.submission.runs[number].seed}"
        return Logged(self.actions, number, self.scenario, where)

    def open_policy(
        self, seed: int, workloads: Sequence[Workload], gateway: int | None = None
    ) -> AbstractContextManager[Ask]:
        """Open the policy of a run at the start of episodes, one per workload.

        Args:
            seed: of the run.
            workloads: of the episodes.
            gateway: of a game, whose policy is opened alone; None opens the whole policy.
        """
        if self.opener is not None:
            return self.opener(seed, workloads)
        if self.is_reference:
            return nullcontext(self._reference(seed, workloads))
        if gateway is not None:
            return self.open_alone(seed, workloads, gateway)
        return self._own_processes(seed, workloads)

    def open_alone(
        self, seed: int, workloads: Sequence[Workload], gateway: int
    ) -> AbstractContextManager[InProcess]:
        """Open a gateway's policy of a run, in a process of its own."""
        return self._own_processes(seed, workloads, (gateway,))

    def open_whole_policy(
        self, seed: int, workloads: Sequence[Workload]
    ) -> AbstractContextManager[Ask]:
        """Open the policy of a run as `chooser_of` plays it, all of it in one process: what it
        decides there is asked of each gateway alone later."""
        if not self.is_decentralised or self.opener is not None:
            return self.open_policy(seed, workloads)
        every = range(self.scenario.gateways.count)
        return self._own_processes(seed, workloads, every, may_share=True)

    @property
    def _own_processes(self) -> OpenGateways:
        with self._opening:
            if self._opener is None:
                self.sandbox = usable_sandbox(self.asked_sandbox)
                where = (self.folder, self.scenario, self.sandbox)
                self._opener = policies_of(*where, self.code, self.output, self.over)
            return self._opener

    @property
    def is_reference(self) -> bool:
        """Whether it is one of the package's own that see the whole game."""
        agent = self.submission.agent
        return agent.registered and issubclass(find(registered_name(agent.name)), CentralAgent)

    def _reference(self, seed: int, workloads: Sequence[Workload]) -> Ask:
        """Open a reference here: it looks at the simulator, and its code is the package's."""
        kind = find(registered_name(self.submission.agent.name))
        agent = kind.load(self.folder / "policy" / f"seed-{seed}", self.scenario)
        return Trusted(chooser_of(agent, self.scenario, workloads, seed))

    def play(self, workloads: Sequence[Workload]) -> Played:
        """Return what the policy of every run does on every workload, deciding by itself."""
        played = Played()
        for run in self.submission.runs:
            with self._open_to_play(run.seed, workloads) as ask:
                choose = checked(ask, self.scenario)
                played.runs.append(play_episodes(self.scenario, workloads, choose))
            if isinstance(ask, Together):
                played.late.append(ask.late)
        return played

    @contextmanager
    def _open_to_play(self, seed: int, workloads: Sequence[Workload]) -> Iterator[Ask]:
        if self.asked_alone:
            opener = self._own_processes
            with open_together(opener, self.scenario, seed, workloads) as together:
                yield together
        else:
            with self.open_policy(seed, workloads) as ask:
                yield ask


@dataclass
class Played:
    """What the policies of all runs did, playing by themselves."""

    runs: list[list[Episode]] = field(default_factory=list)
    late: list[list[npt.NDArray[np.bool_]]] = field(default_factory=list)
    """Where a process per gateway played: of each run, (R,) decisions of each step that came too
    late."""

    @property
    def outcome(self) -> Outcome:
        """The figures that boards show."""
        return outcome_of(self.runs)


class Trusted:
    """Asks code of the package in this process."""

    def __init__(self, choose: Choose) -> None:
        self._choose = choose

    def __call__(self, moment: Moment) -> npt.NDArray[np.int64]:
        """Return (R,) actions."""
        chosen = self._choose(moment)
        if chosen is None:
            raise RuntimeError("a policy ended an episode")
        return chosen

    def preferences(self) -> None:
        """It tells none: what it does depends on no rounding of another machine's."""


def expect(path: Path, what: str, expected: object, claimed: object) -> None:
    """Raise unless a claim is what it must be.

    Raises:
        SubmissionError: where it is another: the file, the claim and both values.
    """
    if repr(expected) != repr(claimed):  # of floats every bit counts; 0.0 is not -0.0
        raise SubmissionError(f"{path}: {what}: expected {expected}, found {claimed}")
