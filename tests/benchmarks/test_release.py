"""The evidence that ships with the tiers is of these tiers, holds, and can be made again."""

import pytest

from edge_marl import load_scenario
from edge_marl.agents import names
from edge_marl.benchmarks.release import read_evidence, rule, trajectory_hash
from edge_marl.draw import draw_workload

TIERS = ("campus", "metro", "studio", "nation", "planet")
NEED_NO_TRAINING = {"random", "round-robin", "crash-avoid", "prophet", "nearest", "warm-first"}


@pytest.mark.parametrize("tier", TIERS)
def test_evidence_is_of_the_tier_and_holds(tier: str) -> None:
    evidence = read_evidence(load_scenario(tier))
    assert evidence is not None, f"run python -m edge_marl.benchmarks.release {tier}"
    bound = evidence["bound_per_task"] * evidence["requests"]
    assert rule(evidence["agents"], bound) == evidence["rule"]
    assert all(evidence["rule"].values())
    assert evidence["agents"].keys() >= NEED_NO_TRAINING
    assert evidence["agents"].keys() <= set(names())


@pytest.mark.parametrize("tier", TIERS)
def test_the_simulator_plays_a_tier_as_it_was_released(tier: str) -> None:
    scenario = load_scenario(tier)
    evidence = read_evidence(scenario)
    assert evidence is not None
    workload = draw_workload(scenario, 0, split="test")
    assert trajectory_hash(scenario, workload) == evidence["trajectory"]


def test_evidence_of_another_digest_is_none() -> None:
    campus = load_scenario("campus")
    assert read_evidence(campus.model_copy(update={"version": 2})) is None
