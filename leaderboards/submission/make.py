"""Making a submission of a finished run: its agents play again, and every decision is logged."""

from __future__ import annotations

import datetime
import json
import tempfile
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from edge_marl.agents import Agent, make
from edge_marl.agents.registry import find
from edge_marl.agents.training.settings_text import configure, parse_spec
from edge_marl.benchmarks.plan.cells import Arena, Cell
from edge_marl.benchmarks.records.records import (
    CellResult,
    Provenance,
    read_plan,
    read_record,
    record_path,
)
from edge_marl.benchmarks.run import kept_agents
from edge_marl.benchmarks.run.evaluation import draw_test_workloads
from edge_marl.errors import AgentError, SubmissionError
from edge_marl.files import new_folder
from edge_marl.leaderboards.submission.chain import Episode, Moment, play_episodes
from edge_marl.leaderboards.submission.facts import code_sha256, is_released, kind_of, means_of
from edge_marl.leaderboards.submission.files import ACTIONS, CHAIN, SUBMISSION, Actions, sha256_of
from edge_marl.leaderboards.submission.schema import (
    RUNS,
    SCHEMA_VERSION,
    WORKLOADS,
    About,
    AgentFacts,
    Chain,
    ChainRun,
    Hardware,
    Run,
    ScenarioFacts,
    Submission,
    seal_of,
    slug_of,
)

__all__ = ["make_submission", "read_about"]


@dataclass(frozen=True)
class _Finished:
    """A cell of a run, with its result."""

    cell: Cell
    result: CellResult
    provenance: Provenance


def make_submission(
    run_dir: Path,
    agent: str,
    about: dict[str, Any],
    out: Path,
    *,
    with_policy: bool = False,
    trained: Sequence[Path] = (),
    scenario: str | None = None,
    name: str | None = None,
    date: datetime.date | None = None,
) -> Path:
    """Make the submission of an agent of a run, and return its folder.

    Args:
        run_dir: folder of a run with all test workloads, and the seeds that the agent must have.
        agent: which one of the run's.
        about: fields of `About`; what is left out and known from the run is filled in.
        out: folder of all submissions.
        with_policy: whether the policies come along, so that anyone can run them again.
        trained: folders of the trained agents by seed; none are those that the run has kept.
        scenario: which of the run's, where it has several.
        name: the agent's on the board; None is made of `agent`.
        date: of the submission; None is today.

    Raises:
        SubmissionError: something is missing, or the agents play otherwise than the run's did.
        RecordError: the folder holds no run, or damaged records.
        AgentError: a checkpoint cannot be read.
    """
    arena = _arena_of(run_dir, scenario)
    world = arena.scenario
    finished = _results(run_dir, agent, arena)
    workloads = draw_test_workloads(world, WORKLOADS)
    class_name = parse_spec(agent)[0]
    places: Sequence[Path | None] = [None] * len(finished)
    if kind_of(class_name) == "learner":
        places = _checkpoints(run_dir, finished, trained)
    agents = [_load(done.cell, place) for done, place in zip(finished, places, strict=True)]
    played = []
    for one, done in zip(agents, finished, strict=True):
        one.reset(done.cell.seed)
        played.append(play_episodes(world, workloads, _chooser(one)))
        _check_same(played[-1], done)
    runs = [_run(done, episodes) for done, episodes in zip(finished, played, strict=True)]
    facts = {
        "schema_version": SCHEMA_VERSION,
        "date": (date or datetime.date.today()).isoformat(),
        "agent": _agent(class_name, name, finished[0]).model_dump(mode="json"),
        "about": _about(about, finished[0]).model_dump(mode="json"),
        "scenario": ScenarioFacts(name=world.label, digest=world.digest).model_dump(mode="json"),
        "versions": finished[0].provenance.versions,
        "hardware": _hardware(finished[0].provenance).model_dump(mode="json"),
        "workloads": [workload.digest for workload in workloads],
        "runs": [run.model_dump(mode="json") for run in runs],
        "means": means_of(runs),
    }
    contents = _logs(finished, played)
    if with_policy:
        for one, done in zip(agents, finished, strict=True):
            contents |= _policy(one, done.cell.seed)
    return _write(out, facts, contents)


def _agent(class_name: str, name: str | None, done: _Finished) -> AgentFacts:
    registered = ":" not in class_name
    return AgentFacts(
        name=class_name if registered else slug_of(name or class_name),
        kind=kind_of(class_name),
        registered=registered,
        settings=done.result.settings,
        code_sha256=None if registered else code_sha256(class_name),
    )


