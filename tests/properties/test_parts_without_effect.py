"""Parts of the extended model whose numbers make them do nothing change no bit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

from edge_marl.kernel import world as k
from edge_marl.scenario import Scenario
from edge_marl.simulator import Simulator
from edge_marl.workload import Workload
from tests.properties.test_extended_properties import (
    Policy,
    play,
    policy_of,
    service_features,
    state_features,
)
from tests.worlds import strategies
from tests.worlds.extended_episode import ExtendedEpisode
from tests.worlds.extended_strategies import episodes

# ------------------------------------------------------------ parts that do nothing


def without_arrays(workload: Workload, *names: str) -> Workload:
    return with_arrays(workload, **dict.fromkeys(names))


def with_arrays(workload: Workload, **arrays: Any) -> Workload:
    return replace(workload, topology=replace(workload.topology, **arrays))


def with_details(workload: Workload, **columns: int) -> Workload:
    details = np.zeros((workload.num_tasks, k.NUM_DETAILS), np.int64)
    if workload.details is not None:
        details = workload.details.copy()
    for name, value in columns.items():
        details[:, getattr(k, name)] = value
    return replace(workload, details=details)


def changed(scenario: Scenario, **sections: Any) -> Scenario:
    """The scenario with sections replaced, or with fields of sections where they are dicts."""
    update = {
        name: getattr(scenario, name).model_copy(update=value) if isinstance(value, dict) else value
        for name, value in sections.items()
    }
    return scenario.model_copy(update=update)


Pair = tuple[Scenario, Workload]


def assert_same_games(
    policy: Policy,
    pairs: tuple[Pair, Pair],
    hidden: Callable[[Any], Any] = lambda seen: seen,
) -> None:
    """Equal clocks, masks, rewards and logs, and equal views but for what `hidden` leaves out."""
    left, right = (play(scenario, workload, policy) for scenario, workload in pairs)
    assert len(left) == len(right)
    for one, other in zip(left, right, strict=True):
        assert one.clock == other.clock
        assert one.masks.tobytes() == other.masks.tobytes()
        assert np.array(one.rewards).tobytes() == np.array(other.rewards).tobytes()
        assert one.log.tasks.tobytes() == other.log.tasks.tobytes()
        assert hidden(one.seen).tobytes() == hidden(other.seen).tobytes()


def network_without_latency(scenario: Scenario, workload: Workload) -> tuple[Pair, Pair]:
    """Links that take no time, against none."""
    links = ("propagation", "us_per_kb")
    zeros = {name: getattr(workload.topology, name) * 0 for name in links}
    neutral = with_arrays(workload, **zeros)
    return (scenario, neutral), (changed(scenario, network=None), without_arrays(workload, *links))


def network_off(scenario: Scenario, workload: Workload) -> tuple[Pair, Pair]:
    """A workload with links where the network is off, against one without links."""
    off = changed(scenario, network=None)
    return (off, workload), (off, without_arrays(workload, "propagation", "us_per_kb"))


def links_without_sizes(scenario: Scenario, workload: Workload) -> tuple[Pair, Pair]:
    """Slow links where nothing is sent, against infinitely fast ones."""
    light = with_details(workload, UPLOAD=0, DOWNLOAD=0)
    return (scenario, light), (scenario, without_arrays(light, "us_per_kb"))


def residency_off(scenario: Scenario, workload: Workload) -> tuple[Pair, Pair]:
    """A workload with memory where residency is off, against one without."""
    off = changed(scenario, residency=None)
    plain = with_details(without_arrays(workload, "memory", "model_memory"), LOAD_TIME=0)
    return (off, workload), (off, plain)


def energy_without_weight(scenario: Scenario, workload: Workload) -> tuple[Pair, Pair]:
    off = changed(scenario, energy={"weight": 0.0})
    return (off, workload), (off, without_arrays(workload, "energy"))


def outages_without_failures(scenario: Scenario, workload: Workload) -> tuple[Pair, Pair]:
    none = replace(workload, outages=np.zeros((0, 3), np.int64))
    return (scenario, none), (changed(scenario, outages=None), replace(workload, outages=None))


def failing_without_failures(scenario: Scenario, workload: Workload) -> tuple[Pair, Pair]:
    sound = with_details(workload, FAILS=0)
    return (scenario, sound), (changed(scenario, tasks={"fail_share": 0.0}), sound)


def stages_without_workflows(scenario: Scenario, workload: Workload) -> tuple[Pair, Pair]:
    """Stages that are requests of their own. The scale of deadlines would differ."""
    details = with_details(workload, STAGE=0, AFTER=0, DEADLINE=0)
    one = changed(scenario, tasks={"stages": (1.0,)})
    return (scenario, details), (one, details)


def neutral_arrays(scenario: Scenario, workload: Workload) -> tuple[Pair, Pair]:
    """Servers at the reference's speed that host everything, against saying nothing."""
    shape = workload.topology.baseline.shape[:2]
    neutral = {
        "slowdown": np.full(shape, 1000),
        "hosted": np.ones(shape, bool),
        "energy": np.zeros(shape, np.int64),
    }
    return (scenario, with_arrays(workload, **neutral)), (
        scenario,
        without_arrays(workload, *neutral),
    )


