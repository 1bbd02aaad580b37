"""The checks of the level `claimed`: what can be said of a submission without playing it.

Each raises SubmissionError with one line: the file, the value, the rule.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from edge_marl.agents import names
from edge_marl.agents.checkpoint import FORMAT
from edge_marl.errors import SubmissionError
from edge_marl.leaderboards.submission import files
from edge_marl.leaderboards.submission.facts import code_sha256, kind_of, means_of, tier_of
from edge_marl.leaderboards.submission.files import ACTIONS, CHAIN, SUBMISSION
from edge_marl.leaderboards.submission.schema import (
    RUNS,
    Chain,
    Ledger,
    Run,
    Submission,
    seal_of,
)
from edge_marl.metrics import METRICS
from edge_marl.scenario import Scenario
from edge_marl.workload import Workload

__all__ = [
    "check_against_others",
    "check_code",
    "check_folder",
    "check_ledger",
    "check_metrics",
    "check_place",
    "check_policies",
    "check_runs",
    "check_seal",
    "check_workloads",
    "released_scenario",
]


def check_folder(folder: Path) -> None:
    """Raise unless a folder holds files of bounded size where they may be, and no links."""
    if folder.is_symlink() or not folder.is_dir():
        raise SubmissionError(f"{folder}: no folder of a submission")
    for path in _inside(folder):
        place = path.relative_to(folder).as_posix()
        if path.is_symlink():
            raise SubmissionError(f"{path}: a link: a submission holds files only")
        if path.is_dir():
            if place != "policy" and path.parent != folder / "policy":
                raise SubmissionError(f"{path}: a submission has no folder '{place}'")
        elif not path.is_file():
            raise SubmissionError(f"{path}: neither a file nor a folder")
        elif path.stat().st_size > files.limit_of(place):
            raise SubmissionError(
                f"{path}: {path.stat().st_size} bytes: at most {files.limit_of(place)} are allowed"
            )


def _inside(folder: Path) -> Iterator[Path]:
    """Yield all that is in a folder, but nothing of what a link leads to."""
    for path in sorted(folder.iterdir()):
        yield path
        if path.is_dir() and not path.is_symlink():
            yield from _inside(path)


def check_seal(folder: Path, submission: Submission) -> None:
    """Raise unless every file is stated, there, and as stated, and so is `submission.json`."""
    present = {p.relative_to(folder).as_posix() for p in _inside(folder) if not p.is_dir()}
    present -= {SUBMISSION}
    for place in sorted(present - submission.files.keys()):
        raise SubmissionError(f"{folder / place}: {SUBMISSION} does not state this file")
    for place in sorted({ACTIONS, CHAIN, *submission.files} - present):
        raise SubmissionError(f"{folder / place}: there is no such file")
    for place in sorted(present):
        content = files.read_bytes(folder / place, files.limit_of(place))
        _expect(folder / place, "SHA-256", submission.files[place], files.sha256_of(content))
    path = folder / SUBMISSION
    facts = files.parse_json(path, files.read_bytes(path, files.limit_of(SUBMISSION)))
    _expect(path, "seal", submission.seal, seal_of(facts))


def check_place(folder: Path, submission: Submission) -> None:
    """Raise unless a submission lies where its board, date and agent say."""
    _expect(folder, "folder", submission.folder_name, folder.resolve().name)
    _expect(folder, "folder of the board", submission.board, folder.resolve().parent.name)


def released_scenario(folder: Path, submission: Submission) -> Scenario:
    """Return the scenario of a submission.

    Raises:
        SubmissionError: if it is no released tier, or another version of one.
    """
    path, label = folder / SUBMISSION, submission.scenario.name
    scenario = tier_of(label)
    if scenario is None:
        raise SubmissionError(f"{path}: scenario '{label}' is no released tier")
    _expect(path, "scenario digest", scenario.digest, submission.scenario.digest)
    return scenario


def check_code(folder: Path, submission: Submission, code: str) -> None:
    """Raise unless the code that a verifier has is what the submission was made with."""
    what = f"SHA-256 of the file of {code}"
    _expect(folder / SUBMISSION, what, submission.agent.code_sha256, code_sha256(code))


def check_runs(folder: Path, submission: Submission) -> None:
    """Raise unless there are the runs that the kind of agent has, with the seeds from 0 up."""
    path, agent = folder / SUBMISSION, submission.agent
    if agent.registered:
        if agent.name not in names():
            raise SubmissionError(f"{path}: agent '{agent.name}' is not registered")
        _expect(path, "agent.kind", kind_of(agent.name), agent.kind)
    if agent.kind != "learner" and submission.about.training.budget:
        raise SubmissionError(
            f"{path}: about.training.budget is {submission.about.training.budget}, but "
            f"agent.kind is '{agent.kind}': what was trained is a 'learner'"
        )
    seeds = [run.seed for run in submission.runs]
    wanted = list(range(RUNS[agent.kind]))
    if seeds != wanted:
        raise SubmissionError(
            f"{path}: runs have the seeds {seeds}: a {agent.kind} agent has {wanted}, all of them"
        )


def check_workloads(folder: Path, submission: Submission, workloads: Sequence[Workload]) -> None:
    """Raise unless the test workloads are the scenario's, in order."""
    for number, workload in enumerate(workloads):
        what = f"workload {number}: digest"
        _expect(folder / SUBMISSION, what, workload.digest, submission.workloads[number])


