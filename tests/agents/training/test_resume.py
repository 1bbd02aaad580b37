"""A training cut in two equals the uncut one, bit for bit, for every learning agent."""

from __future__ import annotations

import json
import shutil
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.numpy import save_file

from edge_marl.agents import make, names
from edge_marl.agents.planning.value import AdpAgent
from edge_marl.agents.policy_agent import PolicyAgent
from edge_marl.agents.training.run_folder import RunFolder
from edge_marl.agents.training.state_file import read_state, write_state
from edge_marl.agents.training.trainer import LearningTrainer
from edge_marl.errors import AgentError
from edge_marl.scenario import Scenario, load_scenario
from tests.worlds.every_part import TERMS, world

SMOKE = load_scenario("smoke")
CAMPUS = load_scenario("campus")
TERMS_ON = world(arrivals={"horizon_s": 120.0}, **TERMS)
"""Lines at servers, levels, declining: another form of actions and of what is seen."""
SLOTS = load_scenario("smoke").with_clock(30.0, hold=False)
SMALL: dict[str, Any] = {
    "num_envs": 4,
    "batch_size": 16,
    "decisions_per_update": 16,
    "hidden": (16,),
    "width": 8,
    "denoiser_width": 4,
    "collect": 32,
    "buffer_size": 100,  # fewer than are collected: places are written over
}
BUDGET = 320


def small_trainer(name: str, scenario: Scenario) -> LearningTrainer:
    trainer = make(name, scenario)
    assert isinstance(trainer, LearningTrainer)
    known = {field.name for field in fields(trainer.config)}
    small = {k: v for k, v in SMALL.items() if k in known}
    trainer.config = replace(trainer.config, **small)
    return trainer


def learners() -> list[str]:
    return [name for name in names() if isinstance(make(name, SMOKE), LearningTrainer)]


def weights(agent: Any) -> dict[str, torch.Tensor]:
    if isinstance(agent, AdpAgent):
        return {"value": torch.from_numpy(agent.weights)}
    assert isinstance(agent, PolicyAgent)
    return agent.actor.state_dict()


def assert_equal(first: Any, second: Any) -> None:
    a, b = weights(first), weights(second)
    assert a.keys() == b.keys()
    different = [key for key in a if not torch.equal(a[key], b[key])]
    assert not different


@pytest.mark.parametrize("name", learners())
@pytest.mark.parametrize("scenario", [SMOKE, TERMS_ON], ids=["smoke", "terms"])
def test_cut_in_two_equals_uncut(name: str, scenario: Scenario, tmp_path: Path) -> None:
    check_cut_in_two(small_trainer(name, scenario), scenario, tmp_path)


@pytest.mark.parametrize("name", ["ppo", "ippo", "sac", "adsac", "iadsac", "dqn", "idqn"])
@pytest.mark.parametrize("scenario", [CAMPUS, TERMS_ON], ids=["campus", "terms"])
def test_with_legal_pairs_cut_in_two_equals_uncut(
    name: str, scenario: Scenario, tmp_path: Path
) -> None:
    trainer = small_trainer(name, scenario)
    settings: dict[str, Any] = {"network": "pairs"}
    trainer.config = replace(trainer.config, **settings)
    check_cut_in_two(trainer, scenario, tmp_path)


def check_cut_in_two(trainer: LearningTrainer, scenario: Scenario, tmp_path: Path) -> None:
    uncut = trainer.start(scenario, BUDGET, seed=3)
    while not uncut.done:
        uncut.advance()

    first = trainer.start(scenario, BUDGET, seed=3)
    while first.decisions < BUDGET // 2:
        first.advance()
    untrained = trainer.start(scenario, BUDGET, seed=3).agent()
    write_state(tmp_path / "state", first.state())
    second = trainer.start(scenario, BUDGET, seed=3)
    second.restore(read_state(tmp_path / "state"))
    assert second.decisions == first.decisions
    progress = None
    while not second.done:
        progress = second.advance()

    assert_equal(second.agent(), uncut.agent())
    assert progress is not None
    assert progress.updates > 0
    before, after = weights(untrained), weights(uncut.agent())
    assert any(not torch.equal(before[key], after[key]) for key in before)


