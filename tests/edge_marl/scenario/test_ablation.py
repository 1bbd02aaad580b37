"""Parts are switched off one at a time, and nothing else is."""

from typing import Any

import numpy as np
import pytest
from pydantic import BaseModel

from edge_marl.draw import draw_workload
from edge_marl.errors import ScenarioError
from edge_marl.kernel.world import STAGE
from edge_marl.scenario import Scenario, list_tiers, load_scenario
from edge_marl.scenario.ablation import PARTS, parts_of, without
from tests.worlds.every_part import OFF, TERMS, world

NO_PARTS = {
    *("name", "version", "summary", "test_set_of", "servers", "clock", "episode", "replay"),
    *("tasks.demand_share", "tasks.zipf", "tasks.sticky", "tasks.users"),
    *("tasks.upload_kb", "tasks.download_kb", "arrivals.resolution_s"),
    *("gateways.count", "gateways.area_km"),
}
"""What a scenario may state and cannot be switched off: sizes, popularity, the game's clock."""

SPLIT = ("tasks", "arrivals", "gateways", "overload")
"""Sections that hold parts beside what every scenario needs."""

FULL = world(**TERMS).with_clock(1.0, hold=False).with_sleep(200.0, 50.0)


def test_whatever_a_scenario_may_state_is_a_part_or_known_to_be_none() -> None:
    fields: set[str] = set(Scenario.model_fields) - set(SPLIT)
    for section in SPLIT:
        kind: Any = Scenario.model_fields[section].annotation
        assert issubclass(kind, BaseModel)
        stated = {name for name, field in kind.model_fields.items() if not field.is_required()}
        fields |= {f"{section}.{name}" for name in stated}
    of_parts = [field for part in PARTS for field in part.fields]
    assert len(of_parts) == len(set(of_parts))
    assert set(of_parts) | NO_PARTS == fields
    assert not set(of_parts) & NO_PARTS


def test_the_names_are_of_one_part_each() -> None:
    assert len({part.name for part in PARTS}) == len(PARTS)
    assert parts_of(FULL) == PARTS
    assert parts_of(load_scenario("paper")) == ()


@pytest.mark.parametrize("name", [*list_tiers(), "every-part"])
def test_each_part_of_a_tier_can_be_off_alone(name: str) -> None:
    scenario = FULL if name == "every-part" else load_scenario(name)
    on = [part.name for part in parts_of(scenario)]
    for part in on:
        if (scenario.name, part) == ("planet", "neighbourhood"):
            continue
        left = without(scenario, part)
        assert [each.name for each in parts_of(left)] == [each for each in on if each != part]
        assert left.name == f"{scenario.name}-without-{part}"
        assert left.digest != scenario.digest
        assert left.episode == scenario.episode


def test_nobody_plays_a_planet_that_sees_all() -> None:
    with pytest.raises(ScenarioError, match=r"\d+ actions, at most 8192 are played"):
        without(load_scenario("planet"), "neighbourhood")


def test_nothing_else_changes() -> None:
    """But for what the part's own entry settles."""
    settled = {
        "cloud": {"gateways"},
        "stages": {"arrivals"},
        "daily": {"arrivals"},
    }
    before = FULL.model_dump()
    for part in PARTS:
        after = without(FULL, part.name).model_dump()
        changed = {section for section in before if before[section] != after[section]}
        stated = {field.partition(".")[0] for field in part.fields}
        assert changed == {"name", "summary"} | stated | settled.get(part.name, set())
        for section in stated & set(SPLIT):
            own = {field.partition(".")[2] for field in part.fields}
            if part.name == "daily":
                own.add("rate_per_s")
            apart = {k for k in before[section] if before[section][k] != after[section][k]}
            assert apart == own


def test_without_the_cloud_gateways_see_the_same_edge_servers() -> None:
    nation = load_scenario("nation")
    left = without(nation, "cloud")
    assert left.num_neighbours == nation.num_neighbours - 1
    with_it, without_it = (draw_workload(s, 3, split="test").topology for s in (nation, left))
    assert with_it.neighbours is not None
    assert without_it.neighbours is not None
    np.testing.assert_array_equal(with_it.neighbours[:, :-1], without_it.neighbours)
    only_cloud = world(gateways={"neighbourhood": 1})
    assert without(only_cloud, "cloud").num_neighbours == 1


def test_without_classes_requests_weigh_the_mean() -> None:
    left = without(FULL, "classes")
    mean = (6 * 0.5 + 3 * 1.0 + 1 * 3.0) / 10
    assert [each.weight for each in left.tasks.classes] == [mean]
    halves = [{"name": "less", "weight": 0.5}, {"name": "more", "weight": 1.5}]
    assert without(world(tasks={"classes": halves}), "classes").tasks.classes == ()


def test_recorded_places_go_with_the_last_part_that_needs_them() -> None:
    tier = load_scenario("replay-gentd26")
    assert tier.replay is not None
    for first, second in (("network", "neighbourhood"), ("neighbourhood", "network")):
        left = without(tier, first)
        assert left.replay is not None
        assert left.replay.places == tier.replay.places
        last = without(left, second)
        assert last.replay is not None
        assert last.replay.places is None


@pytest.mark.parametrize(
    ("part", "change"),
    [
        ("bursts", {}),
        ("daily", {}),
        ("daily", {"horizon_s": 1000.0}),
        ("daily", {"horizon_s": 2500.0}),
        ("hot-spots", {}),
        ("unequal-gateways", {}),
        ("stages", {}),
    ],
)
def test_as_many_tasks_come_without_a_part_that_shapes_arrivals(
    part: str, change: dict[str, Any]
) -> None:
    """Of 60 workloads, within four standard errors; bursts only where they are the part."""
    calm = {} if part == "bursts" else {"bursts": OFF, "gap_cv": OFF}
    scenario = world(arrivals=calm | change)
    counts = [
        np.array([draw_workload(each, k).num_tasks for k in range(60)], dtype=np.float64)
        for each in (scenario, without(scenario, part))
    ]
    means = [count.mean() for count in counts]
    error = np.sqrt(sum(count.var(ddof=1) / len(count) for count in counts))
    assert error < (0.05 if part == "bursts" else 0.01) * means[0]
    assert abs(means[0] - means[1]) < 4 * error


def test_a_stage_is_a_request_without_stages() -> None:
    left = draw_workload(without(FULL, "stages"), 0)
    assert left.details is not None
    assert (left.details[:, STAGE] == 0).all()


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ("queu", "did you mean 'queue'"),
        ("replay", "parts that scenario 'every-part' has on: neighbourhood, "),
    ],
)
def test_a_part_that_is_not_there_is_explained(part: str, message: str) -> None:
    with pytest.raises(ScenarioError, match=message):
        without(FULL, part)
    with pytest.raises(ScenarioError, match=r"'queue': .* on: none"):
        without(load_scenario("paper"), "queue")


def test_what_cannot_be_is_explained() -> None:
    """An episode of the busy half of a day, at the most requests that fit."""
    busy = world(
        tasks={"stages": OFF},
        arrivals={"daily": [3, 1], "horizon_s": 800, "rate_per_s": 650.0},
    )
    with pytest.raises(ScenarioError, match=r"'every-part' without daily: .* at most 524288 fit"):
        without(busy, "daily")