def read_about(path: Path) -> dict[str, Any]:
    """Return what a TOML file says about a submission.

    Raises:
        SubmissionError: if it cannot be read.
    """
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise SubmissionError(f"{path}: cannot be read ({error.strerror})") from None
    except ValueError as error:
        raise SubmissionError(f"{path}: not TOML ({error})") from None


def _hardware(found: Provenance) -> Hardware:
    system, _, machine = found.hardware.system.rpartition(" ")
    memory = found.hardware.memory_gb
    return Hardware(
        system=system or "unknown",
        machine=machine or "unknown",
        processor=found.hardware.cpu[:200] or "unknown",
        cores=found.hardware.cores,
        memory_gib=None if memory is None else round(memory * 1e9 / 2**30, 1),
    )


def _arena_of(run_dir: Path, wanted: str | None) -> Arena:
    """Return where a run's agents were evaluated: the single environment of a released tier."""
    arenas = [arena for arena in read_plan(run_dir).arenas if arena.api == "single"]
    if not arenas:
        raise SubmissionError(
            f"{run_dir}: its agents played the game of gateways: boards are of the single "
            "environment; run without --api parallel"
        )
    labels = [arena.scenario.label for arena in arenas]
    if wanted is None and len(labels) > 1:
        raise SubmissionError(
            f"{run_dir}: has the scenarios {', '.join(labels)}: say which with --scenario"
        )
    if wanted is not None and wanted not in labels:
        raise SubmissionError(f"{run_dir}: has no scenario '{wanted}', only {', '.join(labels)}")
    found = arenas[labels.index(wanted) if wanted else 0]
    if not is_released(found.scenario):
        raise SubmissionError(
            f"{run_dir}: scenario '{found.scenario.label}' (digest {found.scenario.digest[:12]}) "
            "is no released tier: boards are of released tiers"
        )
    return found


def _results(run_dir: Path, agent: str, arena: Arena) -> list[_Finished]:
    """Return the cells that a submission is made of, by seed."""
    plan = read_plan(run_dir)
    entries = {entry.name: entry for entry in plan.agents}
    if agent not in entries:
        raise SubmissionError(f"{run_dir}: has no agent '{agent}', only {', '.join(entries)}")
    if plan.episodes != WORKLOADS:
        raise SubmissionError(
            f"{run_dir}: has {plan.episodes} test workloads: a submission has all {WORKLOADS}; "
            f"run with --episodes {WORKLOADS}"
        )
    kind = kind_of(parse_spec(agent)[0])
    cells = [cell for cell in plan.cells(arena, entries[agent]) if cell.seed < RUNS[kind]]
    if len(cells) < RUNS[kind]:
        raise SubmissionError(
            f"{run_dir}: has {len(cells)} seed(s) of '{agent}': a {kind} agent needs "
            f"{RUNS[kind]}; run with --seeds {RUNS[kind]}"
        )
    return [_finished(run_dir, cell) for cell in cells]


def _finished(run_dir: Path, cell: Cell) -> _Finished:
    record = read_record(run_dir, cell)
    if record is None or record.result is None:
        state = "has not been run" if record is None or record.failure is None else "has failed"
        raise SubmissionError(
            f"{record_path(run_dir, cell)}: {cell.label} {state}: run it to its end first"
        )
    return _Finished(cell, record.result, record.provenance)


def _checkpoints(run_dir: Path, finished: list[_Finished], given: Sequence[Path]) -> list[Path]:
    """Return the folder of each trained agent, by seed."""
    if given and len(given) != len(finished):
        raise SubmissionError(
            f"{len(given)} checkpoint(s): give {len(finished)}, one per seed from 0 up"
        )
    if given:
        return list(given)
    return [_kept(run_dir, done) for done in finished]


def _kept(run_dir: Path, done: _Finished) -> Path:
    """Return the folder where a run has kept the trained agent of a cell."""
    kept = done.result.checkpoint
    if kept is None or not (run_dir / kept.folder).is_dir():
        raise SubmissionError(
            f"{run_dir}: the trained agent of {done.cell.label} was not kept: give the folder of "
            "each seed's with --checkpoint"
        )
    if not kept_agents.is_intact(run_dir, kept):
        raise SubmissionError(
            f"{run_dir / kept.folder}: not the agent that the run has kept: files were changed"
        )
    return run_dir / kept.folder


def _load(cell: Cell, checkpoint: Path | None) -> Agent:
    """Return the agent of a cell: from its checkpoint, or as it is made."""
    name, settings = parse_spec(cell.agent)
    if checkpoint is not None:
        transfer = cell.train_on is not None
        return find(name).load(checkpoint, cell.scenario, transfer=transfer)
    made = make(name, cell.scenario)
    configure(made, settings)
    if not isinstance(made, Agent):
        raise AgentError(f"agent '{name}' has to learn first")
    return made


