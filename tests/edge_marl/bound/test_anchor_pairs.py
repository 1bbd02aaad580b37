"""Both ends of the score: shipped, cached, or computed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

from edge_marl.bound import anchor_pairs, anchors, upper_bound
from edge_marl.draw import draw_workload
from edge_marl.scenario import Scenario, load_scenario
from edge_marl.workload import Workload
from edge_marl.workload.parts import PUBLIC_SEEDS
from tests.oracle.published_draw import PAPER, published_workload

if TYPE_CHECKING:
    from pathlib import Path

from tests.edge_marl.bound.test_base import TIERS

# ---------------------------------------------------------------- anchors


@pytest.fixture
def smoke() -> tuple[Scenario, Workload]:
    """A workload that is not among the shipped ones."""
    scenario = load_scenario("smoke")
    return scenario, draw_workload(scenario, 0, split="validation")


def no_more(*_: object) -> float:
    raise AssertionError("computed again")


def test_anchors_are_cached(
    smoke: tuple[Scenario, Workload], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scenario, workload = smoke
    first = anchors(scenario, [workload], tmp_path)
    assert first.bound[0] == upper_bound(scenario, workload).value
    assert len(list(tmp_path.rglob("*"))) == 2  # the folder and one file, no part left behind
    monkeypatch.setattr(anchor_pairs, "upper_bound", no_more)
    monkeypatch.setenv("EDGE_MARL_CACHE", str(tmp_path))
    again = anchors(scenario, [workload, workload])
    assert again.bound.tolist() == first.bound.tolist() * 2
    assert again.random.tolist() == first.random.tolist() * 2


@pytest.mark.parametrize(
    "damage", [b"", b"{", b"\xff", b"[]", b'{"random": 1}', b'{"random": 2, "bound": 1}', b"null"]
)
def test_damaged_cache_file_is_replaced(
    smoke: tuple[Scenario, Workload], tmp_path: Path, damage: bytes
) -> None:
    scenario, workload = smoke
    first = anchors(scenario, [workload], tmp_path)
    (file,) = tmp_path.rglob("*.json")
    whole = file.read_bytes()
    file.write_bytes(damage)
    assert anchors(scenario, [workload], tmp_path).bound == first.bound
    assert file.read_bytes() == whole


def test_cache_that_cannot_be_written_costs_only_time(
    smoke: tuple[Scenario, Workload], tmp_path: Path
) -> None:
    scenario, workload = smoke
    (tmp_path / "file").write_text("in the way of a folder")
    assert anchors(scenario, [workload], tmp_path / "file").bound[0] > 0


def test_cache_tells_scenarios_apart(smoke: tuple[Scenario, Workload], tmp_path: Path) -> None:
    scenario, workload = smoke
    mild = scenario.overload.model_copy(update={"penalty": 1.0})
    other = scenario.model_copy(update={"overload": mild})
    dear, cheap = (anchors(each, [workload], tmp_path) for each in (scenario, other))
    assert cheap.random[0] > dear.random[0]


def test_random_end_is_near_the_published_mean() -> None:
    """The reference report: 203 +- 49 over 20 workloads, one action sequence each."""
    scenario = load_scenario("paper")
    ends = [
        anchor_pairs.random_return(scenario, published_workload(PAPER, 0, seed))
        for seed in range(5000, 5004)
    ]
    assert np.mean(ends) == pytest.approx(203, abs=25)


@pytest.mark.parametrize("tier", TIERS)
def test_shipped_anchors_are_of_the_test_workloads(tier: str) -> None:
    scenario = load_scenario(tier)
    pairs = anchor_pairs._shipped(anchor_pairs.shipped_name(scenario), scenario.digest)
    workloads = [draw_workload(scenario, seed, split="test") for seed in range(PUBLIC_SEEDS)]
    assert list(pairs) == [workload.digest for workload in workloads]
    assert all(low < high for low, high in pairs.values())


@pytest.mark.parametrize("tier", TIERS)
def test_shipped_anchors_come_out_again(tier: str, tmp_path: Path) -> None:
    scenario = load_scenario(tier)
    workload = draw_workload(scenario, 7, split="test")
    shipped = anchors(scenario, [workload], tmp_path)
    assert not list(tmp_path.iterdir())
    random, bound = anchor_pairs.cached_pair(scenario, workload, tmp_path)
    assert (shipped.random[0], shipped.bound[0]) == (random, bound)


@pytest.mark.parametrize("tier", ["campus@1", "metro@1", "studio@1"])
def test_shipped_bounds_of_the_extended_model_come_out_again(tier: str) -> None:
    scenario = load_scenario(tier)
    for seed in (0, 99):
        workload = draw_workload(scenario, seed, split="test")
        _, bound = anchor_pairs.shipped_pairs(scenario)[workload.digest]
        assert upper_bound(scenario, workload).value == bound


def test_shipped_anchors_of_another_scenario_are_not_used(
    smoke: tuple[Scenario, Workload],
) -> None:
    scenario, _ = smoke
    assert anchor_pairs._shipped(anchor_pairs.shipped_name(scenario), "another digest") == {}
    assert anchor_pairs._shipped("no-such-tier-w0.json", scenario.digest) == {}


def test_make_anchors_writes_what_anchors_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edge_marl.benchmarks.release import anchors as tool

    monkeypatch.setattr(tool, "PUBLIC_SEEDS", 2)
    tool.make_anchors("smoke", 1, out=tmp_path / "out", cache_dir=tmp_path / "cache")
    content = json.loads((tmp_path / "out" / "smoke-w1.json").read_text("utf-8"))
    scenario = load_scenario("smoke", world=1)
    assert content["scenario"] == scenario.digest
    workloads = [draw_workload(scenario, seed, split="test") for seed in range(2)]
    expected = anchors(scenario, workloads, tmp_path / "cache")
    pairs = [content["workloads"][workload.digest] for workload in workloads]
    assert pairs == np.column_stack([expected.random, expected.bound]).tolist()
