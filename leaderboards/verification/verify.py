"""Verifying a submission, level by level: each check has a name, each failure is one line."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean, variance

from edge_marl._version import __version__
from edge_marl.benchmarks.run.evaluation import draw_test_workloads
from edge_marl.errors import EdgeMarlError, SubmissionError
from edge_marl.leaderboards.submission import files
from edge_marl.leaderboards.submission.chain import Episode, first_difference, play_episodes
from edge_marl.leaderboards.submission.files import ACTIONS, CHAIN, SUBMISSION, Actions
from edge_marl.leaderboards.submission.schema import (
    LEVELS,
    WORKLOADS,
    Chain,
    ChainRun,
    HeldOut,
    Ledger,
    Level,
    Run,
    Submission,
    Verification,
)
from edge_marl.leaderboards.verification import claims
from edge_marl.leaderboards.verification.choosers import MAY_DIFFER, Again, Logged, Paired, checked
from edge_marl.leaderboards.verification.fresh import draw_fresh, draw_twin
from edge_marl.leaderboards.verification.policies import OpenPolicy, policies_of
from edge_marl.scenario import Scenario
from edge_marl.workload import Workload

__all__ = ["Fresh", "Verdict", "verify"]

TWINS = 2
"""Twins of every test workload that a policy is asked in."""

MOST_ERRORS = 4.0
"""Standard errors that a policy may do worse by on held-out workloads than on the public ones."""

Report = Callable[[str, str], None]
"""Takes the name of a check that passed, and what it found."""


@dataclass(frozen=True)
class Fresh:
    """Where held-out workloads come from: something that was not known when a policy was frozen."""

    source: str
    """For people."""
    value: str
    """What the workloads are drawn from."""
    entrants: dict[str, str] | None = None
    """Seal of each submission that was there in time; None where that is for others to check."""


@dataclass
class Verdict:
    """What came of a verification."""

    entry: str
    level: Level | None = None
    """The highest that was reached; None if not even the claims hold together."""
    failure: str | None = None
    """Name of the check that failed, and why, in one line; None if all that was asked passed."""
    verification: Verification | None = None
    """For the ledger."""
    passed: list[tuple[str, str]] = field(default_factory=list)
    """Name of each check that passed, and what it found."""


def verify(
    folder: Path,
    level: Level | None = None,
    *,
    root: Path | None = None,
    ledger: Ledger | None = None,
    code: str | None = None,
    fresh: Fresh | None = None,
    open_policy: OpenPolicy | None = None,
    report: Report = lambda name, text: None,
) -> Verdict:
    """Check a submission up to a level, and stop at the first check that fails.

    Args:
        folder: the submission's.
        level: how far; None is as far as it brings what is needed.
        root: folder of all submissions, where duplicates are looked for; None is the folder's own.
        ledger: of what was taken in; None is the one in `root`.
        code: `module:Class` or `file.py:Class` of its agent, where that is not registered.
        fresh: where held-out workloads come from.
        open_policy: opens its policies; None opens those in the folder, each in its own process.
        report: called after each check.
    """
    verdict = Verdict(f"{folder.resolve().parent.name}/{folder.resolve().name}")
    work = _Work(folder, root or folder.resolve().parent.parent, code, fresh, open_policy, ledger)
    for name, check in work.checks():
        if level is not None and LEVELS.index(check.level) > LEVELS.index(level):
            break
        if level is None and work.lacks(check.level):
            break
        try:
            found = check.run()
        except EdgeMarlError as error:
            verdict.failure = f"{name}: {_one_line(str(error))}"
            break
        verdict.passed.append((name, found))
        report(name, found)
        if check.last:
            verdict.level = check.level
    if verdict.level is not None:
        verdict.verification = work.verification(verdict.level)
    return verdict


@dataclass(frozen=True)
class _Check:
    level: Level
    run: Callable[[], str]
    last: bool = False
    """Whether the level is reached with it."""


class _Work:
    """The checks of one submission, in order; each knows what those before it found."""

    submission: Submission
    scenario: Scenario
    workloads: list[Workload]
    chain: Chain
    actions: Actions

    def __init__(
        self,
        folder: Path,
        root: Path,
        code: str | None,
        fresh: Fresh | None,
        open_policy: OpenPolicy | None,
        ledger: Ledger | None,
    ) -> None:
        self.folder, self.root = folder, root
        self._code, self._fresh, self._open, self._ledger = code, fresh, open_policy, ledger
        self._again: list[Again] = []
        self._decisions = 0
        self._differing: int | None = None
        self._twins: int | None = None
        self._held_out: HeldOut | None = None

    def checks(self) -> list[tuple[str, _Check]]:
        """Return every check with its name, in order."""
        return [
            ("folder", _Check("claimed", self._check_folder)),
            ("schema", _Check("claimed", self._check_schema)),
            ("seal", _Check("claimed", self._check_seal)),
            ("place", _Check("claimed", self._check_place)),
            ("scenario", _Check("claimed", self._check_scenario)),
            ("runs", _Check("claimed", self._check_runs)),
            ("workloads", _Check("claimed", self._check_workloads)),
            ("sums", _Check("claimed", self._check_sums)),
            ("policies", _Check("claimed", self._check_policies)),
            ("log", _Check("claimed", self._check_log)),
            ("ledger", _Check("claimed", self._check_ledger)),
            ("duplicates", _Check("claimed", self._check_duplicates, last=True)),
            ("replay", _Check("replayed", self._check_replay, last=True)),
            ("policy at hand", _Check("re-executed", self._check_policy_at_hand)),
            ("re-execution", _Check("re-executed", self._check_re_execution)),
            ("twins", _Check("re-executed", self._check_twins, last=True)),
            ("frozen", _Check("held-out", self._check_frozen)),
            ("held-out", _Check("held-out", self._check_held_out, last=True)),
        ]

    def lacks(self, level: Level) -> bool:
        """Whether what a level needs was not brought, after the level before it."""
        if level == "held-out":
            return self._fresh is None
        return level == "re-executed" and self._policy_lack() is not None

    def verification(self, level: Level) -> Verification:
        """Return what the ledger is to say."""
        return Verification(
            seal=self.submission.seal,
            level=level,
            decisions=self._decisions,
            differing=self._differing,
            twins=self._twins,
            held_out=self._held_out if level == "held-out" else None,
            verifier=__version__,
        )

    # claimed

    def _check_folder(self) -> str:
        claims.check_folder(self.folder)
        return "files only, where they may be, of bounded size"

    def _check_schema(self) -> str:
        self.submission = files.read_submission(self.folder)
        return f"{SUBMISSION} is of version {self.submission.schema_version}"

    def _check_seal(self) -> str:
        claims.check_seal(self.folder, self.submission)
        return f"{len(self.submission.files)} files as stated, seal {self.submission.seal[:12]}"

    def _check_place(self) -> str:
        claims.check_place(self.folder, self.submission)
        return self.submission.entry

    def _check_scenario(self) -> str:
        self.scenario = claims.released_scenario(self.folder, self.submission)
        return f"'{self.scenario.label}' as released, digest {self.scenario.digest[:12]}"

    def _check_runs(self) -> str:
        claims.check_runs(self.folder, self.submission)
        agent = self.submission.agent
        return f"{len(self.submission.runs)} of {agent.name}, a {agent.kind} agent"

    def _check_workloads(self) -> str:
        self.workloads = draw_test_workloads(self.scenario, WORKLOADS)
        claims.check_workloads(self.folder, self.submission, self.workloads)
        return f"all {WORKLOADS} test workloads"

    def _check_sums(self) -> str:
        claims.check_metrics(self.folder, self.submission)
        return f"utility per task {self.submission.means['utility_per_task']:.4f}"

    def _check_policies(self) -> str:
        claims.check_policies(self.folder, self.submission)
        return f"{len(self.submission.policy_seeds)} brought"

    def _check_log(self) -> str:
        self.chain = files.read_chain(self.folder)
        self.actions = files.read_actions(self.folder)
        seeds = [run.seed for run in self.submission.runs]
        if (found := [run.seed for run in self.chain.runs]) != seeds:
            raise SubmissionError(
                f"{self.folder / CHAIN}: runs have the seeds {found}, {SUBMISSION} has {seeds}"
            )
        if (rows := len(self.actions.lengths)) != len(seeds):
            raise SubmissionError(
                f"{self.folder / ACTIONS}: has {rows} runs, {SUBMISSION} has {len(seeds)}"
            )
        self._decisions = len(self.actions.actions)
        return f"{self._decisions} decisions"

    def _check_ledger(self) -> str:
        ledger = files.read_ledger(self.root) if self._ledger is None else self._ledger
        claims.check_ledger(self.folder, self.submission, ledger)
        known = self.submission.entry in ledger.entries
        return "unchanged since it was taken in" if known else "new"

    def _check_duplicates(self) -> str:
        others = files.list_submissions(self.root)
        claims.check_against_others(self.folder, self.submission, self.chain, others)
        return f"none among {len(others)} submissions"

    # replayed

    def _check_replay(self) -> str:
        for number, run in enumerate(self.submission.runs):
            where = f"run {run.seed}"
            logged = Logged(
                self.actions, number, self.scenario, f"{self.folder / ACTIONS}: {where}"
            )
            episodes = play_episodes(self.scenario, self.workloads, logged.choose)
            logged.check_all_used(episodes)
            for k, episode in enumerate(episodes):
                self._compare(f"{where}, workload {k}", k, episode, run, self.chain.runs[number])
        return f"{self._decisions} decisions give the claimed metrics and hashes, bit for bit"

    def _compare(self, where: str, k: int, episode: Episode, run: Run, claimed: ChainRun) -> None:
        """Raise unless an episode is what was claimed of it."""
        path = self.folder / CHAIN
        if (marks := claimed.marks[k]) != episode.marks:
            at = first_difference(marks, episode.marks)
            raise SubmissionError(
                f"{path}: {where}, decision {at}: mark of the chain: expected "
                f"{_mark(episode.marks, at)}, found {_mark(marks, at)}: what was seen, done or "
                "earned is not what the log says"
            )
        if claimed.heads[k] != episode.head:
            raise SubmissionError(
                f"{path}: {where}: head of the chain: expected {episode.head[:12]}, found "
                f"{claimed.heads[k][:12]}"
            )
        for name, value in episode.metrics.items():
            if repr(run.metrics[name][k]) != repr(value):
                raise SubmissionError(
                    f"{self.folder / SUBMISSION}: {where}: {name}: expected {value}, found "
                    f"{run.metrics[name][k]}"
                )

    # re-executed

    def _policy_lack(self) -> str | None:
        """Return why no policy can be run, or None if one can."""
        if self._open is not None:
            return None
        if not self.submission.policy_seeds:
            return "it brings no policy: make it with --with-policy"
        if not self.submission.agent.registered and self._code is None:
            return (
                f"agent '{self.submission.agent.name}' is not registered, and no code of a "
                "submission is run: give it with --agent-code file.py:Class"
            )
        return None

    def _check_policy_at_hand(self) -> str:
        if lack := self._policy_lack():
            raise SubmissionError(f"{self.folder}: {lack}")
        if self._code is not None:
            claims.check_code(self.folder, self.submission, self._code)
            return f"code of {self._code}"
        return "a registered agent's" if self._open is None else "given"

    @property
    def _opener(self) -> OpenPolicy:
        return self._open or policies_of(self.folder, self.scenario, self._code)

    def _check_re_execution(self) -> str:
        self._again = []
        differing, most, network = 0, 0.0, ""
        for number, run in enumerate(self.submission.runs):
            where = f"{self.folder / ACTIONS}: run {run.seed}"
            logged = Logged(self.actions, number, self.scenario, where)
            with self._opener(run.seed, self.workloads) as ask:
                again = Again(ask, logged)
                play_episodes(self.scenario, self.workloads, again.choose)
                network = ask.network
            again.check(where)
            self._again.append(again)
            differing += again.differing
            most = max(most, again.differing / logged.total)
        self._differing = differing
        return (
            f"{differing} of {self._decisions} decisions differ ({100 * most:.3g} % of "
            f"the worst run, {100 * MAY_DIFFER:g} % may); {network}"
        )

    def _check_twins(self) -> str:
        compared = asked = 0
        for number, run in enumerate(self.submission.runs):
            for turn in range(TWINS):
                parts = (self.submission.seal, run.seed, turn)
                twins = [
                    draw_twin(self.scenario, workload, k, *parts)
                    for k, workload in enumerate(self.workloads)
                ]
                with self._opener(run.seed, twins) as ask:
                    pair = Paired(ask, self._again[number])
                    play_episodes(self.scenario, twins, pair.choose)
                pair.check(f"{self.folder}: run {run.seed}")
                compared += pair.compared
                asked += len(twins)
        self._twins = asked
        return f"{compared} decisions in {asked} twin episodes are the same up to where they part"

    # held-out

    def _check_frozen(self) -> str:
        if self._fresh is None:
            raise SubmissionError(f"{self.folder}: give a season (--season) or a beacon (--beacon)")
        if self._fresh.entrants is None:
            return "for you to check: the beacon's value must be later than the submission"
        entry = self.submission.entry
        if self._fresh.entrants.get(entry) != self.submission.seal:
            raise SubmissionError(
                f"{self.folder}: {self._fresh.source} does not have this submission among those "
                "that were there when its secret was revealed"
            )
        return f"it was there when the secret of {self._fresh.source} was revealed"

    def _check_held_out(self) -> str:
        if self._fresh is None:
            raise SubmissionError("no held-out workloads")
        parts = (self.submission.policy_digest, self._fresh.value)
        workloads = [draw_fresh(self.scenario, k, *parts) for k in range(WORKLOADS)]
        held_out: list[float] = []
        for run in self.submission.runs:
            with self._opener(run.seed, workloads) as ask:
                episodes = play_episodes(self.scenario, workloads, checked(ask, self.scenario))
            held_out += [episode.metrics["utility_per_task"] or 0.0 for episode in episodes]
        public = [v or 0.0 for run in self.submission.runs for v in run.metrics["utility_per_task"]]
        found, known = fmean(held_out), fmean(public)
        error = math.sqrt(variance(held_out) / WORKLOADS + variance(public) / WORKLOADS)
        if known - found > MOST_ERRORS * error:
            raise SubmissionError(
                f"{self.folder}: utility per task: {found:.4f} on {WORKLOADS} workloads of "
                f"{self._fresh.source}, {known:.4f} on the public ones: worse by more than "
                f"{MOST_ERRORS:g} standard errors of {error:.4f}"
            )
        self._held_out = HeldOut(
            source=self._fresh.source,
            workloads=WORKLOADS,
            utility_per_task=found,
            test_utility_per_task=known,
        )
        return (
            f"utility per task {found:.4f} on {WORKLOADS} workloads of {self._fresh.source}, "
            f"{known:.4f} on the public ones"
        )


def _one_line(text: str) -> str:
    """Return a message that holds names of somebody else's as one line that a terminal can show."""
    return "".join(c if c.isprintable() else "?" for c in " ".join(text.split()))


def _mark(marks: str, at: int) -> str:
    return f"'{marks[at]}'" if at < len(marks) else "none"
