"""The checks of the level `claimed`: a submission is whole, and its claims agree, unplayed.

Each returns what it found as a sentence, or raises SubmissionError with one line: the file, the
value, the rule.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from edge_marl.agents.checkpoint import FORMAT
from edge_marl.benchmarks.run.evaluation import draw_test_workloads
from edge_marl.errors import SubmissionError
from edge_marl.leaderboards.submission import files
from edge_marl.leaderboards.submission.chain import is_game
from edge_marl.leaderboards.submission.facts import (
    check_name,
    execution_of,
    information_of,
    is_registered,
    kind_of,
    means_of,
    registered_name,
    sharing_of,
    tier_of,
)
from edge_marl.leaderboards.submission.files import ACTIONS, CHAIN, SUBMISSION
from edge_marl.leaderboards.submission.schema import (
    FEWER_RUNS,
    RUNS,
    WORKLOADS,
    Submission,
    seal_of,
)
from edge_marl.leaderboards.submission.weights import parameters_of, read_weights
from edge_marl.leaderboards.verification.case import Case, expect
from edge_marl.metrics import metrics_of

__all__ = [
    "check_agent_name",
    "check_folder",
    "check_game",
    "check_ledger",
    "check_log",
    "check_place",
    "check_policies",
    "check_runs",
    "check_scenario",
    "check_schema",
    "check_seal",
    "check_sums",
    "check_workloads",
]


def check_folder(case: Case) -> str:
    """Raise unless a folder holds files of bounded size where they may be, and no links."""
    folder = case.folder
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
    return "files only, where they may be, of bounded size"


def _inside(folder: Path) -> Iterator[Path]:
    """Yield all that is in a folder, but nothing of what a link leads to."""
    for path in sorted(folder.iterdir()):
        yield path
        if path.is_dir() and not path.is_symlink():
            yield from _inside(path)


def check_schema(case: Case) -> str:
    """Raise unless `submission.json` is there and of the schema."""
    case.submission = files.read_submission(case.folder)
    return f"{SUBMISSION} is of version {case.submission.schema_version}"


def check_seal(case: Case) -> str:
    """Raise unless every file is stated, there, and as stated, and so is `submission.json`."""
    folder, submission = case.folder, case.submission
    present = {p.relative_to(folder).as_posix() for p in _inside(folder) if not p.is_dir()}
    present -= {SUBMISSION}
    for place in sorted(present - submission.files.keys()):
        raise SubmissionError(f"{folder / place}: {SUBMISSION} does not state this file")
    for place in sorted({ACTIONS, CHAIN, *submission.files} - present):
        raise SubmissionError(f"{folder / place}: there is no such file")
    for place in sorted(present):
        content = files.read_bytes(folder / place, files.limit_of(place))
        expect(folder / place, "SHA-256", submission.files[place], files.sha256_of(content))
    path = folder / SUBMISSION
    facts = files.parse_json(path, files.read_bytes(path, files.limit_of(SUBMISSION)))
    expect(path, "seal", submission.seal, seal_of(facts))
    return f"{len(submission.files)} files as stated, seal {submission.seal[:12]}"


def check_place(case: Case) -> str:
    """Raise unless a submission lies where its board, date and agent say."""
    folder, submission = case.folder, case.submission
    expect(folder, "folder", submission.folder_name, folder.resolve().name)
    expect(folder, "folder of the board", submission.board, folder.resolve().parent.name)
    return submission.entry


def check_scenario(case: Case) -> str:
    """Raise unless the scenario is a released tier, in the version that is released."""
    path, facts = case.folder / SUBMISSION, case.submission.scenario
    scenario = tier_of(facts.name)
    if scenario is None:
        raise SubmissionError(f"{path}: scenario '{facts.name}' is no released tier")
    expect(path, "scenario digest", scenario.digest, facts.digest)
    case.scenario = scenario
    return f"'{scenario.label}' as released, digest {scenario.digest[:12]}"


def check_runs(case: Case) -> str:
    """Raise unless there are the runs that the kind of agent has, with the seeds from 0 up."""
    path, agent = case.folder / SUBMISSION, case.submission.agent
    if agent.registered:
        if not is_registered(registered_name(agent.name)):
            raise SubmissionError(f"{path}: agent '{agent.name}' is not registered")
        expect(path, "agent.kind", kind_of(registered_name(agent.name)), agent.kind)
    _check_budget(case, path)
    seeds, asked = [run.seed for run in case.submission.runs], RUNS[agent.kind]
    fewer = FEWER_RUNS if agent.kind == "learner" else asked
    taken = case.known is not None or len(seeds) in (asked, fewer)
    if not taken or seeds != list(range(len(seeds))):
        also = f" (or the first {fewer}, with a mark)" if fewer < asked else ""
        raise SubmissionError(
            f"{path}: runs have the seeds {seeds}: a {agent.kind} agent has "
            f"{list(range(asked))}, all of them{also}: run it with --seeds {asked}"
        )
    budget = f"; budget: {case.submission.budget_class}" if agent.kind == "learner" else ""
    mark = f"; marked: {case.submission.mark}" if case.submission.mark else ""
    return f"{len(seeds)} of {agent.name}, a {agent.kind} agent{budget}{mark}"


def _check_budget(case: Case, path: Path) -> None:
    """Raise unless a learner, and nothing else, has a budget and declares its class.

    That the class is the budget's is asked by the schema.
    """
    kind, training = case.submission.agent.kind, case.submission.about.training
    if kind != "learner" and (training.budget or training.budget_class):
        raise SubmissionError(
            f"{path}: about.training.budget is {training.budget}, but agent.kind is '{kind}': what "
            "was trained is a 'learner'"
        )
    if kind == "learner" and training.budget_class is None and case.known is None:
        raise SubmissionError(
            f"{path}: about.training.budget_class is missing: a budget of {training.budget} "
            f"decisions is '{case.submission.budget_class}' (edge-marl submit)"
        )


def check_game(case: Case) -> str:
    """Raise unless a submission to a game's board says what its policy of gateways is, and only
    such a one does."""
    path, submission = case.folder / SUBMISSION, case.submission
    game, agent = submission.game, submission.agent
    if not is_game(case.scenario):
        if game is not None:
            raise SubmissionError(f"{path}: game: '{case.scenario.label}' is no game of gateways")
        return "none: a board of the single environment"
    if game is None:
        raise SubmissionError(
            f"{path}: game is missing: it says what a policy of gateways is (edge-marl submit)"
        )
    if agent.registered:
        name = registered_name(agent.name)
        expect(path, "game.execution", execution_of(name), game.execution)
        expect(path, "game.sharing", sharing_of(agent.settings), game.sharing)
        expect(path, "game.information", information_of(name), game.information)
    if agent.kind != "learner" and game.information != "none":
        raise SubmissionError(
            f"{path}: game.information is '{game.information}', but agent.kind is '{agent.kind}'"
        )
    if submission.policy_seeds:
        expect(path, "game.parameters", _parameters(case), game.parameters)
    return (
        f"{game.execution}; weights shared by: {game.sharing}; information used in training: "
        f"{game.information}; {game.parameters} parameters"
    )


def _parameters(case: Case) -> int:
    """Return how many numbers the weights of a policy hold, the most of any run."""
    places = (case.folder / place for place in case.submission.files if place.endswith("tensors"))
    return max((parameters_of(read_weights(place)) for place in places), default=0)


def check_agent_name(case: Case) -> str:
    """Raise if an agent that is not registered has a name that reads like one that is."""
    agent = case.submission.agent
    if not agent.registered and case.known is None:  # a name registered since then was not taken
        check_name(agent.name)
    return f"'{agent.name}', {'a registered one' if agent.registered else 'its own'}"


def check_workloads(case: Case) -> str:
    """Raise unless the test workloads are the scenario's, in order."""
    case.workloads = draw_test_workloads(case.scenario, WORKLOADS)
    for number, workload in enumerate(case.workloads):
        what = f"workload {number}: digest"
        claimed = case.submission.workloads[number]
        expect(case.folder / SUBMISSION, what, workload.digest, claimed)
    return f"all {WORKLOADS} test workloads"


