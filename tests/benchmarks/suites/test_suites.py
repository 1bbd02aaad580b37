from pathlib import Path
from typing import Any, get_args

import pytest

from edge_marl.benchmarks.plan.cells import Cell
from edge_marl.benchmarks.plan.make_plan import make_plan
from edge_marl.benchmarks.suites import (
    DEFAULT,
    PUBLIC,
    Split,
    Suite,
    Variant,
    list_suites,
    load_suite,
)
from edge_marl.errors import AgentError, EdgeMarlError, SuiteError
from edge_marl.workload.parts import PUBLIC_SEEDS, SPLITS


@pytest.mark.parametrize("name", list_suites())
def test_every_shipped_suite_makes_a_plan(name: str) -> None:
    plan = make_plan(load_suite(name))
    jobs = plan.jobs()
    assert plan.name == name
    assert len({job.file_name for job in jobs}) == len(jobs)


def test_what_is_trained_elsewhere_is_trained_once() -> None:
    plan = make_plan(load_suite("study-transfer"))
    learners = [job for job in plan.jobs() if isinstance(job, Cell) and job.budget]
    assert len(learners) == 2 * plan.seeds
    assert len({cell.training_key for cell in learners}) == plan.seeds
    places = [cell.train_on for cell in plan.trained_by().values()]
    assert [place.label if place else None for place in places] == ["campus@1"] * plan.seeds


def test_the_suite_of_test_sets_trains_on_each_tier_once() -> None:
    plan = make_plan(load_suite("generalise"))
    tiers = {arena.place.name for arena in plan.arenas}
    learning = sum(agent.learns for agent in plan.agents)
    assert len(plan.arenas) == 4 * len(tiers)
    assert len(plan.trained_by()) == len(tiers) * learning * plan.seeds


def test_settings_are_part_of_a_cell() -> None:
    plan = make_plan(DEFAULT.replaced({"agents": ("sac", "sac gamma=0.5", "sac  gamma=0.50")}))
    assert [entry.name for entry in plan.agents] == ["sac", "sac gamma=0.5"]
    cells = [plan.cells(plan.arenas[0], entry)[0] for entry in plan.agents]
    assert cells[0].key != cells[1].key
    with pytest.raises(AgentError, match="did you mean 'gamma'"):
        make_plan(DEFAULT.replaced({"agents": ("sac gama=0.5",)}))
    with pytest.raises(AgentError, match="has no settings"):
        make_plan(DEFAULT.replaced({"agents": ("random gamma=0.5",)}))


def test_training_workloads_have_no_last_one() -> None:
    suite = DEFAULT.replaced({"split": "train", "first": 1000, "scenarios": ("smoke",)})
    assert make_plan(suite).jobs()[0].label == "smoke, train 1000..1019 / anchors"


def test_splits_are_those_of_workloads() -> None:
    assert get_args(Split) == tuple(SPLITS)
    assert PUBLIC == PUBLIC_SEEDS


def suite_of(**variants: Variant) -> Suite:
    return Suite(scenarios=("smoke",), agents=("sac",), variants=variants, seeds=2, budget=1000)


def test_a_variant_is_its_agent_with_settings_under_its_own_name() -> None:
    low = Variant(agent="sac", settings={"gamma": 0.5, "hidden": [8, 8]}, budget=10)
    plan = make_plan(suite_of(low=low, same=Variant(agent="sac")))
    assert [entry.name for entry in plan.agents] == ["sac", "low", "same"]
    sac, short, same = (plan.cells(plan.arenas[0], entry)[1] for entry in plan.agents)
    assert (short.agent, short.budget) == ("sac gamma=0.5 hidden=[8,8]", 10)
    assert short.label == "smoke / low / seed 1"
    assert short.file_name.startswith("smoke_low_s1_")
    assert short.training_key != sac.training_key == same.training_key  # trained once
    assert len({cell.key for cell in (sac, short, same)}) == 3  # and a record for each
    spelled = make_plan(DEFAULT.replaced({"agents": (short.agent,), "scenarios": ("smoke",)}))
    assert spelled.cells(spelled.arenas[0], spelled.agents[0])[0].budget == DEFAULT.budget


def test_agents_that_are_asked_for_replace_the_variants() -> None:
    suite = suite_of(low=Variant(agent="sac"))
    assert suite.replaced({"seeds": 1}).variants == suite.variants
    assert suite.replaced({"agents": ("random",)}).variants == {}


@pytest.mark.parametrize(
    ("variant", "message"),
    [
        (Variant(agent="random", budget=5), "'random' does not learn; leave it out"),
        (Variant(agent="sac gamma=0.5"), "unknown agent 'sac gamma=0.5'"),
        (Variant(agent="sac", settings={"gamma": "a b"}), "setting gamma"),
        (Variant(agent="sac", settings={"gama": 0.5}), "did you mean 'gamma'"),
        (Variant(agent="sca"), "did you mean 'sac'"),
    ],
)
def test_what_a_variant_cannot_have_is_named(variant: Variant, message: str) -> None:
    with pytest.raises(EdgeMarlError, match=message):
        make_plan(suite_of(mine=variant))


def test_a_variant_needs_a_name_of_its_own() -> None:
    with pytest.raises(SuiteError, match="variant 'sac': an agent of the suite has this name"):
        make_plan(suite_of(sac=Variant(agent="sac")))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sedes = 3", "did you mean 'seeds'"),
        ("seeds = 0", "seeds = 0: Input should be greater than or equal to 1"),
        ("apis = ['both']", "apis.0 = 'both'"),
        ("seeds =", "not valid TOML"),
        ("split = 'tests'", "split = 'tests': Input should be 'train', 'validation' or 'test'"),
        ("first = -1", "first = -1: Input should be greater than or equal to 0"),
        ("first = 90", "first = 90, episodes = 20: split 'test' has .* at most 100, not 110"),
        ("split = 'validation'\nepisodes = 60\nfirst = 41", "'validation' has the workloads 0..99"),
        ("agents = []", "must name at least one agent"),
        ("variants.mine = { settings = {} }", "variants.mine.agent = .*Field required"),
        ("variants.mine = { agnet = 'sac' }", "'variants.mine.agnet': did you mean 'agent'"),
        ("variants.mine = { agent = 'sac', budget = 0 }", "variants.mine.budget = 0"),
    ],
)
def test_a_files_mistakes_are_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(SuiteError, match=message):
        load_suite(str(path))


def test_a_files_suite_is_replaced_in_parts(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("scenarios = ['smoke']\nseeds = 3\n")
    axes: dict[str, Any] = {"seeds": 7, "budget": None}
    suite = load_suite(str(path)).replaced(axes)
    assert (suite.name, suite.scenarios, suite.seeds, suite.budget) == (
        "mine",
        ("smoke",),
        7,
        DEFAULT.budget,
    )
    with pytest.raises(EdgeMarlError, match="unknown suite 'papr': did you mean 'paper'"):
        load_suite("papr")
