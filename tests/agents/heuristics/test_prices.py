"""Prices of capacity are learnt once per scenario, and shipped with the tiers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_marl import draw_workload, load_scenario
from edge_marl.agents.heuristics import prices
from edge_marl.agents.heuristics.prices import learn_prices, shipped_at, solve_prices
from edge_marl.bound import has_bound
from edge_marl.scenario import Scenario, list_tiers

OTHER = load_scenario("smoke", world=8)  # its prices are not shipped


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty folder of the caches; in this process nothing is remembered."""
    monkeypatch.setenv("EDGE_MARL_CACHE", str(tmp_path))
    learn_prices.cache_clear()
    return tmp_path / "prices"


def no_program(*_: Any) -> Any:
    raise AssertionError("a linear program is solved")


def test_they_come_from_training_workloads(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = []

    def draw(scenario: Scenario, seed: int, *, split: Any) -> Any:
        drawn.append((seed, split))
        return draw_workload(scenario, seed, split=split)

    monkeypatch.setattr(prices, "draw_workload", draw)
    found = learn_prices(OTHER)
    assert drawn == [(0, "train"), (1, "train"), (2, "train"), (3, "train")]
    assert found.shape == (3,)
    assert (found >= 0).all()
    assert found.max() > 0


@pytest.mark.parametrize("name", ["smoke", "agod"])
def test_those_of_a_tier_are_what_is_computed(name: str) -> None:
    scenario = load_scenario(name)
    assert solve_prices(scenario).tolist() == learn_prices(scenario).tolist()


def test_every_tier_without_recordings_has_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prices, "upper_bound", no_program)
    for scenario in map(load_scenario, list_tiers()):
        if has_bound(scenario) and not scenario.replay:
            assert learn_prices(scenario).shape == (scenario.num_neighbours,), scenario.name


def test_they_are_computed_once(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = learn_prices(OTHER)
    (kept,) = cache.iterdir()
    learn_prices.cache_clear()
    monkeypatch.setattr(prices, "upper_bound", no_program)
    assert learn_prices(OTHER).tolist() == found.tolist()
    content = json.loads(kept.read_text())
    learn_prices.cache_clear()
    for damage in ("[]", "{", json.dumps(content | {"key": "0"}), json.dumps({"prices": [1.0]})):
        kept.write_text(damage)
        with pytest.raises(AssertionError, match="a linear program is solved"):
            learn_prices(OTHER)
    kept.write_text(json.dumps(content | {"prices": [np.nan, 1.0, 1.0]}))
    with pytest.raises(AssertionError, match="a linear program is solved"):
        learn_prices(OTHER)


def test_a_cache_that_is_closed_costs_only_time(tmp_path: Path, monkeypatch: Any) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("EDGE_MARL_CACHE", str(tmp_path / "file"))
    assert learn_prices(OTHER).shape == (3,)


def test_other_scenarios_have_no_file_of_a_tiers(tmp_path: Path) -> None:
    faster = OTHER.model_copy(update={"summary": "as it was"})
    assert shipped_at(faster).name == "smoke-w8.json"
    assert not shipped_at(faster).exists()