@pytest.mark.parametrize("name", ["iadsac", "ippo", "outcome"])
def test_cut_in_slots(name: str, tmp_path: Path) -> None:
    test_cut_in_two_equals_uncut(name, SLOTS, tmp_path)


def run_until(folder: Path, stop_at: int | None) -> RunFolder:
    run = RunFolder(folder, small_trainer("adsac", SMOKE), SMOKE, BUDGET, 0, 4, 2)
    for now in run.run():
        if stop_at is not None and now.decisions >= stop_at:
            break
    return run


def test_a_folder_goes_on_after_a_stop(tmp_path: Path) -> None:
    run_until(tmp_path / "uncut", None)
    for stop in (8, 100, 160, 250):
        run_until(tmp_path / "cut", stop)
        assert (tmp_path / "cut" / "state.safetensors").exists()
    finished = run_until(tmp_path / "cut", None)
    assert finished.finished
    for file in ("run.json", "curve.csv", "agent/config.json", "agent/weights.safetensors"):
        assert (tmp_path / "cut" / file).read_bytes() == (tmp_path / "uncut" / file).read_bytes()
    assert not (tmp_path / "cut" / "state.safetensors").exists()
    again = run_until(tmp_path / "cut", None)
    assert again.best == finished.best


def test_a_killed_run_goes_on_from_its_last_state(tmp_path: Path) -> None:
    """The agent and the curve on disk may be newer than the state: they come out the same again."""
    run_until(tmp_path / "uncut", None)
    run_until(tmp_path / "cut", 100)
    state = (tmp_path / "cut" / "state.safetensors").read_bytes()
    run_until(tmp_path / "cut", 250)
    (tmp_path / "cut" / "state.safetensors").write_bytes(state)
    run_until(tmp_path / "cut", None)
    for file in ("curve.csv", "agent/weights.safetensors"):
        assert (tmp_path / "cut" / file).read_bytes() == (tmp_path / "uncut" / file).read_bytes()


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear", "utf-8")
    with pytest.raises(AgentError, match="holds files, but no training"):
        run_until(tmp_path, None)
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


def test_another_training_is_not_continued(tmp_path: Path) -> None:
    run_until(tmp_path, 8)
    with pytest.raises(AgentError, match="seed = 0 there, 1 here"):
        RunFolder(tmp_path, small_trainer("adsac", SMOKE), SMOKE, BUDGET, 1, 4, 2)
    trainer = small_trainer("adsac", SMOKE)
    trainer.config = replace(trainer.config, num_envs=5)
    with pytest.raises(AgentError, match=r"settings = .* there"):
        RunFolder(tmp_path, trainer, SMOKE, BUDGET, 0, 4, 2)


def test_damaged_states(tmp_path: Path) -> None:
    run_until(tmp_path, 100)
    path = tmp_path / "state.safetensors"
    whole = path.read_bytes()
    for damaged in (b"", whole[:100], whole[: len(whole) // 2], b"\x00" * 64):
        path.write_bytes(damaged)
        with pytest.raises(AgentError, match=r"state\.safetensors"):
            run_until(tmp_path, None)
    (tmp_path / "run.json").write_text("{", "utf-8")
    with pytest.raises(AgentError, match="not readable as a training's facts"):
        run_until(tmp_path, None)


def edit_structure(path: Path, edit: Any) -> None:
    """Write a state again with its structure, as JSON, edited."""
    with safe_open(path, "numpy") as file:
        facts = file.metadata()
        arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
    save_file(arrays, path, facts | {"structure": edit(facts["structure"])})


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda text: "{", "not a state that edge-marl wrote"),
        (lambda text: "[" * 5000 + "]" * 5000, "not a state that edge-marl wrote"),
        (lambda text: text.replace('"tensor": "1"', '"tensor": "none"'), "KeyError: 'none'"),
        (lambda text: '{"dict": 3}', "not a state that edge-marl wrote"),
        (lambda text: "3", "not the state of this training"),
        (lambda text: '{"dict": []}', "not the state of this training .KeyError: 'curve'"),
        (lambda text: text.replace('"tensor"', '"array"'), "not the state of this training"),
    ],
)
def test_states_of_other_types(edit: Any, message: str, tmp_path: Path) -> None:
    run_until(tmp_path, 100)
    edit_structure(tmp_path / "state.safetensors", edit)
    with pytest.raises(AgentError, match=message) as raised:
        run_until(tmp_path, None)
    assert "\n" not in str(raised.value)
    assert "state.safetensors" in str(raised.value)


