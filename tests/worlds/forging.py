"""Changing submissions for tests: with their seal made anew, as somebody who means it would."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np

from edge_marl.agents import Agent, make
from edge_marl.benchmarks.run.evaluation import draw_test_workloads
from edge_marl.leaderboards.policies.opening import OpenPolicy
from edge_marl.leaderboards.submission.chain import (
    Episode,
    chooser_of,
    gateways_of,
    is_game,
    play_episodes,
)
from edge_marl.leaderboards.submission.facts import (
    board_name,
    code_sha256,
    execution_of,
    means_of,
)
from edge_marl.leaderboards.submission.files import actions_of, read_actions, sha256_of
from edge_marl.leaderboards.submission.schema import (
    WORKLOADS,
    Chain,
    ChainRun,
    Run,
    board_of,
    seal_of,
)
from edge_marl.leaderboards.verification.case import Trusted
from edge_marl.scenario import load_scenario

GOOD = next((Path(__file__).parents[1] / "submissions" / "good").glob("*/*"))
"""The good submission: prophet on smoke."""


def copy_of_good(root: Path) -> Path:
    """Copy the good submission below a folder of submissions, and return its own folder."""
    folder = root / GOOD.parent.name / GOOD.name
    shutil.copytree(GOOD, folder)
    return folder


def read(folder: Path, name: str = "submission.json") -> Any:
    return json.loads((folder / name).read_text("utf-8"))


def write(folder: Path, facts: Any, name: str = "submission.json") -> None:
    (folder / name).write_text(json.dumps(facts), "utf-8")


def seal(folder: Path) -> None:
    """Make a submission whole again: its files' digests, its means and its seal."""
    facts = read(folder)
    facts["files"] = {
        path.relative_to(folder).as_posix(): sha256_of(path.read_bytes())
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "submission.json"
    }
    facts["seal"] = seal_of(facts)
    write(folder, facts)


def edit(folder: Path, change: Callable[[Any], None], name: str = "submission.json") -> None:
    """Change a file of JSON, and seal."""
    facts = read(folder, name)
    change(facts)
    write(folder, facts, name)
    seal(folder)


def edit_actions(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the arrays of the log, and seal."""
    log = read_actions(folder)
    arrays: dict[str, Any] = {"actions": log.actions.copy(), "lengths": log.lengths.copy()}
    change(arrays)
    content = io.BytesIO()
    np.savez_compressed(content, **arrays)
    (folder / "actions.npz").write_bytes(content.getvalue())
    seal(folder)


def with_played(folder: Path, *played: Sequence[Episode]) -> Path:
    """Make a submission one of runs that were played, and return its folder.

    With several runs it is compact: it has the log of the first alone.
    """
    names, every = played[0][0].metrics, 16 if len(played) > 1 else 1
    runs = [
        Run(seed=k, metrics={n: tuple(e.metrics[n] for e in episodes) for n in names})
        for k, episodes in enumerate(played)
    ]
    facts = read(folder)
    facts["runs"], facts["means"] = [run.model_dump(mode="json") for run in runs], means_of(runs)
    write(folder, facts)
    chains = tuple(
        ChainRun(
            seed=k,
            heads=tuple(e.head for e in episodes),
            marks=tuple(e.marks_every(every) for e in episodes),
            gateways=gateways_of(episodes),
        )
        for k, episodes in enumerate(played)
    )
    chain = Chain.model_validate({"every": every, "runs": chains})
    write(folder, chain.model_dump(mode="json"), "chain.json")
    (folder / "actions.npz").write_bytes(actions_of(played[:1]).packed())
    seal(folder)
    return folder


def with_episodes(folder: Path, episodes: Sequence[Episode], code: str) -> Path:
    """Make a submission one of an agent of one's own that played episodes; return its folder."""
    facts = read(folder)
    facts["agent"] |= {"name": "own", "registered": False, "code_sha256": code_sha256(code)}
    write(folder, facts)
    place, _, name = code.rpartition(":")
    code = f"{Path(place).name}:{name}"  # as `edge-marl submit`: the digest depends on no machine
    config = folder / "policy" / "seed-0" / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"agent": code}), "utf-8")
    with_played(folder, episodes)
    own = folder.with_name(folder.name.rpartition("-")[0] + "-own")
    return folder.rename(own)


def game_of_good(root: Path, game: str = "smoke-game") -> Path:
    """Copy the good submission to the board of a game, without runs of it (`with_played`)."""
    scenario = load_scenario(game)
    folder = root / board_of(scenario.label) / GOOD.name
    shutil.copytree(GOOD, folder)
    facts = read(folder)
    facts["scenario"] = {"name": scenario.label, "digest": scenario.digest}
    facts["workloads"] = [w.digest for w in draw_test_workloads(scenario, WORKLOADS)]
    facts["game"] = {
        "execution": "decentralised",
        "sharing": "all",
        "information": "none",
        "parameters": 0,
    }
    write(folder, facts)
    config = folder / "policy" / "seed-0" / "config.json"
    own = json.loads(config.read_text())
    own["scenario"] = {"name": scenario.label, "digest": scenario.digest}
    config.write_text(json.dumps(own), "utf-8")
    seal(folder)
    return folder


def made(agent: str, tier: str = "smoke") -> Agent:
    """Make a registered agent that decides without having learned."""
    found = make(agent, load_scenario(tier))
    assert isinstance(found, Agent)
    return found


def playing(agent: str, tier: str = "smoke") -> OpenPolicy:
    """Return how a registered agent is opened in this process, for a verifier."""
    scenario = load_scenario(tier)
    return lambda seed, workloads: nullcontext(
        Trusted(chooser_of(made(agent, tier), scenario, workloads, seed))
    )


def good_compact(root: Path, tier: str = "smoke", agent: str = "random") -> Path:
    """Make a good compact submission: three runs of a registered agent that draws lots."""
    scenario = load_scenario(tier)
    workloads = draw_test_workloads(scenario, WORKLOADS)
    folder = game_of_good(root, tier) if is_game(scenario) else copy_of_good(root)
    facts, runs = read(folder), []
    facts["agent"] |= {"name": agent, "kind": "randomised"}
    write(folder, facts)
    for seed in range(3):
        own = made(agent, tier)
        own.save(folder / "policy" / f"seed-{seed}")
        runs.append(play_episodes(scenario, workloads, chooser_of(own, scenario, workloads, seed)))
    with_played(folder, *runs)
    return folder.rename(folder.with_name(f"{facts['date']}-{agent}"))


def good_game(root: Path, agent: str = "prophet") -> Path:
    """Make a good submission of a registered agent to the board of a game, `smoke-game`."""
    scenario = load_scenario("smoke-game")
    workloads = draw_test_workloads(scenario, WORKLOADS)
    own = made(agent, "smoke-game")
    episodes = play_episodes(scenario, workloads, chooser_of(own, scenario, workloads, 0))
    folder = game_of_good(root)
    facts, name = read(folder), board_name(agent)
    facts["agent"]["name"] = name
    facts["game"]["execution"] = execution_of(agent)
    write(folder, facts)
    own.save(folder / "policy" / "seed-0")
    with_played(folder, episodes)
    return folder.rename(folder.with_name(f"{facts['date']}-{name}"))
