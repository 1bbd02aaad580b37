"""What a plan is named, and scenarios that it could not tell apart."""

from pathlib import Path

import pytest

from edge_marl.benchmarks.plan.cells import folder_name
from edge_marl.benchmarks.plan.make_plan import make_plan
from edge_marl.benchmarks.suites import Suite
from edge_marl.errors import SuiteError
from edge_marl.scenario import load_scenario

ONE = """
name = "smoke"
version = 1
summary = "Another smoke."
servers = { law = "given", capacity = [8], baseline = [[[0.5]]], curve = [[[1, 0.0, 8, 0.5]]] }
tasks = { types = 1, demand = [4], run_time_minutes = [0.0, 0.125, 0.0] }
arrivals = { rate_per_s = 0.1, horizon_s = 600 }
overload = { penalty = 2.0, loss_sum = "in-order" }
episode = { end = "horizon" }
"""


def suite(*scenarios: str, **axes: object) -> Suite:
    return Suite(agents=("random",), scenarios=scenarios).replaced(dict(axes))


def write(path: Path, text: str = ONE) -> str:
    path.write_text(text)
    return str(path)


def test_a_name_that_is_too_long_is_cut_and_stays_its_own() -> None:
    many = make_plan(suite("paper", worlds=tuple(range(61)))).name
    more = make_plan(suite("paper", worlds=tuple(range(62)))).name
    assert make_plan(suite("paper", worlds=tuple(range(61)))).name == many
    assert many != more
    assert many.startswith("paper+paper-w1+")
    assert len(many) <= 255
    fits = "a" * 255
    assert folder_name(fits) == fits
    assert len(folder_name(fits + "b")) <= 255
    assert make_plan(suite("smoke", "paper", "smoke")).name == "smoke+paper"


def test_two_scenarios_of_one_name_are_refused(tmp_path: Path) -> None:
    mine = write(tmp_path / "mine.toml")
    with pytest.raises(SuiteError) as error:
        make_plan(suite("smoke", mine))
    assert str(error.value) == (
        f"scenarios 'smoke' and '{mine}' differ and are both named 'smoke': tables could not tell "
        "them apart; change `name` in a file"
    )
    with pytest.raises(SuiteError, match="both named 'smoke'"):
        make_plan(suite("smoke", train_on=mine))


def test_a_scenario_is_played_once_however_often_it_is_named() -> None:
    plan = make_plan(suite("smoke", "smoke"))
    assert [arena.scenario for arena in plan.arenas] == [load_scenario("smoke")]
