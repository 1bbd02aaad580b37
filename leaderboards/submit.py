"""Making a submission of a finished run: its agents play again, and every decision is logged."""

from __future__ import annotations

import datetime
import json
import os
import platform
import shutil
import tempfile
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from edge_marl.agents import Agent, make
from edge_marl.agents import load as load_agent
from edge_marl.agents.registry import find
from edge_marl.benchmarks.cells import Cell
from edge_marl.benchmarks.evaluation import draw_test_workloads
from edge_marl.benchmarks.records import CellResult, read_plan, read_record, record_path
from edge_marl.errors import AgentError, SubmissionError
from edge_marl.leaderboards.checks import code_sha256, kind_of, means_of
from edge_marl.leaderboards.episodes import Episode, Moment, play_episodes
from edge_marl.leaderboards.files import ACTIONS, CHAIN, SUBMISSION, Actions, sha256_of
from edge_marl.leaderboards.schema import (
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
from edge_marl.scenario import Scenario, load_scenario

__all__ = ["make_submission", "read_about"]


@dataclass(frozen=True)
class _Finished:
    """A cell of a run, with its result."""

    cell: Cell
    result: CellResult
    versions: dict[str, str]


def make_submission(
    run_dir: Path,
    agent: str,
    about: dict[str, Any],
    out: Path,
    *,
    with_policy: bool = False,
    checkpoints: Sequence[Path] = (),
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
        checkpoints: folders of the trained agents by seed; none are the run's own.
        scenario: which of the run's, where it has several.
        name: the agent's on the board; None is made of `agent`.
        date: of the submission; None is today.

    Raises:
        SubmissionError: something is missing, or the agents play otherwise than the run's did.
        RecordError: the folder holds no run, or damaged records.
        AgentError: a checkpoint cannot be read.
    """
    world = _scenario_of(run_dir, scenario)
    finished = _results(run_dir, agent, world)
    workloads = draw_test_workloads(world, WORKLOADS)
    kind = kind_of(agent)
    places = _checkpoints(run_dir, finished, checkpoints) if kind == "learner" else []
    agents = [
        load_agent_of(agent, world, places[k] if places else None) for k in range(len(finished))
    ]
    played = []
    for one, done in zip(agents, finished, strict=True):
        one.reset(done.cell.seed)
        episodes = play_episodes(world, workloads, _chooser(one))
        _check_same(episodes, done)
        played.append(episodes)
    when = date or datetime.date.today()
    registered = ":" not in agent
    slug = agent if registered else slug_of(name or agent)
    facts = {
        "schema_version": SCHEMA_VERSION,
        "date": when.isoformat(),
        "agent": AgentFacts(
            name=slug,
            kind=kind,
            registered=registered,
            settings=finished[0].result.settings,
            code_sha256=None if registered else code_sha256(agent),
        ).model_dump(mode="json"),
        "about": _about(about, world, finished[0]),
        "scenario": ScenarioFacts(name=world.label, digest=world.digest).model_dump(mode="json"),
        "versions": finished[0].versions,
        "hardware": hardware().model_dump(mode="json"),
        "workloads": [workload.digest for workload in workloads],
    }
    runs = [_run(done, episodes) for done, episodes in zip(finished, played, strict=True)]
    facts |= {"runs": [run.model_dump(mode="json") for run in runs], "means": means_of(runs)}
    contents = _logs(finished, played)
    if with_policy:
        for one, done in zip(agents, finished, strict=True):
            contents |= _policy(one, done.cell.seed, slug if registered else agent)
    return _write(out, facts, contents)


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


def hardware() -> Hardware:
    """Return what this machine is."""
    processor = platform.processor() or platform.machine()
    memory = 0
    try:
        cpus = Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines()
        named = [line.partition(":")[2].strip() for line in cpus if line.startswith("model name")]
        processor = named[0] if named else processor
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (OSError, ValueError, AttributeError):  # not on every system
        pass
    return Hardware(
        system=f"{platform.system()} {platform.release()}"[:200],
        machine=platform.machine() or "unknown",
        processor=processor[:200] or "unknown",
        cores=os.cpu_count() or 1,
        memory_gib=round(memory / 2**30, 1),
    )


def _scenario_of(run_dir: Path, wanted: str | None) -> Scenario:
    plan = read_plan(run_dir)
    if plan.api != "single":
        raise SubmissionError(
            f"{run_dir}: its agents played the game of gateways: boards are of the single "
            "environment; run without --api parallel"
        )
    labels = [scenario.label for scenario in plan.scenarios]
    if wanted is None and len(labels) > 1:
        raise SubmissionError(
            f"{run_dir}: has the scenarios {', '.join(labels)}: say which with --scenario"
        )
    if wanted is not None and wanted not in labels:
        raise SubmissionError(f"{run_dir}: has no scenario '{wanted}', only {', '.join(labels)}")
    found = plan.scenarios[labels.index(wanted) if wanted else 0]
    tier, _, world = found.label.partition("-w")
    try:
        released = load_scenario(tier, int(world) if world else None).digest
    except ValueError:
        released = ""
    if released != found.digest:
        raise SubmissionError(
            f"{run_dir}: scenario '{found.label}' (digest {found.digest[:12]}) is no released "
            "tier: boards are of released tiers"
        )
    return found


def _results(run_dir: Path, agent: str, world: Scenario) -> list[_Finished]:
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
    needed = RUNS[kind_of(agent)]
    cells = [cell for cell in plan.cells(world, entries[agent]) if cell.seed < needed]
    if len(cells) < needed:
        raise SubmissionError(
            f"{run_dir}: has {len(cells)} seed(s) of '{agent}': a {kind_of(agent)} agent needs "
            f"{needed}; run with --seeds {needed}"
        )
    return [_finished(run_dir, cell) for cell in cells]


def _finished(run_dir: Path, cell: Cell) -> _Finished:
    record = read_record(run_dir, cell)
    if record is None or record.result is None:
        state = "has not been run" if record is None or record.failure is None else "has failed"
        raise SubmissionError(
            f"{record_path(run_dir, cell)}: {cell.label} {state}: run it to its end first"
        )
    return _Finished(cell, record.result, record.versions)


def _checkpoints(run_dir: Path, finished: list[_Finished], given: Sequence[Path]) -> list[Path]:
    """Return the folder of each trained agent, by seed."""
    if given and len(given) != len(finished):
        raise SubmissionError(
            f"{len(given)} checkpoint(s): give {len(finished)}, one per seed from 0 up"
        )
    if given:
        return list(given)
    found = [run_dir / "agents" / Path(done.cell.file_name).stem for done in finished]
    for folder, done in zip(found, finished, strict=True):
        if not folder.is_dir():
            raise SubmissionError(
                f"{folder}: the trained agent of seed {done.cell.seed} is not there: give the "
                "folder of each seed's with --checkpoint"
            )
    return found


def load_agent_of(agent: str, world: Scenario, checkpoint: Path | None) -> Agent:
    """Return the agent of a run: from its checkpoint, or as it is made."""
    if checkpoint is not None:
        return (
            find(agent).load(checkpoint, world) if ":" in agent else load_agent(checkpoint, world)
        )
    made = make(agent, world)
    if not isinstance(made, Agent):
        raise AgentError(f"agent '{agent}' has to learn first")
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


def _about(given: dict[str, Any], world: Scenario, done: _Finished) -> dict[str, Any]:
    training = {
        "data": f"train workloads of {world.label}" if done.cell.budget else "none",
        "budget": done.cell.budget or 0,
    }
    asked = given.get("training", {})
    try:
        about = About.model_validate(
            given | {"training": training | (asked if isinstance(asked, dict) else {})}
        )
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        hint = ": give --author NAME, or a file with --about" if field == "authors" else ""
        raise SubmissionError(f"about.{field}: {first['msg']}{hint}") from None
    return about.model_dump(mode="json")


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


def _policy(agent: Agent, seed: int, name: str) -> dict[str, bytes]:
    """Return the files of a policy, by their place in the submission."""
    with tempfile.TemporaryDirectory() as folder:
        agent.save(folder)
        found = {p.name: p.read_bytes() for p in sorted(Path(folder).iterdir()) if p.is_file()}
    if odd := found.keys() - {"config.json", "weights.safetensors"}:
        raise SubmissionError(
            f"agent '{name}': it saves {', '.join(sorted(odd))}: a policy is a config.json and a "
            "weights.safetensors (edge_marl.agents.checkpoint.write_checkpoint)"
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
    part = folder.with_name(f".{folder.name}.part")
    try:
        shutil.rmtree(part, ignore_errors=True)
        for place, content in {**contents, SUBMISSION: _json(sealed)}.items():
            path = part / place
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        part.rename(folder)
    except OSError as error:
        shutil.rmtree(part, ignore_errors=True)
        raise SubmissionError(f"{folder}: cannot be written ({error.strerror})") from None
    return folder


def _json(facts: dict[str, Any]) -> bytes:
    # One line per list of numbers would be nicer to read; one line in all is smaller.
    return json.dumps(facts, sort_keys=True, allow_nan=False).encode() + b"\n"
