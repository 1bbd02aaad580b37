"""Verifying a submission, level by level: each check has a name, each failure is one line.

What came of it goes to the ledger: what was taken in keeps its seal, and its level never falls.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from edge_marl._version import __version__
from edge_marl.errors import EdgeMarlError, SubmissionError
from edge_marl.files import write_file
from edge_marl.leaderboards.policies.opening import OpenPolicy
from edge_marl.leaderboards.submission.files import LEDGER, read_ledger
from edge_marl.leaderboards.submission.ledger import Ledger, Sandbox, Verification
from edge_marl.leaderboards.submission.schema import LEVELS, Level
from edge_marl.leaderboards.verification import (
    claims,
    duplicates,
    held_out,
    made_again,
    re_execution,
    replay,
    twins,
)
from edge_marl.leaderboards.verification.case import Case
from edge_marl.leaderboards.verification.fresh import Fresh

__all__ = ["CHECKS", "Check", "Verdict", "record_verdict", "verify"]

Report = Callable[[str, str], None]
"""Takes the name of a check that passed, and what it found."""


@dataclass(frozen=True)
class Check:
    """A row of `CHECKS`."""

    name: str
    level: Level
    run: Callable[[Case], str]
    """Returns what it found, for people, or raises SubmissionError."""
    last: bool = False
    """Whether the level is reached with it."""


CHECKS = (
    Check("folder", "claimed", claims.check_folder),
    Check("schema", "claimed", claims.check_schema),
    Check("seal", "claimed", claims.check_seal),
    Check("place", "claimed", claims.check_place),
    Check("scenario", "claimed", claims.check_scenario),
    Check("runs", "claimed", claims.check_runs),
    Check("game", "claimed", claims.check_game),
    Check("name", "claimed", claims.check_agent_name),
    Check("workloads", "claimed", claims.check_workloads),
    Check("sums", "claimed", claims.check_sums),
    Check("policies", "claimed", claims.check_policies),
    Check("log", "claimed", claims.check_log),
    Check("ledger", "claimed", claims.check_ledger),
    Check("duplicates", "claimed", duplicates.check_duplicates, last=True),
    Check("log made again", "replayed", made_again.check_made_again),
    Check("replay", "replayed", replay.check_replay, last=True),
    Check("policy at hand", "re-executed", re_execution.check_policy_at_hand),
    Check("re-execution", "re-executed", re_execution.check_re_execution),
    Check("twins", "re-executed", twins.check_twins, last=True),
    Check("frozen", "held-out", held_out.check_frozen),
    Check("held-out", "held-out", held_out.check_held_out, last=True),
)
"""In order: each relies on those before it."""


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
    reviewed: str | None = None,
    sandbox: Sandbox | None = None,
    output: Path | None = None,
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
        reviewed: `NAME: why`, where a person found that what looks like another's work is not.
        sandbox: where policies run; None is bubblewrap where that works, else none.
        output: file that keeps what a policy that failed has printed.
        report: called after each check.
    """
    place = folder.resolve()
    case = Case(
        folder=folder,
        root=root or place.parent.parent,
        ledger=ledger,
        code=code,
        fresh=fresh,
        opener=open_policy,
        reviewed=reviewed,
        asked_sandbox=sandbox,
        output=output,
    )
    verdict = Verdict(f"{place.parent.name}/{place.name}")
    for check in _due(case, level):
        try:
            finding = check.run(case)
        except EdgeMarlError as error:
            verdict.failure = f"{check.name}: {'; '.join(error.args)}"
            break
        except Exception as error:  # a fault of ours, that what it was given has brought out
            fault = SubmissionError(
                f"the verifier itself failed ({error!r:.200}): it says nothing about the "
                "submission; report it"
            )
            verdict.failure = f"{check.name}: {fault}"
            break
        verdict.passed.append((check.name, finding))
        report(check.name, finding)
        if check.last:
            verdict.level = check.level
    if verdict.level is not None:
        verdict.verification = _verification(case, verdict.level)
    return verdict


def _due(case: Case, level: Level | None) -> Iterator[Check]:
    """Yield the checks up to a level; up to None, as far as the case has what they need."""
    for check in CHECKS:
        if level is None and _lacks(case, check.level):
            return
        if level is not None and LEVELS.index(check.level) > LEVELS.index(level):
            return
        yield check


def _lacks(case: Case, level: Level) -> bool:
    """Whether what a level needs was not brought, after the level before it."""
    if level == "held-out":
        return case.fresh is None
    return level == "re-executed" and re_execution.policy_lack(case) is not None


def _verification(case: Case, level: Level) -> Verification:
    """Return what the ledger is to say.

    Code that is not the package's could have done anything to its verifier where there was no
    sandbox, so that there it gets no further than what was found before it ran.
    """
    before = Verification(
        seal=case.submission.seal,
        level=min(level, "replayed", key=LEVELS.index),
        decisions=case.decisions,
        reviewed=case.reviewed,
        verifier=__version__,
    )
    if case.sandbox == "none" and not case.submission.agent.registered:
        return before
    return before.model_copy(
        update={
            "level": level,
            "differing": case.differing,
            "twins": case.twins,
            "closed_loop": case.closed_loop,
            "held_out": case.held_out,
            "sandbox": case.sandbox,
        }
    )


def record_verdict(root: Path, verdict: Verdict) -> None:
    """Add a submission's verification to the ledger, or raise its level there.

    Raises:
        SubmissionError: if it reached no level, or the ledger has another seal of it.
    """
    verification = verdict.verification
    if verification is None:
        raise SubmissionError(f"{verdict.entry}: reached no level: nothing to record")
    ledger = read_ledger(root)
    known = ledger.entries.get(verdict.entry)
    if known and known.seal != verification.seal:
        raise SubmissionError(f"{root / LEDGER}: {verdict.entry} has another seal there")
    if known and LEVELS.index(known.counts_as) > LEVELS.index(verification.counts_as):
        return
    entries = dict(sorted({**ledger.entries, verdict.entry: verification}.items()))
    write_file(root / LEDGER, _text(Ledger(entries=entries)), SubmissionError)


def _text(ledger: Ledger) -> str:
    """Return a ledger as JSON, a line for each entry: outcomes have thousands of numbers."""
    entries = ledger.model_dump(mode="json", exclude_none=True)["entries"]
    lines = [f"{json.dumps(name)}: {json.dumps(facts)}" for name, facts in entries.items()]
    head = f'{{"schema_version": {ledger.schema_version}, "entries": {{\n'
    return head + ",\n".join(lines) + "\n}}\n"
