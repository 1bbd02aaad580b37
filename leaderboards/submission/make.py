"""Making a submission of a finished run: its agents play again, and every decision is logged."""

from __future__ import annotations

import datetime
import json
import tempfile
import tomllib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from edge_marl.agents import Agent
from edge_marl.agents.registry import own_class
from edge_marl.agents.training.settings_text import parse_spec
from edge_marl.benchmarks.plan.budgets import budget_class
from edge_marl.benchmarks.records.provenance import usable_cores
from edge_marl.benchmarks.records.records import Provenance
from edge_marl.benchmarks.run.evaluation import draw_test_workloads
from edge_marl.errors import SubmissionError
from edge_marl.files import new_folder
from edge_marl.leaderboards.submission.chain import (
    Episode,
    chooser_of,
    gateways_of,
    is_game,
    play_episodes,
)
from edge_marl.leaderboards.submission.facts import (
    board_name,
    check_name,
    code_sha256,
    execution_of,
    information_of,
    kind_of,
    means_of,
    sharing_of,
)
from edge_marl.leaderboards.submission.files import (
    ACTIONS,
    CHAIN,
    SUBMISSION,
    actions_of,
    sha256_of,
)
from edge_marl.leaderboards.submission.finished_run import (
    FinishedCell,
    arena_of,
    chosen_settings,
    finished_cells,
    load_agents,
)
from edge_marl.leaderboards.submission.schema import (
    WORKLOADS,
    About,
    AgentFacts,
    Chain,
    ChainRun,
    GameFacts,
    Hardware,
    Run,
    ScenarioFacts,
    Submission,
    problem_of,
    seal_of,
    slug_of,
)
from edge_marl.leaderboards.submission.weights import parameters_in
from edge_marl.workload import Workload

__all__ = ["make_submission", "read_about"]


@dataclass(frozen=True, eq=False)
class _Replay:
    """A cell of the run, and what its agent did when it played again."""

    done: FinishedCell
    agent: Agent
    episodes: list[Episode]


def make_submission(
    run_dir: Path,
    agent: str,
    about: dict[str, Any],
    out: Path,
    *,
    with_policy: bool = False,
    with_log: bool = False,
    trained: Sequence[Path] = (),
    scenario: str | None = None,
    name: str | None = None,
    date: datetime.date | None = None,
    progress: Callable[[int, int], None] = lambda run, runs: None,
) -> Path:
    """Make the submission of an agent of a run, and return its folder.

    Args:
        run_dir: folder of a run with all test workloads, and the seeds that the agent must have.
        agent: which one of the run's.
        about: fields of `About`; what is left out and known from the run is filled in.
        out: folder of all submissions.
        with_policy: whether the policies come along, so that anyone can run them again.
        with_log: whether the log of every run comes along, also where the policies of a registered
            agent make it again: then by itself only the first run's does.
        trained: folders of the trained agents by seed; none are those that the run has kept.
        scenario: which of the run's, where it has several.
        name: the agent's on the board; None is made of `agent`.
        date: of the submission; None is today.
        progress: called with the number of a run that is played again, from 1 on, and of how many,
            in another thread: a registered agent's are played with a processor each.

    Raises:
        SubmissionError: something is missing, or the agents play otherwise than the run's did.
        RecordError: the folder holds no run, or damaged records.
        AgentError: a checkpoint cannot be read, or its agent's code does not decide.
    """
    arena = arena_of(run_dir, scenario)
    finished = finished_cells(run_dir, agent, arena)
    agent_facts = _agent(finished[0], name)
    agents = load_agents(run_dir, finished, trained)
    workloads = draw_test_workloads(arena.scenario, WORKLOADS)

    def replay(number: int) -> _Replay:
        progress(number + 1, len(finished))
        return _replay(finished[number], agents[number], workloads)

    # Another's code may keep in its module what it decides by: of that one run is played at a time.
    with ThreadPoolExecutor(usable_cores() if agent_facts.registered else 1) as pool:
        replays = list(pool.map(replay, range(len(finished))))
    said = {key: value for key, value in about.items() if key != "game"}
    facts = _facts(replays, workloads, said, agent_facts, date or datetime.date.today())
    policies = _policies(replays) if with_policy or is_game(arena.scenario) else {}
    if is_game(arena.scenario):
        facts["game"] = _game(about.get("game", {}), finished[0], policies)
    compact = with_policy and agent_facts.registered and not with_log and len(replays) > 1
    return _write(out, facts, _logs(replays, compact) | (policies if with_policy else {}))


