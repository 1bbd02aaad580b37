"""Recipes and drafts: what compiled code draws is the workload, whatever room there was."""

import copy
import pickle

import numba
import numpy as np
import pytest

from edge_marl import Workload, draw_workload, load_scenario
from edge_marl.kernel import loading as d
from edge_marl.scenario import Scenario
from edge_marl.workload.draft import Draft
from edge_marl.workload.drawing import draw_episode_at
from edge_marl.workload.parts import SPLITS
from edge_marl.workload.recipe import draw, recipe_of
from edge_marl.workload.sampling import Streams
from tests.worlds.every_part import OFF, TERMS, world

SCENARIOS = [
    load_scenario("smoke"),
    load_scenario("smoke").with_gateways(3),
    world(outages={"every_s": 500}),
    world(cloud=OFF, residency=OFF),
    world(**TERMS),
    world().with_clock(1.0, hold=False).with_sleep(200.0, 50.0),
    load_scenario("smoke-game").with_sleep(20_000.0, 5_000.0),
]
compiled = pytest.mark.skipif(numba.config.DISABLE_JIT, reason="plain Python has no pointers")


@compiled
@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize(("seed", "episode"), [(0, 0), (5, 2), (2**32, 1), (2**62 + 7, 2**33)])
def test_compiled_code_draws_the_workload(scenario: Scenario, seed: int, episode: int) -> None:
    recipe, draft = recipe_of(scenario), Draft(scenario)
    for split, number in SPLITS.items():
        if split != "train" and seed > 99:
            continue
        while draw_episode_at(recipe.address, draft.address, seed, number, episode) == d.NO_ROOM:
            draft.grow()
        expected = draw_workload(scenario, seed, split=split, episode=episode)
        assert draft.workload.digest == expected.digest


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_draft_grows_until_an_episode_has_room(scenario: Scenario) -> None:
    draft = Draft(scenario)
    draft._make(1, 1, 1)
    draw(recipe_of(scenario), draft, Streams(2**70, 0, 3))
    assert draft.workload.digest == draw_workload(scenario, 2**70, episode=3).digest


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_draft_holds_a_workload(scenario: Scenario) -> None:
    workload = draw_workload(scenario, 1)
    for own in (None, workload.topology):
        draft = Draft.of(workload, own)
        np.testing.assert_array_equal(draft.tasks, workload.tasks)
        np.testing.assert_array_equal(draft.capacity, workload.topology.capacity)
        assert draft.words[d.OWN_SERVERS] == (own is not None)
        assert (draft.words[d.BASELINE_AT] == 0) == (own is not None)
    again = Draft.of(workload, None)
    parts = again.details, again.outages, again.weights, again.sleeps
    assert Workload(again.topology, again.tasks, *parts).digest == workload.digest


def test_copies_have_memory_of_their_own() -> None:
    recipe, draft = recipe_of(SCENARIOS[0]), Draft(SCENARIOS[0])
    draw(recipe, draft, Streams(0, 0, 0))
    other = copy.deepcopy(draft)
    draw(recipe, other, Streams(1, 0, 0))
    assert draft.workload.digest == draw_workload(SCENARIOS[0], 0).digest
    assert other.workload.digest == draw_workload(SCENARIOS[0], 1).digest
    assert pickle.loads(pickle.dumps(recipe)) is recipe