def concurrency_without_growth(scenario: Scenario, workload: Workload) -> tuple[Pair, Pair]:
    alone = changed(scenario, concurrency={"growth": (0.0,)})
    return (alone, workload), (changed(scenario, concurrency=None), workload)


def requests_of_weight_one(scenario: Scenario, workload: Workload) -> tuple[Pair, Pair]:
    ones = np.full(workload.num_tasks, 1000)
    return (scenario, replace(workload, weights=ones)), (scenario, replace(workload, weights=None))


def all_servers_in_order(scenario: Scenario, workload: Workload) -> tuple[Pair, Pair]:
    """A neighbourhood of everything, against none."""
    count, servers = scenario.gateways.count, scenario.num_servers
    plain = without_arrays(workload, "propagation", "us_per_kb", "neighbours")
    order = np.tile(np.arange(servers), (count, 1))
    everything = changed(scenario, gateways={"neighbourhood": servers})
    none = changed(scenario, gateways={"neighbourhood": 0})
    return (everything, with_arrays(plain, neighbours=order)), (none, plain)


NEUTRAL: list[tuple[Any, list[str], list[str]]] = [  # what is on, what is off besides
    (network_without_latency, ["network", "devices"], []),
    (network_off, ["network", "devices"], []),
    (links_without_sizes, ["network"], []),
    (residency_off, ["residency"], []),
    (energy_without_weight, ["energy", "devices"], []),
    (outages_without_failures, ["outages", "devices"], []),
    (failing_without_failures, ["failing tasks", "devices"], []),
    (stages_without_workflows, ["stages", "devices"], ["deadlines"]),
    (neutral_arrays, ["devices"], []),
    (concurrency_without_growth, ["concurrency", "devices"], []),
    (requests_of_weight_one, ["classes"], []),
    (all_servers_in_order, ["devices"], ["cloud", "neighbourhood", "network"]),
]


@pytest.mark.parametrize(
    ("neutral", "on", "off"), NEUTRAL, ids=[row[0].__name__ for row in NEUTRAL]
)
def test_a_part_without_effect_changes_no_bit(neutral: Any, on: list[str], off: list[str]) -> None:
    @settings(strategies.THOROUGH, max_examples=25)
    @given(episodes(always=tuple(on), never=tuple(off)))
    def same(episode: ExtendedEpisode) -> None:
        assert_same_games(policy_of(episode), neutral(episode.scenario, episode.workload))

    same()


@settings(strategies.THOROUGH, max_examples=40)
@given(episodes(always=("residency",)))
def test_residency_with_room_for_all_and_no_load_time_costs_nothing(
    episode: ExtendedEpisode,
) -> None:
    """What is seen differs in what is warm."""
    scenario = episode.scenario
    workload = with_details(episode.workload, LOAD_TIME=0)
    memory = workload.topology.memory
    assert memory is not None
    roomy = with_arrays(workload, memory=np.full_like(memory, 1000))
    pairs = (scenario, roomy), (changed(scenario, residency=None), workload)
    services = slice(service_features(scenario) + 2, None, 4)

    def but_warm(seen: Any) -> Any:
        seen = seen.copy()
        seen[:, services] = 0
        return seen

    assert_same_games(policy_of(episode), pairs, but_warm)


