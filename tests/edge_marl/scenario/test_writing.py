"""A scenario that is written reads back as the same one."""

import pytest

from edge_marl.scenario import Scenario, list_tiers, load_scenario, parse_scenario
from edge_marl.scenario.ablation import parts_of, without
from edge_marl.scenario.writing import as_toml
from tests.worlds.every_part import TERMS, world


@pytest.mark.parametrize("name", [*list_tiers(), "every-part"])
def test_a_scenario_reads_back_as_it_was_written(name: str) -> None:
    scenario = world(**TERMS) if name == "every-part" else load_scenario(name)
    for each in (scenario, *_without_each(scenario)):
        read = parse_scenario(as_toml(each), "written.toml")
        assert read == each
        assert read.digest == each.digest


def _without_each(scenario: Scenario) -> list[Scenario]:
    names = [part.name for part in parts_of(scenario)]
    if scenario.name == "planet":
        names.remove("neighbourhood")
    return [without(scenario, name) for name in names]


def test_odd_text_and_numbers_are_kept() -> None:
    odd = world(energy={"weight": 1e-7}, tasks={"zipf": 0.1 + 0.2})
    odd = odd.model_copy(update={"summary": 'a "b" \\ \x7f \x01 \n ü 𝄞'})
    assert parse_scenario(as_toml(odd), "odd.toml") == odd


def test_sections_have_a_line_for_each_field_and_each_device() -> None:
    lines = as_toml(world(**TERMS)).splitlines()
    assert lines[:2] == ['name = "every-part"', "version = 1"]
    assert "[telemetry]" in lines
    assert "period_s = 5.0" in lines
    assert sum(line.startswith('    { name = "') for line in lines) == 2 + 3 + 3