def check_sums(case: Case) -> str:
    """Raise unless every metric is claimed, and the claims agree with each other."""
    path, submission = case.folder / SUBMISSION, case.submission
    known = metrics_of(case.scenario)
    for run in submission.runs:
        if odd := sorted(run.metrics.keys() ^ known.keys()):
            state = "missing" if odd[0] in known else "unknown"
            raise SubmissionError(f"{path}: run {run.seed}: metric '{odd[0]}' is {state}")
        columns = [run.metrics[name] for name in ("utility", "requests", "utility_per_task")]
        for number, (utility, requests, per_task) in enumerate(zip(*columns, strict=True)):
            if utility is None or not requests or per_task is None:
                raise SubmissionError(
                    f"{path}: run {run.seed}, workload {number}: utility, requests and "
                    "utility_per_task must be numbers, requests above 0"
                )
            what = f"run {run.seed}, workload {number}: utility_per_task"
            expect(path, what, utility / requests, per_task)
    means = means_of(submission.runs)
    for name in sorted(means.keys() | submission.means.keys()):
        expect(path, f"means.{name}", means.get(name), submission.means.get(name))
    return f"utility per task {submission.means['utility_per_task']:.4f}"


def check_policies(case: Case) -> str:
    """Raise unless there are policies of all runs or of none, each of this agent and scenario."""
    folder, submission = case.folder, case.submission
    seeds = submission.policy_seeds
    weights = {p.partition("/weights")[0] for p in submission.files if p.endswith(".safetensors")}
    for place in sorted(weights):
        if f"{place}/config.json" not in submission.files:
            raise SubmissionError(f"{folder / place}: weights without a config.json")
    runs = [run.seed for run in submission.runs]
    if seeds and list(seeds) != runs:
        raise SubmissionError(f"{folder}/policy: of seeds {list(seeds)}, the runs have {runs}")
    for seed in seeds:
        _check_config(folder / "policy" / f"seed-{seed}" / "config.json", submission)
    return f"{len(seeds)} brought"