@settings(strategies.THOROUGH, max_examples=40)
@given(episodes(always=("deadlines",)))
def test_deadlines_beyond_any_latency_cost_nothing(episode: ExtendedEpisode) -> None:
    """What is seen differs in the time that is left."""
    scenario = episode.scenario
    late = with_details(episode.workload, DEADLINE=10**9)
    none = with_details(episode.workload, DEADLINE=0)
    left = (scenario.num_types if scenario.num_types > 1 else 0) + 2
    pairs = (scenario, late), (scenario, none)
    assert_same_games(policy_of(episode), pairs, lambda seen: np.delete(seen, left, axis=1))


@settings(strategies.THOROUGH, max_examples=40)
@given(episodes(always=("telemetry", "devices")))
def test_telemetry_changes_what_is_seen_of_others_and_nothing_else(
    episode: ExtendedEpisode,
) -> None:
    present = changed(episode.scenario, telemetry={"period_s": 0.0})
    pairs = (episode.scenario, episode.workload), (present, episode.workload)
    scenario = episode.scenario
    stale = state_features(scenario, range(1, scenario.num_neighbours))
    if scenario.concurrency is not None:  # durations are those beside what is seen to run
        v, services = scenario.num_services, service_features(scenario)
        stale += [services + 4 * i + 1 for i in range(v, v * scenario.num_neighbours)]
    assert_same_games(policy_of(episode), pairs, lambda seen: np.delete(seen, stale, axis=1))


@settings(strategies.THOROUGH, max_examples=40)
@given(episodes(always=("levels", "decline", "devices")))
def test_levels_and_declining_change_nothing_for_who_uses_neither(
    episode: ExtendedEpisode,
) -> None:
    """Actions have other numbers, and there is more to see."""
    scenario, workload = episode.scenario, episode.workload
    plain = changed(scenario, levels=None, decline=None)
    levels = scenario.num_levels
    places = scenario.num_neighbours * scenario.num_services
    low = scenario.num_neighbours * scenario.num_services * (levels - 1)

    def numbers(step: int) -> list[int]:
        return [choice % (places + 1) for choice in policy_of(episode)(step)]

    def with_levels(step: int) -> list[int]:
        nothing = scenario.num_actions
        return [nothing if c == places else c * levels + levels - 1 for c in numbers(step)]

    if scenario.concurrency is not None:  # as many fit as of the lowest level's steps
        return
    left, right = play(scenario, workload, with_levels), play(plain, workload, numbers)
    assert [moment.rewards for moment in left] == [moment.rewards for moment in right]
    for one, other in zip(left, right, strict=True):
        assert one.clock == other.clock
        assert one.log.tasks.tobytes() == other.log.tasks.tobytes()
        assert one.seen[:, : one.seen.shape[1] - low].tobytes() == other.seen.tobytes()
        assert (one.masks[:, levels - 1 : -2 : levels] == other.masks[:, :-1]).all()
        assert (one.masks[:, -1] == other.masks[:, -1]).all()


@settings(strategies.THOROUGH, max_examples=80)
@given(strategies.episodes())
def test_with_all_parts_off_it_is_the_base_model(episode: strategies.Episode) -> None:
    """The same tasks where one part is on that none of them uses."""
    scenario = episode.scenario
    extended = changed(scenario, tasks={"fail_share": 0.5})
    assert extended.extended
    assert not scenario.extended
    base, twin = Simulator(scenario), Simulator(extended)
    first = base.layout.task_size
    servers = np.arange(scenario.num_servers)
    known = [*range(first), *np.ravel(first + 2 + 5 * servers[:, None] + [0, 1])]
    for simulator in (base, twin):
        simulator.load(0, episode.workload)
    for action in episode.actions:
        assert base.observations[0].tobytes() == twin.observations[0, known].tobytes()
        assert base.step_row(0, action) == twin.step_row(0, action)
        assert base.log(0).tasks.tobytes() == twin.log(0).tasks.tobytes()
    assert base.log(0).clock_ms == twin.log(0).clock_ms
    assert base.done[0] == twin.done[0]