@pytest.mark.parametrize("text", ["", "decisions,updates\n1,x\n", "decisions\n1\n"])
def test_a_finished_training_with_another_curve(text: str, tmp_path: Path) -> None:
    run_until(tmp_path, None)
    curve = tmp_path / "curve.csv"
    curve.write_text(text) if text else curve.unlink()
    with pytest.raises(AgentError, match=r"curve\.csv: not readable as a training's curve"):
        run_until(tmp_path, None)


@pytest.mark.parametrize("text", ["[]", "null", "[" * 5000, '{"finished": 1}'])
def test_facts_of_other_types(text: str, tmp_path: Path) -> None:
    run_until(tmp_path, 8)
    (tmp_path / "run.json").write_text(text, "utf-8")
    with pytest.raises(AgentError, match=r"run\.json: not readable as a training's facts"):
        run_until(tmp_path, None)


def test_facts_that_do_not_say_whether_it_is_finished(tmp_path: Path) -> None:
    run_until(tmp_path, 8)
    path = tmp_path / "run.json"
    facts = json.loads(path.read_text("utf-8"))
    del facts["finished"]
    path.write_text(json.dumps(facts), "utf-8")
    with pytest.raises(AgentError, match=r"run\.json: .*'finished'"):
        run_until(tmp_path, None)


def test_states_come_back_as_they_were(tmp_path: Path) -> None:
    tree = {
        "nested": [{1: np.arange(3), "x": None}, [True, 2**100, 0.1, "text"]],
        "tensor": torch.tensor(1.5, dtype=torch.float64),
        "empty": np.zeros((0, 4), np.float32),
        "single": np.float32(4.0157475),
    }
    write_state(tmp_path / "state", tree)
    back = read_state(tmp_path / "state")
    assert back["nested"][1] == tree["nested"][1]  # type: ignore[index]
    np.testing.assert_array_equal(back["nested"][0][1], np.arange(3))
    assert back["tensor"].dtype == torch.float64
    assert back["tensor"].shape == ()
    assert back["empty"].shape == (0, 4)
    assert isinstance(back["single"], np.float32)
    assert back["single"] == tree["single"]


def test_no_half_written_state(tmp_path: Path) -> None:
    write_state(tmp_path / "state", {"a": 1})
    with pytest.raises(TypeError):
        write_state(tmp_path / "state", {"a": object()})
    assert read_state(tmp_path / "state") == {"a": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["state"]


def test_newer_format(tmp_path: Path) -> None:
    save_file({}, tmp_path / "state", {"format": "edge-marl-training-9", "structure": "1"})
    with pytest.raises(AgentError, match="edge-marl-training-9"):
        read_state(tmp_path / "state")


def test_facts_are_complete(tmp_path: Path) -> None:
    run_until(tmp_path, None)
    facts = json.loads((tmp_path / "run.json").read_text("utf-8"))
    assert facts["finished"]
    assert facts["settings"]["width"] == SMALL["width"]
    shutil.rmtree(tmp_path)
