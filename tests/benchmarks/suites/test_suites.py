from pathlib import Path
from typing import Any

import pytest

from edge_marl.benchmarks.plan.cells import Cell
from edge_marl.benchmarks.plan.make_plan import make_plan
from edge_marl.benchmarks.suites import DEFAULT, list_suites, load_suite
from edge_marl.errors import AgentError, EdgeMarlError, SuiteError


@pytest.mark.parametrize("name", list_suites())
def test_every_shipped_suite_makes_a_plan(name: str) -> None:
    plan = make_plan(load_suite(name))
    jobs = plan.jobs()
    assert plan.name == name
    assert len({job.file_name for job in jobs}) == len(jobs)


def test_what_is_trained_elsewhere_is_trained_once() -> None:
    plan = make_plan(load_suite("generalise"))
    learners = [job for job in plan.jobs() if isinstance(job, Cell) and job.budget]
    assert len(learners) == 3 * plan.seeds
    assert len({cell.training_key for cell in learners}) == plan.seeds
    assert {cell.scenario.name for cell in plan.trained_by().values()} == {"campus"}


def test_settings_are_part_of_a_cell() -> None:
    plan = make_plan(DEFAULT.replaced({"agents": ("sac", "sac gamma=0.5", "sac  gamma=0.50")}))
    assert [entry.name for entry in plan.agents] == ["sac", "sac gamma=0.5"]
    cells = [plan.cells(plan.arenas[0], entry)[0] for entry in plan.agents]
    assert cells[0].key != cells[1].key
    with pytest.raises(AgentError, match="did you mean 'gamma'"):
        make_plan(DEFAULT.replaced({"agents": ("sac gama=0.5",)}))
    with pytest.raises(AgentError, match="has no settings"):
        make_plan(DEFAULT.replaced({"agents": ("random gamma=0.5",)}))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sedes = 3", "did you mean 'seeds'"),
        ("seeds = 0", "seeds = 0: Input should be greater than or equal to 1"),
        ("apis = ['both']", "apis.0 = 'both'"),
        ("seeds =", "not valid TOML"),
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
