"""Findings: what is known is told by intervals, and what is not says how to measure it."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edge_marl.benchmarks.report.intervals import Estimate
from edge_marl.benchmarks.study.keep import read_lines
from edge_marl.leaderboards.boards.board import read_boards
from edge_marl.leaderboards.boards.standings import Standing
from edge_marl.leaderboards.findings import claims, learning, winners
from edge_marl.leaderboards.findings.page import BLOCKS
from edge_marl.leaderboards.findings.sources import Sources, World

PAGE = Path(__file__).parents[2] / "docs" / "findings.md"


@pytest.fixture(scope="module")
def nothing(tmp_path_factory: pytest.TempPathFactory) -> Sources:
    """Boards without entries, and a study that has kept nothing."""
    return Sources(read_boards(tmp_path_factory.mktemp("submissions")), [])


def standing(name: str, value: float, **facts: Any) -> Standing:
    found = {"utility_per_task": Estimate(value, value - 0.01, value + 0.01)}
    kind, budget = facts.get("kind", "heuristic"), facts.get("budget")
    return Standing(name, kind, budget, 5, facts.get("row"), found)


def with_found(sources: Sources, name: str, *found: Standing) -> Sources:
    """The one world of that name, with these agents."""
    world = next(world for world in sources.worlds if world.name == name)
    made = Sources(sources.boards, sources.lines)
    made.__dict__["worlds"] = [replace(world, found=list(found))]
    return made


def test_what_is_not_measured_says_how_to_measure_it(nothing: Sources) -> None:
    told = {name: block(nothing) for name, block in BLOCKS.items()}
    for name in ("parts of adsac", "credit", "networks", "budgets", "efficiency", "generalisation"):
        assert "|" not in told[name], name
        assert "not measured yet (`edge-marl" in told[name], name
    assert "Both: not measured yet (`edge-marl run --suite paper`)." in told["claims"]
    assert "`adsac` on any of them: not measured yet" in told["tiers"]
    assert "The best learner on any of them: not measured yet" in told["games"]
    # What ships with worlds is there without entries.
    assert "| paper | bid-price: " in told["tiers"]
    assert "| paper-game@1 | " in told["coordination"]
    assert "| metro@2 | 5 s | +0." in told["telemetry"]


@pytest.mark.parametrize(
    ("value", "said", "margin"),
    [
        (0.9, "By intervals, the best learner is above every heuristic on `metro@2`.", "+0.100"),
        (0.81, "is not told apart from the best heuristic on `metro@2`.", "+0.010, not apart"),
        (0.7, "is below the best heuristic on `metro@2`.", "-0.100"),
    ],
)
def test_who_wins_is_told_by_intervals(
    value: float, said: str, margin: str, nothing: Sources
) -> None:
    learner = standing("ppo network=pairs", value, kind="learner", budget="standard")
    text = winners.winners_of_tiers(
        with_found(nothing, "metro@2", learner, standing("hashed", 0.8))
    )
    assert said in text
    assert f"| {margin} |" in text
    assert "ppo network=pairs, standard: " in text
    assert "`adsac` on any of them: not measured yet" in text


def test_learners_of_standard_go_before_others(nothing: Sources) -> None:
    small = standing("adsac", 0.9, kind="learner", budget="small")
    large = standing("ppo", 0.85, kind="learner", budget="standard")
    (world,) = with_found(nothing, "metro@2", small, large, standing("hashed", 0.8)).worlds
    assert world.learner is large
    assert world.own is small


def test_operations_research_is_set_against_the_best_learner(nothing: Sources) -> None:
    adp = standing("adp", 1.35, kind="learner", budget="standard")
    ppo = standing("ppo", 1.30, kind="learner", budget="standard")
    text = winners.planning(with_found(nothing, "paper", adp, standing("bid-price", 1.34), ppo))
    assert "the best of operations research is `adp`" in text
    assert "`ppo`, standard with 1.300" in text
    assert "the learner is below, by intervals" in text
    tiers = winners.winners_of_tiers(
        with_found(nothing, "paper", adp, standing("bid-price", 1.34), ppo)
    )
    assert "| bid-price: 1.340" in tiers
    assert "| ppo, standard: 1.300" in tiers


def test_a_larger_budget_and_another_network_are_set_against_entries(nothing: Sources) -> None:
    row: Any = Row()
    ones = [
        standing("ppo", 0.7, kind="learner", budget="small", row=row),
        standing("ppo", 0.8, kind="learner", budget="standard", row=row),
        standing("ppo network=pairs", 0.9, kind="learner", budget="standard", row=row),
        standing("outcome", 0.805, kind="learner", budget="standard", row=row),
    ]
    sources = with_found(nothing, "metro@2", *sorted(ones, key=lambda one: -one.utility.value))
    assert "| metro@2 | ppo | small (48,000) | standard (48,000) |" in learning.budgets(sources)
    assert learning.networks(sources).splitlines()[-1].endswith("| +0.100 |")
    assert learning.credit(sources).splitlines()[-1].endswith("| -0.095 |")
    told = learning.efficiency(sources).splitlines()[2]
    assert (
        told == "| metro@2 | ppo network=pairs | 48,000 | 0.300 | 0.500 | 0.700 | 0.900 | never |"
    )


class Row:
    """As much of a row as findings read."""

    class submission:
        class agent:
            settings: dict[str, Any] = {}  # noqa: RUF012

        class about:
            class training:
                budget = 48_000

        class run:
            curve = ((4_800, 0.3), (14_400, 0.5), (24_000, 0.7), (48_000, 0.9))

        runs = (run, run)


def test_the_study_says_what_parts_are_worth_and_what_becomes_of_the_claims() -> None:
    sources = Sources([], read_lines())
    assert "| attention=false | adsac | paper | 96,000 | 5 |" in learning.parts_of_adsac(sources)
    said = claims.of_the_study(sources)
    assert "against it `adsac` gets" in said
    assert "worlds the claim on utility holds in" in said
    assert "| adsac | campus@1 | metro@1 | 5 |" in claims.generalisation(sources)


def test_a_part_is_held_against_what_differs_in_it_alone() -> None:
    def line(seed: int, value: float, **settings: object) -> dict[str, Any]:
        place = {"scenario": "campus@2", "world": None, "budget": 48_000, "seed": seed}
        test = {"utility_per_task": [value, value + 0.01 * seed]}
        return {"agent": "adsac", "settings": settings, "test": test, **place}

    pairs = {"network": "pairs"}
    lines = [
        made
        for seed in range(5)
        for made in (
            line(seed, 0.5),
            line(seed, 0.7, **pairs),
            line(seed, 0.6, **pairs, attention=False),
            line(seed, 0.4, attention=False, noise_draws=1),  # nothing differs in one alone
        )
    ]
    said = learning.parts_of_adsac(Sources([], lines)).splitlines()
    assert [row.split(" | ")[:2] for row in said if row.startswith("| ")][2:] == [
        ["| network=pairs", "adsac"],
        ["| attention=false", "adsac network=pairs"],
    ]
    missing = "What the number of noise draws is worth to `adsac`: not measured yet (`{}`)."
    assert missing.format("edge-marl run --suite study-ablation") in said
    assert not any("What attention is worth" in row for row in said)


def test_the_page_has_every_block_and_prose_without_a_number() -> None:
    text = PAGE.read_text("utf-8")
    assert re.findall(r"<!-- table: finding ([\w@ -]+) -->", text) == list(BLOCKS)
    prose = re.sub(r"<!-- table: .*?<!-- end -->", "", text, flags=re.DOTALL)
    prose = re.sub(r"`[^`]*`", "", prose)
    assert re.findall(r"\d", prose) == []


def test_a_world_without_evidence_is_shown(nothing: Sources) -> None:
    board = next(board for board in nothing.boards if board.scenario.label == "paper")
    made = Sources(nothing.boards, [])
    made.__dict__["worlds"] = [World(board, None, [])]
    assert "| paper | - | - | - | - | - |" in winners.winners_of_tiers(made)
    assert "not measured yet" in winners.telemetry(made)
    assert "| paper | - | - | - | - | - | - |" in winners.planning(made)
