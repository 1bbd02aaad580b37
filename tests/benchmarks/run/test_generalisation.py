"""Test sets from end to end: trained policies move, and a run makes the table of what they lose."""

import json
from pathlib import Path
from typing import Any

import pytest

from edge_marl import load_scenario
from edge_marl.agents import load, make
from edge_marl.agents.play import play
from edge_marl.agents.training.settings_text import configure, parse_spec
from edge_marl.benchmarks.plan.make_plan import make_plan
from edge_marl.benchmarks.records.records import read_record
from edge_marl.benchmarks.report.report import make_report
from edge_marl.benchmarks.run.evaluation import draw_test_workloads
from edge_marl.benchmarks.run.executors import Processes
from edge_marl.benchmarks.run.progress import Lines
from edge_marl.benchmarks.run.runner import run_plan
from edge_marl.benchmarks.suites import Suite
from edge_marl.console import problems
from edge_marl.errors import AgentError
from edge_marl.scenario import test_sets
from tests.worlds.moved import release_in, town

SMALL = "num_envs=4 decisions_per_update=16 batch_size=16 hidden=[8,8]"


@pytest.fixture(autouse=True)
def _town(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    release_in(tmp_path / "tiers", monkeypatch, town())


def trained(spec: str) -> Any:
    name, settings = parse_spec(spec)
    trainer: Any = make(name, load_scenario("town"))
    configure(trainer, settings)
    return trainer.start(load_scenario("town"), 64, 0).agent()


@pytest.mark.parametrize("spec", ["ppo network=pairs", "ppo", "sac network=pairs"])
def test_a_policy_that_was_saved_on_a_tier_acts_on_all_its_test_sets(
    spec: str, tmp_path: Path
) -> None:
    trained(spec).save(tmp_path / "agent")
    for title, there in test_sets("town").items():
        if title != "new days":
            with pytest.raises(AgentError, match=r"made for scenario 'town@1' .*, not for 'town-"):
                load(tmp_path / "agent", there)
        agent = load(tmp_path / "agent", there, transfer=True)
        played = play(agent, there, draw_test_workloads(there, 1), seed=0)
        assert played.metrics[0]["utility_per_task"] > -10.0


def test_where_sizes_differ_a_flat_policy_says_so(tmp_path: Path) -> None:
    trained("ppo").save(tmp_path / "agent")
    with pytest.raises(AgentError, match=r"for 'metro': its sizes .* size mismatch for .*\[\d+,"):
        load(tmp_path / "agent", load_scenario(metro()), transfer=True)


def metro() -> Any:
    """A scenario with more neighbours than `town`."""
    home = load_scenario("town")
    gateways = home.gateways.model_copy(update={"neighbourhood": 7})
    return home.model_copy(update={"name": "metro", "gateways": gateways})


def test_a_run_trains_once_and_tells_what_is_lost(tmp_path: Path) -> None:
    suite = Suite(
        scenarios=("town",),
        generalise=True,
        agents=(f"ppo network=pairs {SMALL}",),
        seeds=1,
        episodes=2,
        budget=64,
    )
    plan = make_plan(suite)
    with Lines(problems()) as display:
        assert run_plan(plan, tmp_path / "run", Processes(1), display) == 0
    (learner,) = plan.agents
    kept = set()
    for arena in plan.arenas:
        for cell in plan.cells(arena, learner):
            record = read_record(tmp_path / "run", cell)
            assert record is not None
            assert record.result is not None
            assert record.result.checkpoint is not None
            kept.add(record.result.checkpoint.sha256)
            assert bool(record.result.curve) is (arena.train_on is None)
    assert len(kept) == 1  # one training for all
    make_report(tmp_path / "run", show=False)
    (moved,) = json.loads((tmp_path / "run" / "report.json").read_text())["generalisations"]
    assert list(moved["sets"]) == ["new days", "half", "double", "new city"]
    assert {row["agent"] for row in moved["agents"]} == {agent.name for agent in plan.agents}
    for row in moved["agents"]:
        assert row["utility_per_task"].keys() == moved["sets"].keys()
        assert row["loss"].keys() == {"half", "double", "new city"}
    assert "Generalisation from town" in (tmp_path / "run" / "table.md").read_text()