def _chooser(agent: Agent) -> Any:
    def choose(moment: Moment) -> Any:
        return agent.act(moment.observation, {"action_mask": moment.mask})

    return choose


def _check_same(episodes: list[Episode], done: _Finished) -> None:
    """Raise unless the agent got what the run's record says."""
    for k, (episode, recorded) in enumerate(zip(episodes, done.result.episodes, strict=True)):
        for name, value in recorded.metrics.items():
            if name in episode.metrics and repr(episode.metrics[name]) != repr(value):
                raise SubmissionError(
                    f"{done.cell.label}, workload {k}: {name}: the record has {value}, the agent "
                    f"now gets {episode.metrics[name]}: it is not the one of the run, or the code "
                    "or the machine has changed; run it again"
                )


def _about(given: dict[str, Any], done: _Finished) -> About:
    place = (done.cell.train_on or done.cell.scenario).label
    training = {
        "data": f"train workloads of {place}" if done.cell.budget else "none",
        "budget": done.cell.budget or 0,
    }
    asked = given.get("training", {})
    try:
        return About.model_validate(
            given | {"training": training | (asked if isinstance(asked, dict) else {})}
        )
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        hint = ": give --author NAME, or a file with --about" if field == "authors" else ""
        raise SubmissionError(f"about.{field}: {first['msg']}{hint}") from None


def _run(done: _Finished, episodes: list[Episode]) -> Run:
    names = episodes[0].metrics
    return Run(
        seed=done.cell.seed,
        metrics={name: tuple(episode.metrics[name] for episode in episodes) for name in names},
        decision_latency_us=done.result.decision_latency_us,
        train_s=done.result.train_s if done.cell.budget else None,
    )


def _logs(finished: list[_Finished], played: list[list[Episode]]) -> dict[str, bytes]:
    chain = Chain(
        runs=tuple(
            ChainRun(
                seed=done.cell.seed,
                heads=tuple(episode.head for episode in episodes),
                marks=tuple(episode.marks for episode in episodes),
            )
            for done, episodes in zip(finished, played, strict=True)
        )
    )
    every = [episode.actions for episodes in played for episode in episodes]
    actions = Actions(
        actions=np.concatenate(every).astype("<u2"),
        lengths=np.array([len(one) for one in every], "<i4").reshape(len(played), WORKLOADS),
    )
    return {CHAIN: _json(chain.model_dump(mode="json")), ACTIONS: actions.packed()}


def _policy(agent: Agent, seed: int) -> dict[str, bytes]:
    """Return the files of a policy, by their place in the submission."""
    with tempfile.TemporaryDirectory() as folder:
        agent.save(folder)
        found = {p.name: p.read_bytes() for p in sorted(Path(folder).iterdir()) if p.is_file()}
    if odd := found.keys() - {"config.json", "weights.safetensors"}:
        raise SubmissionError(
            f"agent '{agent.name}': it saves {', '.join(sorted(odd))}: a policy is a config.json "
            "and a weights.safetensors (edge_marl.agents.checkpoint.write_checkpoint)"
        )
    config = json.loads(found["config.json"])
    place, colon, own = str(config["agent"]).rpartition(":")
    config["agent"] = f"{Path(place).name}{colon}{own}"  # not where the file lies on this machine
    found["config.json"] = _json(config)
    return {f"policy/seed-{seed}/{file}": content for file, content in found.items()}


def _write(out: Path, facts: dict[str, Any], contents: dict[str, bytes]) -> Path:
    """Write a submission's folder: all of it is there, or nothing."""
    facts = facts | {"files": {place: sha256_of(found) for place, found in contents.items()}}
    try:
        # By way of the model, so that the seal is of what its reader will read.
        whole = Submission.model_validate_json(json.dumps(facts | {"seal": "0" * 64}))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        raise SubmissionError(f"{SUBMISSION}: {field}: {first['msg']}") from None
    sealed = whole.model_dump(mode="json")
    sealed["seal"] = seal_of(sealed)
    folder = out / whole.entry
    if folder.exists():
        raise SubmissionError(f"{folder}: is there already: a submission is never overwritten")
    with new_folder(folder, SubmissionError) as part:
        for place, content in {**contents, SUBMISSION: _json(sealed)}.items():
            path = part / place
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    return folder


def _json(facts: dict[str, Any]) -> bytes:
    # One line per list of numbers would be nicer to read; one line in all is smaller.
    return json.dumps(facts, sort_keys=True, allow_nan=False).encode() + b"\n"
