"""The bound of extended scenarios: no way to play beats it, and it is not silly.

What is best is found by playing all action sequences of tiny episodes in the simulator.
"""

from __future__ import annotations

import numpy as np
import pytest

from edge_marl.bound import (
    extended_choices,
    extended_facts,
    extended_prices,
    extended_times,
    upper_bound,
)
from edge_marl.kernel.world import Floats, Ints
from edge_marl.workload import Workload
from edge_marl.workload.topology import Topology
from tests.edge_marl.bound.tiny_games import PARTS, TERMS, Tiny, best_return, check, parts_of

# ---------------------------------------------------------------- validity


@pytest.mark.parametrize("part", PARTS)
def test_no_action_sequence_beats_the_bound_with_one_part_on(part: str) -> None:
    for seed in range(10):
        check(seed, frozenset({part}))


@pytest.mark.parametrize("share", [0.25, 0.5])
def test_no_action_sequence_beats_the_bound_with_many_parts_on(share: float) -> None:
    for seed in range(100):
        check(seed, parts_of(seed, share) - TERMS)


@pytest.mark.parametrize("term", sorted(TERMS))
def test_no_way_to_play_beats_the_bound_with_terms_of_service(term: str) -> None:
    for seed in range(15):
        check(seed, parts_of(seed, (0.15, 0.3, 0.5)[seed % 3], term))


def test_any_prices_give_a_bound() -> None:
    """The certificate does not trust its prices: wild ones bound what is best, too."""
    rng = np.random.Generator(np.random.PCG64(0))
    for seed in range(20):
        parts = parts_of(seed, 0.4) - {"slots"}
        scenario, workload = Tiny(seed, parts).instance()
        facts = extended_facts.gather(scenario, workload)
        grid = extended_facts.lay_grid(facts)
        ready, rest = extended_times.least_times(facts)
        choices = extended_choices.list_choices(facts, grid, ready, rest)
        best = best_return(scenario, workload)
        taken = np.full((len(facts.tasks), 2), -1, dtype=np.int64)
        for scale in (1e-3, 1e-2, 0.1, 1.0):
            wild = rng.exponential(scale * extended_facts.UNIT, (len(facts.room), grid.blocks))
            prices = wild.astype(np.int64)
            anew = np.full(taken.shape, -1, dtype=np.int64)
            total, load = certify(facts, choices, ready, prices, anew)
            assert best <= total / extended_facts.UNIT + 1e-9
            again, held = certify(
                facts, choices, ready, prices, taken
            )  # from other prices' choices
            assert again == total
            assert (held == load).all()
            assert (taken == anew).all()


def certify(
    facts: extended_facts.Facts,
    choices: extended_choices.Choices,
    ready: Ints,
    prices: Ints,
    taken: Ints,
) -> tuple[int, Floats]:
    """The bound at given prices, and what its best choices would hold."""
    held = np.zeros((prices.shape[0], prices.shape[1] + 2), dtype=np.int64)
    load = np.zeros(held.shape)
    total = extended_prices._certificate(facts, choices, ready, prices, taken, held, load)
    return total, load


# ---------------------------------------------------------------- tightness

EXACT_PARTS = (
    *("classes", "cloud", "deadline", "decline", "levels", "neighbours", "network", "speeds"),
    "telemetry",
)


def best_and_bound(seed: int, parts: frozenset[str]) -> tuple[float, float]:
    """What is best of a tiny episode with room for all tasks, and its bound."""
    tiny = Tiny(seed, parts)
    scenario, workload = tiny.instance()
    servers = workload.topology.arrays() | {
        "capacity": np.full(tiny.servers, 50),
        "baseline": tiny.some([0.3, 1.0, 1.85], (tiny.servers, tiny.services, 1)),
    }
    rest = workload.tasks, workload.details, workload.outages, workload.weights
    roomy = Workload(Topology(**servers), *rest)
    return best_return(scenario, roomy), upper_bound(scenario, roomy).value


@pytest.mark.parametrize("seed", range(30))
def test_without_contention_it_is_what_is_best(seed: int) -> None:
    """Single stages, room for all of them, and nothing that fails or costs."""
    rng = np.random.Generator(np.random.PCG64(seed))
    best, value = best_and_bound(seed, frozenset(p for p in EXACT_PARTS if rng.random() < 0.5))
    assert best <= value <= best + 1e-5


@pytest.mark.parametrize("seed", range(10))
def test_where_nothing_has_to_wait_a_line_changes_little(seed: int) -> None:
    """Where a task may be late, its lateness is known to a part of a block only."""
    rng = np.random.Generator(np.random.PCG64(seed))
    parts = frozenset(p for p in EXACT_PARTS if rng.random() < 0.5) | {"queue"}
    best, value = best_and_bound(seed, parts)
    assert best <= value <= best * (1 + 1e-4) + 1e-5
