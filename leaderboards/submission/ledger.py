"""Models of the ledger, `digests.json` beside the boards: which submissions were taken in, and what
they were found to be. Maintainers write it, submissions do not.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from edge_marl.leaderboards.submission.game_facts import Count, Facts
from edge_marl.leaderboards.submission.schema import Level, Sha256, Submission
from edge_marl.leaderboards.submission.texts import Text

__all__ = ["HeldOut", "Ledger", "Outcome", "Sandbox", "Verification"]


class Outcome(Facts):
    """What a policy itself got, playing: the figures that boards show."""

    metrics: dict[Text, tuple[tuple[float | None, ...], ...]]
    """`utility` and every metric that boards show, (runs, workloads) each; None where an episode
    has none."""

    @model_validator(mode="after")
    def _has_one_shape(self) -> Self:
        runs = {len(rows) for rows in self.metrics.values()}
        workloads = {len(row) for rows in self.metrics.values() for row in rows}
        if len(runs) != 1 or len(workloads) != 1 or 0 in workloads:
            raise PydanticCustomError("shape", "metrics must be of one shape, (runs, workloads)")
        return self


class HeldOut(Facts):
    """What a policy got on workloads that did not exist when it was frozen."""

    source: Text
    """The season, or the value of the beacon, that they were drawn from."""
    workloads: Annotated[int, Field(ge=1)]
    utility_per_task: float
    """Mean over runs and workloads."""
    test_utility_per_task: float
    """The same on the test workloads, for comparison."""
    outcome: Outcome | None = None
    """All that it got there; None in ledgers of before it was kept."""
    random: tuple[float, ...] | None = None
    """Return of random dispatch on each workload; None where the scenario has no anchors."""
    bound: tuple[float, ...] | None = None
    """Upper bound of the return on each workload, likewise."""
    late: Count | None = None
    """Decisions of gateways that came too late, and were taken for nothing; None where no process
    per gateway played."""


Sandbox = Literal["bwrap", "container", "none"]
"""What a policy was kept in while it was asked."""


class Verification(Facts):
    """What a submission was found to be."""

    seal: Sha256
    """Of the submission that was checked: for any other one it says nothing."""
    level: Level
    decisions: Count
    """All decisions of all runs."""
    differing: Count | None = None
    """Decisions that the policy makes otherwise on the verifier's machine; from `re-executed`."""
    twins: Count | None = None
    """Twin episodes that it was asked in; from `re-executed`."""
    closed_loop: Outcome | None = None
    """What its policy got on the test workloads, playing by itself; None where no decision
    differed, as it got what the log says."""
    held_out: HeldOut | None = None
    sandbox: Sandbox | None = None
    """Of its policy's process; from `re-executed`."""
    reviewed: Text | None = None
    """`NAME: why`, where a person found that what looks like another's work is not."""
    verifier: Text
    """Version of edge-marl that checked it."""

    @property
    def counts_as(self) -> Level:
        """The level, or a lower one whose result is known: a board ranks what was checked."""
        level = self.level
        if level == "held-out" and (self.held_out is None or self.held_out.outcome is None):
            level = "re-executed"
        if level == "re-executed" and self.differing and self.closed_loop is None:
            level = "replayed"
        return level


class Ledger(Facts):
    """`digests.json`: the submissions that were taken in. Entries are added, and never change
    their seal."""

    schema_version: Literal[1] = 1
    entries: dict[str, Verification] = Field(default_factory=dict)

    def verification_of(self, submission: Submission) -> Verification | None:
        """Return the entry of a submission; None if it has none, or one of another seal."""
        entry = self.entries.get(submission.entry)
        return entry if entry and entry.seal == submission.seal else None

    def level_of(self, submission: Submission) -> Level:
        """Return what a submission counts as: claimed, unless the ledger knows it."""
        verification = self.verification_of(submission)
        return verification.counts_as if verification else "claimed"
