"""The settings that tell entries of one agent apart, and the folders that say so."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from pydantic import ValidationError

from edge_marl import load_scenario
from edge_marl.agents.training.settings_text import parse_spec
from edge_marl.benchmarks.plan.cells import Cell
from edge_marl.leaderboards.submission.finished_run import chosen_settings
from edge_marl.leaderboards.submission.schema import (
    About,
    AgentFacts,
    Submission,
    Training,
    slug_of,
)

PAPER = load_scenario("paper")
FACTS: dict[str, Any] = {"name": "mine", "kind": "learner", "registered": False}


@pytest.mark.parametrize(
    ("agent", "names"),
    [
        ("ippo", []),
        ("ippo network=flat gamma=0.97", []),  # what it has by itself on paper
        ("ippo network=pairs", ["network"]),
        ("ippo network=pairs hidden=[32,32]", ["network"]),  # comes with the network
        ("ippo network=pairs clip=0.1", ["clip", "network"]),
        ("nearest", []),
    ],
)
def test_settings_that_tell_an_entry_from_its_agent(agent: str, names: list[str]) -> None:
    cell = Cell(scenario=PAPER, code="1", agent=agent, seed=0, budget=40, episodes=100)
    asked = parse_spec(agent)[1]
    assert chosen_settings(cell) == {name: asked[name] for name in names}


@pytest.mark.parametrize(
    ("chosen", "folder"),
    [
        (None, "mine"),  # of before settings were declared
        ({}, "mine,standard"),
        ({"b": -1.5, "a": True}, "mine,standard,a=true,b=-1.5"),
        ({"network": "pairs", "hidden": [64, 64]}, "mine,standard,hidden=64x64,network=pairs"),
        ({"a": "../x"}, "mine,standard,e7b2bc2cb8d5"),
        ({"a": "x" * 60}, "mine,standard,d60f10f84768"),
        ({"A": 1}, "mine,standard,52dddc1755a9"),  # some systems take A for a
    ],
)
def test_a_folder_says_class_and_settings(chosen: dict[str, Any] | None, folder: str) -> None:
    agent = AgentFacts.model_validate(FACTS | {"settings": chosen or {}, "chosen": chosen})
    about: dict[str, Any] = {"training": Training(data="t", budget=200_000)}
    facts: dict[str, Any] = {
        "date": date(2026, 11, 1),
        "agent": agent,
        "about": About.model_construct(**about),
    }
    sub = Submission.model_construct(**facts)
    assert sub.folder_name == f"2026-11-01-{folder}"
    assert ("chosen" in agent.model_dump()) == (chosen is not None)


@pytest.mark.parametrize(
    ("chosen", "says"),
    [({"gamma": 0.97}, "gamma=0.97, settings has 0.9"), ({"tau": 1}, "tau=1, settings has no")],
)
def test_what_was_chosen_is_among_the_settings(chosen: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=f"chosen has {says}"):
        AgentFacts.model_validate(FACTS | {"settings": {"gamma": 0.9}, "chosen": chosen})


@pytest.mark.parametrize(
    ("agent", "slug"),
    [("adsac-published", "adsac-published"), ("x/my_agent.py:MyAgent", "my-agent"),
     ("pkg.mod:DQN2", "dqn2"), ("a:_Odd__Name_", "odd-name")],
)  # fmt: skip
def test_names_on_the_boards(agent: str, slug: str) -> None:
    assert slug_of(agent) == slug