def read_about(path: Path) -> dict[str, Any]:
    """Return what a TOML file says about a submission.

    Raises:
        SubmissionError: if it cannot be read.
    """
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise SubmissionError(f"{path}: cannot be read ({error.strerror})") from None
    except RecursionError:
        raise SubmissionError(f"{path}: not TOML (nested too deeply)") from None
    except ValueError as error:  # also of a number of thousands of digits
        raise SubmissionError(f"{path}: not TOML ({error})") from None


def _replay(done: FinishedCell, agent: Agent, workloads: Sequence[Workload]) -> _Replay:
    scenario = done.cell.scenario
    episodes = play_episodes(
        scenario, workloads, chooser_of(agent, scenario, workloads, done.cell.seed)
    )
    _check_same(episodes, done)
    return _Replay(done, agent, episodes)


def _check_same(episodes: list[Episode], done: FinishedCell) -> None:
    """Raise unless the agent got what the run's record says."""
    for k, (episode, recorded) in enumerate(zip(episodes, done.result.episodes, strict=True)):
        for name, value in recorded.metrics.items():
            if name in episode.metrics and repr(episode.metrics[name]) != repr(value):
                raise SubmissionError(
                    f"{done.cell.label}, workload {k}: {name}: the record has {value}, the agent "
                    f"now gets {episode.metrics[name]}: it is not the one of the run, or the code "
                    "or the machine has changed; run it again"
                )


def _facts(
    replays: list[_Replay],
    workloads: Sequence[Workload],
    about: dict[str, Any],
    agent: AgentFacts,
    date: datetime.date,
) -> dict[str, Any]:
    """Return the fields of the submission, but for its files and its seal."""
    first = replays[0].done
    scenario, runs = first.cell.scenario, [_run(replay) for replay in replays]
    return {
        "date": date,
        "agent": agent,
        "about": _about(about, first),
        "scenario": ScenarioFacts(name=scenario.label, digest=scenario.digest),
        "versions": first.provenance.versions,
        "hardware": _hardware(first.provenance),
        "workloads": [workload.digest for workload in workloads],
        "runs": runs,
        "means": means_of(runs),
    }


def _agent(done: FinishedCell, asked: str | None) -> AgentFacts:
    """Return what is said of an agent, or raise if its name is taken for a registered one's."""
    class_name = parse_spec(done.cell.agent)[0]
    own = own_class(class_name)
    if own not in ("", class_name):
        raise SubmissionError(
            f"agent '{class_name}': a reference of an agent that is not registered: boards take "
            f"'{own}' itself, or a reference of a registered one"
        )
    registered = not own
    name = board_name(class_name) if registered else slug_of(asked or class_name)
    if not registered:
        check_name(name)
    return AgentFacts(
        name=name,
        kind=kind_of(class_name),
        registered=registered,
        settings=done.result.settings,
        chosen=json.loads(json.dumps(chosen_settings(done.cell))),
        code_sha256=None if registered else code_sha256(class_name),
    )


def _about(given: dict[str, Any], done: FinishedCell) -> About:
    if isinstance(description := given.get("description"), str):
        given = given | {"description": description.strip()}  # of a TOML text of several lines
    try:
        return About.model_validate(given | {"training": _training(given.get("training"), done)})
    except ValidationError as error:
        field, problem = problem_of(error)
        hint = ": give --author NAME, or a file with --about" if field == "authors" else ""
        raise SubmissionError(f"about.{field}: {problem}{hint}") from None


def _training(given: Any, done: FinishedCell) -> dict[str, Any]:
    """Return what is said of the training: what the run knows, and what its authors add to it."""
    place, trained = (done.cell.train_on or done.cell.scenario).label, done.cell.budget or 0
    known = {"data": f"train workloads of {place}" if trained else "none", "budget": trained}
    facts: dict[str, Any] = known | (given if isinstance(given, dict) else {})
    if isinstance(budget := facts["budget"], int) and trained:
        if budget < trained:
            raise SubmissionError(
                f"about.training.budget: {budget}, but the run trained on {trained} decisions: "
                "leave it out, or add to it what was trained before"
            )
        facts = {"budget_class": budget_class(budget)} | facts
    return facts


def _game(given: Any, done: FinishedCell, policies: dict[str, bytes]) -> GameFacts:
    """Return what is said of a policy of gateways.

    Args:
        given: the table `game` of what the authors say.
        done: a cell of its run.
        policies: files of the policies.
    """
    name = parse_spec(done.cell.agent)[0]
    weights = [content for place, content in policies.items() if place.endswith("tensors")]
    known: dict[str, Any] = {
        "execution": execution_of(name),
        "sharing": sharing_of(done.result.settings),
        "information": information_of(name),
        "parameters": max(map(parameters_in, weights), default=0),
    }
    asked = given if isinstance(given, dict) else {"game": given}
    try:
        return GameFacts.model_validate(known | asked | {"parameters": known["parameters"]})
    except ValidationError as error:
        field, problem = problem_of(error)
        raise SubmissionError(f"game.{field}: {problem}") from None


