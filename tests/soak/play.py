"""Playing a world for so many decisions, with checks on the way and a replay of some rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode

from edge_marl import draw_workload
from edge_marl.kernel import world as k
from tests.soak.batches import Batch, Choices, Moment, play_alone
from tests.soak.invariants import check_masks, check_rows, check_values
from tests.soak.worlds import World

__all__ = ["Played", "play"]

CHECK_EVERY = 64
"""Steps from one check to the next; without automatic resets there is one at all ends, too."""
PART = 32
"""Rows that are checked at a time: the next ones each time."""
WATCHED = 2
"""Rows that are played again: in a small batch, and alone."""
REPLAYED = 2_000
"""Moments of a row at most that are compared with those of an environment of its own."""
MOST_EPISODES = 500
"""Episodes of a world, however short they are: each of them is to be drawn."""
MOST_STEPS = 100_000
"""Steps of a world in which too few tasks arrive to make the decisions that are asked for."""


@dataclass(frozen=True)
class Played:
    """What a world came to."""

    decisions: int
    episodes: int
    checks: int
    """Times that some rows were checked."""
    replayed: int
    """Moments of rows that were the same in another batch; less were compared with those alone."""


def play(world: World, seed: int, decisions: int) -> Played:
    """Play a world, and some of its rows again.

    Args:
        world: what is played.
        seed: of actions and workloads.
        decisions: so many, or a few more; less where episodes are short.

    Raises:
        AssertionError: an invariant does not hold, or a replay differs.
    """
    dice = np.random.default_rng([seed, 1])
    seeds = [int(s) for s in dice.integers(2**31, size=world.rows)]
    watched = tuple(sorted(dice.choice(world.rows, WATCHED, replace=False).tolist()))
    batch = Batch(world, seeds, watched)
    script: list[tuple[Choices, bool]] = []
    """What the watched rows chose, and whether ends were followed by a restart."""
    done = checks = 0
    for step in range(MOST_STEPS):
        if done >= decisions or batch.episodes.sum() >= MOST_EPISODES:
            break
        chosen = choose(world, batch, dice)
        done += int(batch.deciding(chosen).sum())
        batch.step(chosen)
        restarts = world.mode == AutoresetMode.DISABLED and not batch.going_on.any()
        script.append((chosen[list(watched)], restarts))
        if step % CHECK_EVERY == 0:
            check(batch, checks * PART % world.rows)
            checks += 1
        if restarts:
            for first in range(0, world.rows, PART):
                check(batch, first)
            batch.restart()
    check(batch, 0)
    replay(world, batch, watched, script)
    return Played(
        decisions=done,
        episodes=int(batch.episodes.sum()) + world.rows,
        checks=checks + 1,
        replayed=sum(map(len, batch.moments.values())),
    )


def choose(world: World, batch: Batch, dice: np.random.Generator) -> Choices:
    """Return what every row, or every gateway, does next."""
    masks = batch.masks
    shape, count = masks.shape[:-1], masks.shape[-1]
    chosen: Choices
    if world.choosing == "one server":
        services = world.scenario.num_services
        chosen = dice.integers(services, size=shape)
    elif world.choosing == "few":
        chosen = dice.choice(np.random.default_rng(count).integers(count, size=3), size=shape)
    else:
        chosen = dice.integers(count, size=shape)
    if world.choosing == "any":
        return chosen
    for _ in range(3):  # mostly legal, and of the wish as long as that is
        legal = np.take_along_axis(masks, chosen[..., None], -1)[..., 0]
        chosen = np.where(legal == 1, chosen, dice.integers(count, size=shape))
    return chosen


def check(batch: Batch, first: int) -> None:
    """Check some rows, and the first of them against the workload that its seed draws."""
    simulator, scenario, row = batch.simulator, batch.world.scenario, first
    check_rows(simulator, slice(first, first + PART), batch.decided, batch.total)
    workload = draw_workload(scenario, batch.seeds[row], episode=int(batch.episodes[row]))
    check_masks(simulator, row, workload)
    log = simulator.log(row)
    first_stages = log.details is None or log.details[:, k.STAGE] == 0
    arrived = np.equal(log.tasks[:, : k.NUM_TASK_FIELDS], workload.tasks)
    assert arrived[first_stages].all(), "the row does not play its seed's episode"
    check_values(scenario, log, workload)


def replay(
    world: World, batch: Batch, watched: tuple[int, ...], script: list[tuple[Choices, bool]]
) -> None:
    """Play the watched rows again by themselves, in a batch, and the first one alone."""
    again = Batch(world, [batch.seeds[row] for row in watched], tuple(range(len(watched))))
    for chosen, restarts in script:
        again.step(chosen)
        if restarts:
            again.restart()
    for place, row in enumerate(watched):
        agree(batch.moments[row], again.moments[place], f"row {row} in a batch of {len(watched)}")
    row = watched[0]
    wanted = batch.moments[row][:REPLAYED]
    alone = play_alone(world, batch.seeds[row], batch.actions[row], len(wanted))
    agree(wanted, alone, f"row {row} alone")


def agree(moments: list[Moment], others: list[Moment], whose: str) -> None:
    """Raise AssertionError where moments differ."""
    assert len(moments) == len(others), f"{whose}: {len(others)} moments, not {len(moments)}"
    for number, pair in enumerate(zip(moments, others, strict=True)):
        different: list[Any] = [name for name in ("paid", "done", "seen") if _differ(name, *pair)]
        assert not different, f"{whose}: moment {number} differs in {', '.join(different)}"


def _differ(name: str, one: Moment, other: Moment) -> bool:
    return bool(getattr(one, name) != getattr(other, name))