def check_metrics(folder: Path, submission: Submission) -> None:
    """Raise unless every metric is claimed, and the claims agree with each other."""
    path = folder / SUBMISSION
    for run in submission.runs:
        if odd := sorted(run.metrics.keys() ^ METRICS.keys()):
            state = "missing" if odd[0] in METRICS else "unknown"
            raise SubmissionError(f"{path}: run {run.seed}: metric '{odd[0]}' is {state}")
        for number, values in enumerate(zip(*_sums(run), strict=True)):
            utility, requests, per_task = values
            if utility is None or not requests or per_task is None:
                raise SubmissionError(
                    f"{path}: run {run.seed}, workload {number}: utility, requests and "
                    "utility_per_task must be numbers, requests above 0"
                )
            what = f"run {run.seed}, workload {number}: utility_per_task"
            _expect(path, what, utility / requests, per_task)
    means = means_of(submission.runs)
    for name in sorted(means.keys() | submission.means.keys()):
        _expect(path, f"means.{name}", means.get(name), submission.means.get(name))


def _sums(run: Run) -> list[tuple[float | None, ...]]:
    return [run.metrics[name] for name in ("utility", "requests", "utility_per_task")]


def check_policies(folder: Path, submission: Submission) -> None:
    """Raise unless there are policies of all runs or of none, each of this agent and scenario."""
    seeds = submission.policy_seeds
    weights = {p.partition("/weights")[0] for p in submission.files if p.endswith(".safetensors")}
    for place in sorted(weights):
        if f"{place}/config.json" not in submission.files:
            raise SubmissionError(f"{folder / place}: weights without a config.json")
    if not seeds:
        return
    runs = [run.seed for run in submission.runs]
    if list(seeds) != runs:
        raise SubmissionError(f"{folder}/policy: of seeds {list(seeds)}, the runs have {runs}")
    for seed in seeds:
        path = folder / "policy" / f"seed-{seed}" / "config.json"
        config = files.parse_json(path, files.read_bytes(path, files.LIMITS[SUBMISSION]))
        if not isinstance(config, dict) or config.get("format") != FORMAT:
            raise SubmissionError(f"{path}: not a config of format '{FORMAT}'")
        made_for = config.get("scenario")
        digest = made_for.get("digest") if isinstance(made_for, dict) else None
        _expect(path, "scenario digest", submission.scenario.digest, digest)
        if submission.agent.registered:
            _expect(path, "agent", submission.agent.name, config.get("agent"))


def check_ledger(folder: Path, submission: Submission, ledger: Ledger) -> None:
    """Raise if a submission that was taken in is no longer what it was."""
    known = ledger.entries.get(submission.entry)
    if known and known.seal != submission.seal:
        raise SubmissionError(
            f"{folder}: seal {submission.seal[:12]}, {files.LEDGER} has {known.seal[:12]}: what "
            "was taken in may not change; submit again under another date"
        )


def check_against_others(
    folder: Path, submission: Submission, chain: Chain, others: Sequence[files.Entry]
) -> None:
    """Raise if two runs are the same, within a submission or of two on one board."""
    mine: dict[tuple[str, ...], int] = {}
    for run in chain.runs:
        if run.heads in mine and not _differ(submission, mine[run.heads], run.seed):
            raise SubmissionError(
                f"{folder / CHAIN}: runs {mine[run.heads]} and {run.seed} took the same decisions "
                "in every episode, and no policies show that they are two: a run counts once"
            )
        mine[run.heads] = run.seed
    for other in others:
        if other.submission.board != submission.board or other.name == submission.entry:
            continue
        for run in files.read_chain(other.folder).runs:
            if run.heads in mine:
                raise SubmissionError(
                    f"{folder / ACTIONS}: run {mine[run.heads]} took the same decisions as run "
                    f"{run.seed} of {other.name}: a duplicate"
                )


def _differ(submission: Submission, one: int, other: int) -> bool:
    """Whether two runs brought policies of different weights."""
    weights = [
        submission.files.get(f"policy/seed-{seed}/weights.safetensors") for seed in (one, other)
    ]
    return None not in weights and weights[0] != weights[1]


def _expect(path: Path, what: str, expected: object, found: object) -> None:
    if repr(expected) != repr(found):  # of floats every bit counts; 0.0 is not -0.0
        raise SubmissionError(f"{path}: {what}: expected {expected}, found {found}")
