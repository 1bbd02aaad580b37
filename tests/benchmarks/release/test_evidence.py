"""The evidence that ships with the tiers is of these tiers, holds, and can be made again."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from edge_marl import list_tiers, load_scenario
from edge_marl.agents import Agent, make, names
from edge_marl.agents.play import play
from edge_marl.benchmarks.release.evidence import heuristics, rule, trajectory_hash
from edge_marl.benchmarks.run.evaluation import draw_test_workloads
from edge_marl.bound.anchor_pairs import anchors
from edge_marl.draw import draw_workload
from edge_marl.errors import DataError
from edge_marl.scenario.evidence import read_evidence

RELEASED = list_tiers()
NEED_NO_TRAINING = {"random", "round-robin", "crash-avoid", "prophet", "nearest", "warm-first"}


@pytest.mark.parametrize("tier", RELEASED)
def test_evidence_is_of_the_tier_and_holds(tier: str) -> None:
    evidence = read_evidence(load_scenario(tier))
    assert evidence is not None, f"run python -m edge_marl.benchmarks.release.evidence {tier}"
    bound = evidence["bound_per_task"] * evidence["requests"]
    assert rule(evidence["agents"], bound) == evidence["rule"]
    assert all(evidence["rule"].values())
    assert evidence["workloads"] == 100
    assert evidence["agents"].keys() >= NEED_NO_TRAINING
    assert evidence["agents"].keys() <= set(names())


@pytest.mark.parametrize("tier", RELEASED)
def test_the_simulator_plays_a_tier_as_it_was_released(tier: str) -> None:
    scenario = load_scenario(tier)
    evidence = read_evidence(scenario)
    assert evidence is not None
    try:
        workload = draw_workload(scenario, 0, split="test")
    except DataError as error:
        pytest.skip(f"needs the recording: {error}")
    assert trajectory_hash(scenario, workload) == evidence["trajectory"]


def test_evidence_of_another_digest_is_none() -> None:
    campus = load_scenario("campus@1")
    other = campus.model_copy(update={"arrivals": load_scenario("paper").arrivals})
    assert other.label == campus.label
    assert read_evidence(other) is None


def test_one_command_prints_all_tiers(tmp_path: Path) -> None:
    """From kept evidence: nothing is played again."""
    few = ("random", "crash-avoid", "prophet")  # the rule asks for these
    code = (
        "from edge_marl.benchmarks.release import evidence\n"
        f"evidence.heuristics = lambda scenario: {few}\n"
        "evidence.main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "--out", str(tmp_path), *RELEASED],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    for tier in RELEASED:
        assert f"{tier}: 100 test workloads" in done.stdout
    assert len(re.findall("^prophet ", done.stdout, re.MULTILINE)) == len(RELEASED)
    assert not list(tmp_path.iterdir())


def test_new_evidence_is_written_and_shown(tmp_path: Path) -> None:
    few = ("random", "crash-avoid", "prophet")  # the rule asks for these
    code = (
        "from edge_marl.benchmarks.release import evidence\n"
        f"evidence.heuristics = lambda scenario: {few}\n"
        "evidence.main()"
    )
    args = ["agod", "--again", "--workloads", "2", "--out", str(tmp_path)]
    done = subprocess.run([sys.executable, "-c", code, *args], capture_output=True, text=True)
    assert "agod: 2 test workloads" in done.stdout, done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["agod.json"]
    evidence = json.loads((tmp_path / "agod.json").read_text("utf-8"))
    scenario = load_scenario("agod")
    shipped = (read_evidence(scenario) or {})["agents"]
    assert evidence["agents"].keys() == {*few}
    assert {*heuristics(scenario)} >= shipped.keys()  # that of agents of before
    workloads = draw_test_workloads(scenario, 2)
    for name in ("random", "prophet"):
        agent = make(name, scenario)
        assert isinstance(agent, Agent)
        metrics = play(agent, scenario, workloads, seed=0).metrics
        assert evidence["agents"][name]["utility"] == sum(m["utility"] for m in metrics)
    bound = anchors(scenario, workloads).bound.sum()
    assert evidence["bound_per_task"] == bound / evidence["requests"]