def _hardware(provenance: Provenance) -> Hardware:
    hardware = provenance.hardware
    system, _, machine = hardware.system.rpartition(" ")
    memory = hardware.memory_gb
    return Hardware(
        system=system or "unknown",
        machine=machine or "unknown",
        processor=" ".join(hardware.cpu.split())[:200].strip() or "unknown",
        cores=hardware.cores,
        memory_gib=None if memory is None else round(memory * 1e9 / 2**30, 1),
    )


def _run(replay: _Replay) -> Run:
    done, episodes = replay.done, replay.episodes
    return Run(
        seed=done.cell.seed,
        metrics={
            name: tuple(episode.metrics[name] for episode in episodes)
            for name in episodes[0].metrics
        },
        decision_latency_us=done.result.decision_latency_us,
        train_s=done.result.train_s if done.cell.budget else None,
        train_cpu_s=done.result.train_cpu_s if done.cell.budget else None,
        curve=tuple((at.decisions, at.utility_per_task) for at in done.result.curve) or None,
    )


def _logs(replays: list[_Replay], compact: bool) -> dict[str, bytes]:
    """Return the files of the decisions and their chains."""
    every: Literal[1, 16] = 16 if compact else 1
    chain = Chain(
        every=every,
        runs=tuple(
            ChainRun(
                seed=replay.done.cell.seed,
                heads=tuple(episode.head for episode in replay.episodes),
                marks=tuple(episode.marks_every(every) for episode in replay.episodes),
                gateways=gateways_of(replay.episodes),
            )
            for replay in replays
        ),
    )
    kept = replays[:1] if compact else replays
    actions = actions_of([replay.episodes for replay in kept])
    return {CHAIN: _json(chain.model_dump(mode="json")), ACTIONS: actions.packed()}


def _policies(replays: list[_Replay]) -> dict[str, bytes]:
    """Return the files of all policies, by their place in the submission."""
    return {
        f"policy/seed-{replay.done.cell.seed}/{file}": content
        for replay in replays
        for file, content in _policy(replay.agent).items()
    }


def _policy(agent: Agent) -> dict[str, bytes]:
    with tempfile.TemporaryDirectory() as folder:
        agent.save(folder)
        saved = {p.name: p.read_bytes() for p in sorted(Path(folder).iterdir()) if p.is_file()}
    if odd := saved.keys() - {"config.json", "weights.safetensors"}:
        raise SubmissionError(
            f"agent '{agent.name}': it saves {', '.join(sorted(odd))}: a policy is a config.json "
            "and a weights.safetensors (edge_marl.agents.checkpoint.write_checkpoint)"
        )
    config = json.loads(saved["config.json"])
    place, colon, own = str(config["agent"]).rpartition(":")
    config["agent"] = f"{Path(place).name}{colon}{own}"  # not where the file lies on this machine
    saved["config.json"] = _json(config)
    return saved


def _write(out: Path, facts: dict[str, Any], contents: dict[str, bytes]) -> Path:
    """Write a submission's folder: all of it is there, or nothing."""
    submission = _sealed(facts, contents)
    folder = out / submission.entry
    if folder.exists():
        raise SubmissionError(f"{folder}: is there already: a submission is never overwritten")
    statement = _json(submission.model_dump(mode="json"))
    with new_folder(folder, SubmissionError) as part:
        for place, content in {**contents, SUBMISSION: statement}.items():
            path = part / place
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    return folder


def _sealed(facts: dict[str, Any], contents: dict[str, bytes]) -> Submission:
    files = {place: sha256_of(content) for place, content in contents.items()}
    try:
        draft = Submission.model_validate(facts | {"files": files, "seal": "0" * 64})
    except ValidationError as error:
        field, problem = problem_of(error)
        raise SubmissionError(f"{SUBMISSION}: {field}: {problem}") from None
    # The seal is of the fields as the model writes them, which is what its reader will read.
    return draft.model_copy(update={"seal": seal_of(draft.model_dump(mode="json"))})


def _json(facts: dict[str, Any]) -> bytes:
    # One line per list of numbers would be nicer to read; one line in all is smaller.
    return json.dumps(facts, sort_keys=True, allow_nan=False).encode() + b"\n"
