"""What public functions are called with by mistake is one message, and is never cut to fit."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_marl import (
    ObservationLayout,
    Simulator,
    draw_topology,
    draw_workload,
    load_scenario,
)
from edge_marl.agents import load, make
from edge_marl.errors import ScenarioError, WorkloadError

SMOKE = load_scenario("smoke")
CALLS: list[Callable[[Any], Any]] = [
    lambda scenario: draw_workload(scenario, 0),
    draw_topology,
    ObservationLayout,
    Simulator,
    lambda scenario: make("random", scenario),
    lambda scenario: load("nowhere", scenario),
]


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("scenario", ["smoke", Path("my.toml"), None, 3])
def test_what_is_no_loaded_scenario(call: Any, scenario: Any) -> None:
    with pytest.raises(ScenarioError, match=r"must be a Scenario, as edge_marl\.load_scenario"):
        call(scenario)


@pytest.mark.parametrize("scenario", [None, 3, b"smoke", ["smoke"], {"name": "smoke"}])
def test_what_no_scenario_is_loaded_from(scenario: Any) -> None:
    with pytest.raises(ScenarioError, match="must be a tier's name, the path of a scenario file"):
        load_scenario(scenario)


@pytest.mark.parametrize("number", [1.5, "1", None, [1]])
def test_what_is_no_whole_number(number: Any) -> None:
    paper = load_scenario("paper")
    for call, name in (
        (paper.in_world, "world"),
        (paper.with_gateways, "gateways"),
        (lambda seed: draw_workload(SMOKE, seed), "seed"),
        (lambda seed: draw_workload(SMOKE, seed, split="test"), "seed"),
        (lambda episode: draw_workload(SMOKE, 0, episode=episode), "episode"),
    ):
        with pytest.raises((ScenarioError, WorkloadError), match=f"^{name}.* must be a whole"):
            call(number)


def test_whole_numbers_of_numpys_are_numbers() -> None:
    three = np.int64(3)
    assert load_scenario("paper", three) == load_scenario("paper", 3)  # type: ignore[arg-type]
    assert draw_workload(SMOKE, three, episode=three).digest == (  # type: ignore[arg-type]
        draw_workload(SMOKE, 3, episode=3).digest
    )