def _check_config(path: Path, submission: Submission) -> None:
    config = files.parse_json(path, files.read_bytes(path, files.LIMITS[SUBMISSION]))
    if not isinstance(config, dict) or config.get("format") != FORMAT:
        raise SubmissionError(f"{path}: not a config of format '{FORMAT}'")
    trained_for = config.get("scenario")
    digest = trained_for.get("digest") if isinstance(trained_for, dict) else None
    expect(path, "scenario digest", submission.scenario.digest, digest)
    if submission.agent.registered:
        expect(path, "agent", registered_name(submission.agent.name), config.get("agent"))


def check_log(case: Case) -> str:
    """Raise unless the decisions and their chains are there, of the runs that are claimed."""
    case.chain = files.read_chain(case.folder)
    case.actions = files.read_actions(case.folder)
    seeds = [run.seed for run in case.submission.runs]
    if (logged := [run.seed for run in case.chain.runs]) != seeds:
        raise SubmissionError(
            f"{case.folder / CHAIN}: runs have the seeds {logged}, {SUBMISSION} has {seeds}"
        )
    for run in case.chain.runs:
        if (run.gateways is None) == is_game(case.scenario):
            state = "missing" if run.gateways is None else "there, where no gateways play"
            raise SubmissionError(f"{case.folder / CHAIN}: run {run.seed}: gateways is {state}")
    rows, agent = len(case.actions.lengths), case.submission.agent
    case.is_compact = rows == 1 < len(seeds)
    if case.is_compact and not (agent.registered and case.submission.policy_seeds):
        raise SubmissionError(
            f"{case.folder / ACTIONS}: has 1 run, {SUBMISSION} has {len(seeds)}: the others may be "
            "left out where an agent is registered and its policies are brought"
        )
    if rows != len(seeds) and not case.is_compact:
        raise SubmissionError(
            f"{case.folder / ACTIONS}: has {rows} runs, {SUBMISSION} has {len(seeds)}"
        )
    return f"{case.decisions} decisions" + ("; of the first run alone" if case.is_compact else "")


def check_ledger(case: Case) -> str:
    """Raise if a submission that was taken in is no longer what it was."""
    known = case.taken_in.entries.get(case.submission.entry)
    if known and known.seal != case.submission.seal:
        raise SubmissionError(
            f"{case.folder}: seal {case.submission.seal[:12]}, {files.LEDGER} has "
            f"{known.seal[:12]}: what was taken in may not change; submit again under another date"
        )
    return "unchanged since it was taken in" if known else "new"
