"""Readers of agents on disk, of trainings that are gone on with, and of settings."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import torch

from edge_marl.agents import Agent, load, make
from edge_marl.agents.training.run_folder import RunFolder
from edge_marl.agents.training.settings_text import configure, parse_spec
from edge_marl.agents.training.state_file import read_state, write_state
from edge_marl.agents.training.trainer import LearningTrainer
from edge_marl.layout import ObservationLayout
from tests.fuzz.containers import change_safetensors
from tests.fuzz.mutators import change
from tests.fuzz.of_worlds import SMOKE
from tests.fuzz.property import Entry

__all__ = ["ENTRIES"]

CONFIG, WEIGHTS = "config.json", "weights.safetensors"
SIZE = ObservationLayout(SMOKE).size
SPECS = ("sac", "adsac gamma=0.9 attention=false", "sac hidden=[8,8] learning_rate=1e-3", "random")
BUDGET = 320


def trainer(spec: str) -> LearningTrainer:
    """Return the trainer that a text names."""
    name, settings = parse_spec(spec)
    made = make(name, SMOKE)
    configure(made, settings)
    assert isinstance(made, LearningTrainer)
    return made


@lru_cache(maxsize=1)
def saved() -> dict[str, bytes]:
    """Return the files of a small agent."""
    made = trainer("sac hidden=[4]")
    agent = made.start(SMOKE, BUDGET, 0).agent()
    with tempfile.TemporaryDirectory() as folder:
        agent.save(folder)
        return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


def config_seeds() -> Sequence[bytes]:
    with tempfile.TemporaryDirectory() as folder:
        heuristic = make("round-robin", SMOKE)
        assert isinstance(heuristic, Agent)
        heuristic.save(folder)
        return saved()[CONFIG], (Path(folder) / CONFIG).read_bytes()


def put_weights(path: Path, content: bytes) -> None:
    """Put weights beside an agent's config."""
    path.with_name(WEIGHTS).write_bytes(saved()[WEIGHTS])


def put_config(path: Path, content: bytes) -> None:
    """Put a config beside weights that says that they are its own."""
    facts = json.loads(saved()[CONFIG]) | {"weights_sha256": hashlib.sha256(content).hexdigest()}
    path.with_name(CONFIG).write_text(json.dumps(facts), "utf-8")


def act(agent: Agent) -> None:
    """Take a decision, which must be legal."""
    mask = np.zeros((1, SMOKE.num_actions), np.int8)
    mask[0, 1] = 1
    agent.reset(0)
    assert agent.act(np.zeros((1, SIZE), np.float32), {"action_mask": mask})[0] == 1


@lru_cache(maxsize=1)
def state_seeds() -> Sequence[bytes]:
    state = {
        "curve": [[1, 2.5, None]],
        "weights": {"a": torch.zeros(2, 3), 1: np.arange(3), "b": np.float32(0.5)},
        "words": {"name": "x", "on": True, "none": None, "empty": []},
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "state.safetensors"
        write_state(path, state)
        return (path.read_bytes(),)


def write_again(state: Any) -> None:
    """Write a state and read it again."""
    with tempfile.TemporaryDirectory() as folder:
        write_state(Path(folder) / "s.safetensors", state)
        read_state(Path(folder) / "s.safetensors")


def go_on(path: Path) -> RunFolder:
    """Open the training in a folder."""
    return RunFolder(path.parent, trainer("sac hidden=[4] num_envs=4"), SMOKE, BUDGET, 0)


@lru_cache(maxsize=1)
def training() -> dict[str, bytes]:
    """Return the files of a finished training."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.json"
        go_on(path)
        facts = json.loads(path.read_text("utf-8")) | {"finished": True}
        path.write_text(json.dumps(facts, indent=2), "utf-8")
    names = "decisions,updates,training_utility_per_task,utility,utility_per_task"
    curve = f"{names},server_crash_rate,distinct_actions\n64,1,0.5,30.0,0.5,0.1,3\n"
    return {"run.json": json.dumps(facts, indent=2).encode(), "curve.csv": curve.encode()}


def put_curve(path: Path, content: bytes) -> None:
    """Put a curve beside a training's facts."""
    path.with_name("curve.csv").write_bytes(training()["curve.csv"])


def put_facts(path: Path, content: bytes) -> None:
    """Put a training's facts beside a curve."""
    path.with_name("run.json").write_bytes(training()["run.json"])


def change_spec(rng: Random, content: bytes) -> bytes:
    """Change a text as a command line can bring it: without a zero byte."""
    return change(rng, content).replace(b"\0", b"")


def read_spec(path: Path) -> tuple[str, dict[str, Any]]:
    """Return an agent and its settings, from text as a command line has it."""
    return parse_spec(path.read_bytes().decode("utf-8", "surrogateescape"))


def make_and_configure(spec: tuple[str, dict[str, Any]]) -> None:
    """Make the agent of a text, unless it is somebody's code, and give it its settings."""
    if ":" not in spec[0]:
        configure(make(spec[0], SMOKE), spec[1])


ENTRIES = (
    Entry(
        "agent-config",
        CONFIG,
        config_seeds,
        change,
        lambda path: load(path.parent, SMOKE),
        act,
        put_weights,
    ),
    Entry(
        "agent-weights",
        WEIGHTS,
        lambda: (saved()[WEIGHTS],),
        change_safetensors,
        lambda path: load(path.parent, SMOKE),
        act,
        put_config,
    ),
    Entry(
        "training-state", "s.safetensors", state_seeds, change_safetensors, read_state, write_again
    ),
    Entry(
        "training-facts",
        "run.json",
        lambda: (training()["run.json"],),
        change,
        go_on,
        prepare=put_curve,
    ),
    Entry(
        "training-curve",
        "curve.csv",
        lambda: (training()["curve.csv"],),
        change,
        go_on,
        prepare=put_facts,
    ),
    Entry(
        "agent-spec",
        "spec.txt",
        lambda: [spec.encode() for spec in SPECS],
        change_spec,
        read_spec,
        make_and_configure,
    ),
)
