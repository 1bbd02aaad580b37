"""The case of a verification: what it was given, and what its checks have found so far."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from edge_marl.errors import SubmissionError
from edge_marl.leaderboards.policies.asking import Ask, OpenPolicy, policies_of
from edge_marl.leaderboards.policies.sandbox import command_of, usable_sandbox
from edge_marl.leaderboards.submission.chain import play_episodes
from edge_marl.leaderboards.submission.files import Actions, read_ledger
from edge_marl.leaderboards.submission.results import outcome_of
from edge_marl.leaderboards.submission.schema import (
    Chain,
    HeldOut,
    Ledger,
    Outcome,
    Sandbox,
    Submission,
    Verification,
)
from edge_marl.leaderboards.verification.choosers import Again, checked
from edge_marl.leaderboards.verification.fresh import Fresh
from edge_marl.scenario import Scenario
from edge_marl.workload import Workload

__all__ = ["Case", "expect"]


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

    again: list[Again] = field(default_factory=list)
    """What the policy of each run chose on the test workloads; from re-execution."""
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

    def open_policy(self, seed: int, workloads: Sequence[Workload]) -> AbstractContextManager[Ask]:
        """Open the policy of a run at the start of episodes, one per workload."""
        if self.opener is not None:
            return self.opener(seed, workloads)
        self.sandbox = self.sandbox or usable_sandbox(self.asked_sandbox)
        opener = policies_of(self.folder, self.scenario, self.sandbox, self.code, self.output)
        return opener(seed, workloads)

    def play(self, workloads: Sequence[Workload]) -> Outcome:
        """Return what the policy of every run gets on every workload, deciding by itself."""
        runs = []
        for run in self.submission.runs:
            with self.open_policy(run.seed, workloads) as ask:
                runs.append(play_episodes(self.scenario, workloads, checked(ask, self.scenario)))
        return outcome_of(runs)


def expect(path: Path, what: str, expected: object, claimed: object) -> None:
    """Raise unless a claim is what it must be.

    Raises:
        SubmissionError: where it is another: the file, the claim and both values.
    """
    if repr(expected) != repr(claimed):  # of floats every bit counts; 0.0 is not -0.0
        raise SubmissionError(f"{path}: {what}: expected {expected}, found {claimed}")
