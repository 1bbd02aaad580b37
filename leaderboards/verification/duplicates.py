"""The last check of the level `claimed`: a submission is its authors' work, and a run counts once.

What is the same as another's is refused. What is nearly the same may be a copy that was touched up,
or two that came to the same end: a person looks, and says so by name (`--reviewed`).
"""

from __future__ import annotations

import math
from functools import cached_property
from itertools import product
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edge_marl.errors import SubmissionError
from edge_marl.leaderboards.submission import files
from edge_marl.leaderboards.submission.files import ACTIONS, CHAIN, Actions, Entry
from edge_marl.leaderboards.submission.schema import Chain, Submission
from edge_marl.leaderboards.submission.texts import checked_text
from edge_marl.leaderboards.submission.weights import (
    NEAR,
    Array,
    distance,
    read_weights,
    weights_digest,
)
from edge_marl.leaderboards.verification.case import Case

__all__ = ["check_duplicates"]

SAME_SHARE = 0.995
"""Share of equal decisions above which two runs of different authors are looked at by a person.
A log of another's with a few decisions exchanged has more."""


def check_duplicates(case: Case) -> str:
    """Raise if a run counts twice, or if one is another's work and nobody has looked at it."""
    mine = _Work(Entry(case.folder, case.submission), case.actions, case.chain)
    _check_own_runs(case, mine)
    review = _review_of(case)
    doubts = []
    others = _others(case)
    for other in others:
        theirs = _Work(other)
        strangers = not _common_author(case.submission, other.submission)
        doubt = ""
        if strangers:
            doubt = _check_policy(mine, theirs)
        if case.submission.board == other.submission.board:
            _check_chains(mine, theirs)
            doubt = _check_decisions(mine, theirs, strangers) or doubt
        if doubt and not _looked_at(case, other):
            doubts.append(doubt)
    if doubts and not review:
        raise SubmissionError(
            f"{doubts[0]}: a person has to look: verify with --reviewed 'NAME: why'"
        )
    case.reviewed = review
    return f"none among {len(others)} submissions" + (f"; reviewed by {review}" if review else "")


def _others(case: Case) -> list[Entry]:
    """Return the submissions that a submission may be a copy of.

    One that was taken in is no copy of one that was not.
    """
    entries = [e for e in files.list_submissions(case.root) if e.name != case.submission.entry]
    if case.known is None:
        return entries
    return [e for e in entries if case.taken_in.verification_of(e.submission)]


def _review_of(case: Case) -> str | None:
    """Return who looked and why, as given now or as the ledger has it."""
    if case.reviewed is None:
        return case.known.reviewed if case.known else None
    name, _, why = case.reviewed.partition(":")
    checked_text("--reviewed", case.reviewed)
    if not name.strip() or not why.strip():
        raise SubmissionError(
            f"--reviewed '{case.reviewed[:60]}': must be 'NAME: why', who looked and what was found"
        )
    return case.reviewed


def _looked_at(case: Case, other: Entry) -> bool:
    """Whether a person has looked at a pair when the other one was taken in after this one."""
    verification = case.taken_in.verification_of(other.submission)
    return case.known is not None and verification is not None and bool(verification.reviewed)


def _common_author(one: Submission, other: Submission) -> bool:
    """Whether two submissions have an author of one name."""
    return not one.author_names.isdisjoint(other.author_names)


class _Work:
    """What a submission brings of its own, read when it is asked for, and once."""

    def __init__(
        self, entry: Entry, actions: Actions | None = None, chain: Chain | None = None
    ) -> None:
        self.name, self.folder, self.submission = entry.name, entry.folder, entry.submission
        self._actions, self._chain = actions, chain

    @cached_property
    def weights(self) -> dict[int, list[Array]]:
        """Arrays of each run's policy, by seed; of policies without weights none."""
        places = {seed: f"policy/seed-{seed}" for seed in self.submission.policy_seeds}
        return {
            seed: read_weights(self.folder / place / "weights.safetensors")
            for seed, place in places.items()
            if f"{place}/weights.safetensors" in self.submission.files
        }

    @cached_property
    def digests(self) -> dict[int, str]:
        """Digest of each run's weights, by seed."""
        return {seed: weights_digest(arrays) for seed, arrays in self.weights.items()}

    @cached_property
    def heads(self) -> dict[tuple[str, ...], int]:
        """Seed of each run by the heads of its chains: the same decisions give the same."""
        chain = self._chain or files.read_chain(self.folder)
        return {run.heads: run.seed for run in chain.runs}

    @property
    def is_whole(self) -> bool:
        """Whether the log of every run is at hand; of compact submissions only the first's is."""
        return len(self.decisions) == len(self.submission.runs)

    @cached_property
    def decisions(self) -> list[tuple[npt.NDArray[np.uint16], npt.NDArray[np.int32]]]:
        """Per run a table (workloads, longest) of its decisions, and the lengths (workloads,)."""
        log = self._actions or files.read_actions(self.folder)
        runs = np.split(log.actions, np.cumsum(log.lengths.sum(axis=1))[:-1])
        return [(_table(*run), run[1]) for run in zip(runs, log.lengths, strict=True)]

    def where(self, run: int) -> Path:
        """Return the folder of a run's policy."""
        return self.folder / "policy" / f"seed-{run}"


