"""What is left of a tier without each part: the rule, a small run, and learners beside."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_marl import load_scenario
from edge_marl.agents import Agent, make
from edge_marl.agents.play import play
from edge_marl.benchmarks.plan.cells import Arena
from edge_marl.benchmarks.records.records import write_plan, write_record
from edge_marl.benchmarks.release.evidence import written
from edge_marl.benchmarks.release.parts import earns, play_parts, rounded, with_learners
from edge_marl.benchmarks.release.parts_figure import draw
from edge_marl.benchmarks.report.stats import estimate
from edge_marl.benchmarks.run.evaluation import draw_test_workloads
from edge_marl.errors import RecordError
from edge_marl.scenario import Scenario
from edge_marl.scenario.ablation import without
from edge_marl.scenario.evidence import by_utility, rows_without
from tests.worlds import fakes
from tests.worlds.every_part import TERMS, world
from tests.worlds.made_up_evidence import evidence
from tests.worlds.two_services import CLOUD, make_world

THREE = ["a", "b", "c"]
AGENTS = ("random", "prophet", "crash-avoid", "cloud-only")
WORKLOADS = 3

FULL = world(**TERMS)


@pytest.mark.parametrize(
    ("change", "after", "verdict"),
    [
        (0.011, THREE, True),
        (-0.011, THREE, True),
        (0.009, THREE, False),
        (-0.009, THREE, False),
        (0.0, ["b", "a", "c"], True),
        (0.0, ["a", "b", "d"], True),
        (0.0, ["a", "b"], True),
    ],
)
def test_a_part_earns_its_place_by_size_or_by_ranking(
    change: float, after: list[str], verdict: bool
) -> None:
    assert earns([0.8, 0.79, 0.81], change, THREE, after) is verdict


def played(scenario: Scenario, name: str) -> list[float]:
    agent = make(name, scenario)
    assert isinstance(agent, Agent)
    workloads = draw_test_workloads(scenario, WORKLOADS)
    return [m["utility_per_task"] for m in play(agent, scenario, workloads, seed=0).metrics]


def evidence_of(scenario: Scenario) -> dict[str, Any]:
    agents = {
        name: {"utility_per_task": rounded(estimate(np.array([played(scenario, name)])))}
        for name in AGENTS
    }
    return {"scenario": scenario.digest, "workloads": WORKLOADS, "agents": agents}


def test_a_small_world_is_played_without_each_part(tmp_path: Path) -> None:
    """Of two parts, one of which an agent cannot play without; kept, and not played twice."""
    scenario = make_world(cloud=CLOUD, arrivals={"rate_per_s": 2.0})
    known = evidence_of(scenario)
    parts = play_parts(scenario, known, tmp_path / "kept")
    assert list(parts) == ["cloud", "refund"]
    assert parts["cloud"]["cannot_play"] == ["cloud-only"]
    assert "cannot_play" not in parts["refund"]
    for name, part in parts.items():
        left = without(scenario, name)
        those = [agent for agent in AGENTS if agent not in part.get("cannot_play", [])]
        utilities = {agent: np.array([played(left, agent)]) for agent in those}
        means = {agent: float(values.mean()) for agent, values in utilities.items()}
        ranked = sorted(means, key=lambda agent: (-means[agent], agent))
        assert (part["best"], part["first_three"]) == (ranked[0], ranked[:3])
        assert part["utility_per_task"] == rounded(estimate(utilities[ranked[0]]))
        best = next(agent for agent in by_utility(known["agents"]) if agent in those)
        change = utilities[ranked[0]] - np.array([played(scenario, best)])
        assert part["difference"] == rounded(estimate(change))

    cells = {path: path.stat().st_mtime_ns for path in (tmp_path / "kept" / "cells").iterdir()}
    assert len(cells) == 3 * len(AGENTS)
    assert play_parts(scenario, known, tmp_path / "kept") == parts
    assert {path: path.stat().st_mtime_ns for path in cells} == cells

    written(scenario, known | {"parts": parts}, tmp_path)
    read = json.loads((tmp_path / f"{scenario.label}.json").read_text("utf-8"))
    assert read == known | {"parts": parts}
    assert {row[0] for row in rows_without(read)} == {"without", "-", "cloud", "refund"}

    best = by_utility(known["agents"])[0]
    known["agents"][best]["utility_per_task"][0] += 0.001
    with pytest.raises(RecordError, match=f"{scenario.label}: {best} gets .* with --again"):
        play_parts(scenario, known, tmp_path / "kept")


def run_of_learners(folder: Path, *worlds: Scenario, **changes: Any) -> None:
    """A finished run of two learners, the second of which is better by far, on each world."""
    better = fakes.LEARNER.model_copy(update={"agent": "teacher", "budget": 5000})
    plan = fakes.plan(fakes.HEURISTIC, fakes.LEARNER, better).model_copy(
        update={"arenas": tuple(Arena(scenario=world) for world in worlds), **changes}
    )
    write_plan(folder, plan)
    for place, arena in enumerate(plan.arenas):
        for level, agent in ((90.0, plan.agents[0]), (30.0, plan.agents[1]), (60.0, better)):
            for cell in plan.cells(arena, agent):
                write_record(folder, fakes.cell_record(cell, level + 6 * place))


def test_the_best_learner_of_a_run_is_shown_beside(tmp_path: Path) -> None:
    known = evidence() | {"workloads": fakes.EPISODES}
    run_of_learners(tmp_path, FULL, without(FULL, "cloud"))
    found = with_learners(FULL, known, tmp_path)
    utilities = (60.0 + np.arange(4.0)) / 60
    expected = rounded(estimate(np.array([utilities, utilities])))
    assert found["learner"] == {
        "agent": "teacher",
        "budget": 5000,
        "seeds": 2,
        "utility_per_task": expected,
    }
    assert found["parts"]["cloud"]["learner"]["utility_per_task"][0] == expected[0] + 0.1
    assert "learner" not in found["parts"]["network"]
    del found["learner"], found["parts"]["cloud"]["learner"]
    assert found == known


def test_a_run_that_says_nothing_of_the_tier_is_refused(tmp_path: Path) -> None:
    campus = load_scenario("campus")
    known = evidence() | {"workloads": fakes.EPISODES}
    cases: list[tuple[Scenario, dict[str, Any], str]] = [
        (campus, {}, f"no run of '{FULL.label}'"),
        (FULL, {"split": "validation"}, "judged on 4 validation workloads"),
        (FULL, {"first": 3}, "judged on 4 test workloads from number 3"),
        (FULL, {"train_on": campus}, "trained elsewhere"),
        (FULL, {"seeds": 3}, "not run yet"),
        (FULL, {"agents": (fakes.HEURISTIC,)}, "no agent of it learns"),
    ]
    for number, (place, changes, message) in enumerate(cases):
        folder = tmp_path / str(number)
        elsewhere = changes.pop("train_on", None)
        run_of_learners(folder, place)
        run = fakes.plan(fakes.HEURISTIC, fakes.LEARNER).model_copy(
            update={"arenas": (Arena(scenario=place, train_on=elsewhere),), **changes}
        )
        write_plan(folder, run)
        with pytest.raises(RecordError, match=message):
            with_learners(FULL, known, folder)


def test_the_figure_has_a_bar_for_each_part_that_was_played(tmp_path: Path) -> None:
    from matplotlib.image import imread

    few, many = evidence(), evidence()
    del few["parts"]["telemetry"]
    for name, found in (("few", few), ("many", many)):
        draw("metro", found, tmp_path / f"{name}.png")
    heights = [imread(tmp_path / f"{name}.png").shape[0] for name in ("few", "many")]
    assert heights[1] - heights[0] == pytest.approx(0.3 * 160, abs=1)
    only_left_out = evidence()
    only_left_out["parts"] = {"neighbourhood": {"left_out": "too many actions"}}
    with pytest.raises(RecordError, match="no part of it was played"):
        draw("metro", only_left_out, tmp_path / "none.png")
