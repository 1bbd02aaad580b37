"""What compiled code takes for granted of the bodies: `world_type.py`, `parts.py`."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import pytest
from numba.core.errors import TypingError

from edge_marl.draw import draw_workload
from edge_marl.jit import part
from edge_marl.kernel import batch, game
from edge_marl.kernel import world as k
from edge_marl.kernel.world import EXTENDED
from edge_marl.scenario import load_scenario
from edge_marl.simulator import Simulator
from edge_marl.simulator.gateways import GatewaySimulator
from edge_marl.simulator.world_type import WORLDS_AT, world_at

needs_compiler = pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="compiles")


class FromTheFront(np.ndarray[Any, Any]):
    """An array that refuses what compiled code does not look for: an index below 0, a change of
    what is the scenario's."""

    def __getitem__(self, index: Any) -> Any:
        assert np.min(index) >= 0
        return super().__getitem__(index)

    def __setitem__(self, index: Any, value: Any) -> None:
        assert np.min(index) >= 0
        super().__setitem__(index, value)


def careful(world: k.World) -> k.World:
    arrays = [array.view(FromTheFront) for array in world]
    for array, said in zip(arrays, k.ARRAYS.values(), strict=True):
        array.flags.writeable = any(isinstance(axis, str) for axis in said.axes)
    return k.World(*arrays)


@pytest.mark.parametrize("tier", ["paper", "metro"])
def test_no_body_counts_from_the_end_or_changes_what_is_the_scenarios(tier: str) -> None:
    scenario = load_scenario(tier)
    simulator = Simulator(scenario)
    simulator.load(0, draw_workload(scenario, 0))
    w = careful(simulator._world)
    actions = np.random.default_rng(0).integers(0, scenario.num_actions, 200)
    for action in actions:
        batch.step(w, 0, int(action))
    assert w.episode[0, k.SHOWN] > 0


@pytest.mark.parametrize("tier", ["paper", "metro"])
def test_nor_does_one_of_the_game(tier: str) -> None:
    scenario = load_scenario(tier)
    simulator = GatewaySimulator(scenario)
    simulator.load(0, draw_workload(scenario, 0))
    w = careful(simulator._world)
    count = scenario.gateways.count
    drawn = np.random.default_rng(0).integers(0, scenario.num_actions, (20, 1, count))
    own = np.zeros((1, count))
    for choices in drawn:
        game.play(w, 0, np.where(simulator.waiting, choices, simulator.nothing), own)
        game.observe_gateways(w, 0)
    assert w.episode[0, k.CLOCK] > 0


@needs_compiler
def test_compiled_code_cannot_change_what_is_the_scenarios() -> None:
    def change(address: int) -> None:
        world_at(address).spec[k.EXTENDED] = 1

    with pytest.raises(TypingError):
        numba.njit(change)(0)


@needs_compiler
def test_an_array_has_the_shape_that_its_table_says() -> None:
    simulator = Simulator(load_scenario("paper"), num_envs=3)

    def shapes(address: int) -> Any:
        w = world_at(address)
        return len(w.episode), w.tasks.shape, w.running.shape

    w = simulator._world
    assert numba.njit(shapes)(simulator._address) == (3, w.tasks.shape, w.running.shape)


@needs_compiler
def test_a_part_is_translated_once_for_all_whole_numbers() -> None:
    twice = part(lambda number: 2 * number)

    def use(small: Any, number: int) -> Any:
        return twice(small), twice(number), twice(4), twice(0.5)

    assert numba.njit(use)(np.int8(100), -3) == (200, -6, 8, 1.0)


def says_model(w: Any) -> Any:
    if w.spec[EXTENDED] == 0:
        return 0
    return 1, 2


def says_model_later(w: Any) -> Any:
    extended = w.spec[EXTENDED] == 1
    if extended:
        return 1, 2
    return 0


@needs_compiler
@pytest.mark.parametrize("says", [says_model, says_model_later])
def test_what_the_other_model_does_is_not_translated(says: Any) -> None:
    """No compiled function returns a number or a tuple."""

    def use(model: Any, at: Any) -> Any:
        return numba.njit(lambda address: model(at(address)))

    simulator = Simulator(load_scenario("paper"), num_envs=1)
    assert use(part(says), WORLDS_AT["base"])(simulator._address) == 0
    assert use(part(says), WORLDS_AT["extended"])(simulator._address) == (1, 2)
    with pytest.raises(TypingError):
        use(part(says), world_at)(simulator._address)