def _table(
    actions: npt.NDArray[np.uint16], lengths: npt.NDArray[np.int32]
) -> npt.NDArray[np.uint16]:
    table = np.zeros((len(lengths), int(lengths.max())), np.uint16)
    table[np.arange(table.shape[1]) < lengths[:, None]] = actions
    return table


def _check_own_runs(case: Case, mine: _Work) -> None:
    """Raise if two runs of a submission took the same decisions by the same weights."""
    seeds: dict[tuple[str, ...], int] = {}
    for run in case.chain.runs:
        if run.heads in seeds:
            first = mine.digests.get(seeds[run.heads])
            if first is None or first == mine.digests.get(run.seed, first):
                raise SubmissionError(
                    f"{case.folder / CHAIN}: runs {seeds[run.heads]} and {run.seed} took the same "
                    "decisions in every episode, and no policies show that they are two: a run "
                    "counts once"
                )
        seeds[run.heads] = run.seed


def _check_policy(mine: _Work, theirs: _Work) -> str:
    """Raise if a policy is one of other authors; return what to look at if it is nearly one."""
    if mine.submission.policy_seeds and (
        mine.submission.policy_digest == theirs.submission.policy_digest
    ):
        raise SubmissionError(
            f"{mine.folder}/policy: the policy of {theirs.name} by other authors: a duplicate"
        )
    for run, other in product(mine.digests, theirs.digests):
        if mine.digests[run] == theirs.digests[other]:
            raise SubmissionError(
                f"{mine.where(run)}: the weights of seed {other} of {theirs.name} by other "
                "authors: a duplicate"
            )
    for run, other in product(mine.weights, theirs.weights):
        apart = distance(mine.weights[run], theirs.weights[other])
        if apart < NEAR:
            return (
                f"{mine.where(run)}: weights within {apart:.1g} (relative) of those of seed "
                f"{other} of {theirs.name} by other authors"
            )
    return ""


def _check_chains(mine: _Work, theirs: _Work) -> None:
    """Raise if a run whose log is not at hand took all the decisions of another."""
    if mine.is_whole and theirs.is_whole:
        return
    for heads, seed in mine.heads.items():
        if heads in theirs.heads:
            raise SubmissionError(
                f"{mine.folder / CHAIN}: run {seed} took the same decisions as run "
                f"{theirs.heads[heads]} of {theirs.name}: a duplicate"
            )


def _check_decisions(mine: _Work, theirs: _Work, strangers: bool) -> str:
    """Raise if a run took all the decisions of another; return what to look at if nearly all."""
    doubt = ""
    for run, other in product(range(len(mine.decisions)), range(len(theirs.decisions))):
        share = _share(*mine.decisions[run], *theirs.decisions[other])
        where = f"{mine.folder / ACTIONS}: run {mine.submission.runs[run].seed}"
        whose = f"run {theirs.submission.runs[other].seed} of {theirs.name}"
        if share == 1.0:
            raise SubmissionError(f"{where} took the same decisions as {whose}: a duplicate")
        if strangers and share > SAME_SHARE:
            shown = math.floor(1e4 * share) / 100  # 99.999 % is not all
            doubt = f"{where} took {shown:g} % of the decisions of {whose} by other authors"
    return doubt


def _share(
    one: npt.NDArray[np.uint16],
    lengths: npt.NDArray[np.int32],
    other: npt.NDArray[np.uint16],
    others: npt.NDArray[np.int32],
) -> float:
    """Return the share of decisions that two runs took alike, at the same place of an episode.

    Counted over the shorter of two episodes, as a share of the longer.
    """
    width = min(one.shape[1], other.shape[1])
    both = np.arange(width) < np.minimum(lengths, others)[:, None]
    alike = np.count_nonzero((one[:, :width] == other[:, :width]) & both)
    return alike / int(np.maximum(lengths, others).sum())
