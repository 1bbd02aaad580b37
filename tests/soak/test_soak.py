"""The short version of `python -m tests.soak`, and that its checks see what is wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

from edge_marl.kernel import world as k
from tests.soak.batches import Batch
from tests.soak.play import agree, check, choose, play
from tests.soak.worlds import World, draw_world
from tests.worlds import every_part

FEW = 25_000


@pytest.mark.parametrize("seed", range(8))
def test_what_must_hold_does_in_random_worlds(seed: int) -> None:
    played = play(draw_world(seed), seed, FEW)
    assert played.decisions > 0
    assert played.checks > 1
    assert played.replayed > played.checks


def test_the_worlds_are_of_every_kind() -> None:
    worlds = [draw_world(seed) for seed in range(100)]
    scenarios = [world.scenario for world in worlds]
    kinds = {(w.game, w.scenario.extended, w.scenario.clock.slot_s > 0) for w in worlds}
    assert kinds >= {(True, True, True), (True, False, True), (True, True, False)}
    assert kinds >= {(False, True, False), (False, False, False)}
    assert {world.mode for world in worlds} == set(AutoresetMode)
    for part in ("network", "residency", "cloud", "outages"):
        assert {getattr(s, part) is None for s in scenarios if s.extended} == {True, False}
    assert {len(scenario.tasks.stages) for scenario in scenarios} == {1, 2, 3}


@pytest.fixture
def batch() -> Batch:
    """A batch with every part on, in the midst of its episodes."""
    world = World(every_part.world(), 8, AutoresetMode.SAME_STEP, False, "legal")
    batch, dice = Batch(world, list(range(8)), (0,)), np.random.default_rng(0)
    for _ in range(150):
        batch.step(choose(world, batch, dice))
    check(batch, 0)
    return batch


def running(batch: Batch) -> tuple[int, int, int]:
    """A row, a server of the edge and the task that is first in its list."""
    w: Any = batch.simulator._world
    row, server = np.argwhere(w.servers[:, :-1, k.NUM_RUNNING] > 0)[0]
    return int(row), int(server), int(w.running[row, server, 0, k.TASK])


def use_more(batch: Batch) -> None:
    row, server, _ = running(batch)
    batch.simulator._world.servers[row, server, k.USED] += 1


def forget_a_task(batch: Batch) -> None:
    row, server, _ = running(batch)
    batch.simulator._world.servers[row, server, k.NUM_RUNNING] -= 1


def end_later(batch: Batch) -> None:
    row, _, task = running(batch)
    batch.simulator._world.tasks[row, task, k.END] += 1


def lose_a_running_task(batch: Batch) -> None:
    row, _, task = running(batch)
    batch.simulator._world.tasks[row, task, k.STATUS] = k.CRASHED


def pay_more(batch: Batch) -> None:
    batch.total[3] += 1e-6


def decide_once_more(batch: Batch) -> None:
    batch.decided[3] += 1


def count_a_crash(batch: Batch) -> None:
    batch.simulator._world.episode[3, k.CRASHES] += 1


def see_too_much(batch: Batch) -> None:
    batch.simulator._world.observations[3, 5] = np.nan


def unload_a_model(batch: Batch) -> None:
    row, server, _ = running(batch)
    batch.simulator._world.sites[row, server, k.RESIDENT] = 0


def load_every_model(batch: Batch) -> None:
    row, server, _ = running(batch)
    batch.simulator._world.sites[row, server, k.RESIDENT] = 7


def forbid_an_action(batch: Batch) -> None:
    batch.simulator._world.feasible[0] ^= 1


def pay_too_much_for_a_task(batch: Batch) -> None:
    w: Any = batch.simulator._world
    stages = w.details[0, :, k.STAGE] + w.details[0, :, k.AFTER]
    task = np.flatnonzero((w.tasks[0, :, k.STATUS] == k.ADMITTED) & (stages == 0))[0]
    w.rewards[0, task] += 0.001
    batch.total[0] += 0.001


@pytest.mark.parametrize(
    "fault",
    [
        *(use_more, forget_a_task, end_later, lose_a_running_task, pay_more, decide_once_more),
        *(count_a_crash, see_too_much, unload_a_model, load_every_model, forbid_an_action),
        pay_too_much_for_a_task,
    ],
)
def test_the_checks_see_a_fault(batch: Batch, fault: Callable[[Batch], None]) -> None:
    fault(batch)
    with pytest.raises(AssertionError):
        check(batch, 0)


@pytest.mark.parametrize("name", ["paid", "done", "seen"])
def test_a_replay_that_differs_is_seen(batch: Batch, name: str) -> None:
    change: Any = {name: b"" if name == "paid" else 99}
    moments = batch.moments[0]
    others = list(moments)
    others[7] = replace(others[7], **change)
    agree(moments, list(moments), "itself")
    with pytest.raises(AssertionError, match=f"moment 7 differs in {name}"):
        agree(moments, others, "another")
