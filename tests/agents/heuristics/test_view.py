"""The compiled passes over places against a plain form of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings

from edge_marl.agents.heuristics.known import Known
from edge_marl.agents.heuristics.view import View
from edge_marl.envs import EdgeAIGCVectorEnv
from edge_marl.scenario import Scenario, load_scenario
from tests.agents.heuristics.plain_view import Place, PlainView
from tests.worlds.every_part import TERMS, world
from tests.worlds.extended_episode import ExtendedEpisode
from tests.worlds.extended_strategies import episodes

ROWS = 4

Shown = tuple[npt.NDArray[np.float32], npt.NDArray[Any]]


def shown(scenario: Scenario, decisions: int) -> list[Shown]:
    """What random play sees, and the same with some of it replaced and less that is legal."""
    envs = EdgeAIGCVectorEnv(ROWS, scenario=scenario.on_events())
    generator = np.random.default_rng(0)
    seen, info = envs.reset(seed=0)
    found = []
    for _ in range(decisions):
        mask = info["action_mask"].copy()
        found.append((seen.copy(), mask))
        drawn = generator.random(seen.shape, dtype=np.float32)
        mixed = np.where(generator.random(seen.shape) < 0.2, drawn, seen)
        found.append((mixed, mask * (generator.random(mask.shape) < 0.6)))
        seen, *_, info = envs.step((generator.random(mask.shape) * mask).argmax(1))
    return found


def check(scenario: Scenario, seen: npt.NDArray[np.float32], mask: npt.NDArray[Any]) -> None:
    """Every number of every place is the plain form's, to the last bit."""
    known = Known(scenario)
    view = View(known, seen, {"action_mask": mask})
    reserve = known.of_room[-1]
    for row in range(len(seen)):
        plain = PlainView(scenario, reserve, seen[row], mask[row].astype(np.bool_))
        levels = len(plain.levels)
        places = [
            [
                plain.place(server, service, level)
                for service in range(plain.services)
                for level in range(levels)
            ]
            for server in plain.servers
        ]
        for k, name in enumerate(Place._fields):
            expected = np.array([[place[k] for place in line] for line in places])
            np.testing.assert_array_equal(getattr(view, name)[row], expected, err_msg=name)
        np.testing.assert_array_equal(view.least_bad[row], plain.least_bad())
        first = next(
            (found for found in (view.safe[row], view.fits[row]) if found.any()),
            view.least_bad[row],
        )
        np.testing.assert_array_equal(view.candidates[row], first)


@given(episodes())
@settings(max_examples=40, deadline=None)
def test_places_of_random_scenarios(episode: ExtendedEpisode) -> None:
    for seen, mask in shown(episode.scenario, 4):
        check(episode.scenario, seen, mask)


@pytest.mark.parametrize("changes", [{}, TERMS])
def test_places_where_every_part_is_on(changes: dict[str, Any]) -> None:
    for seen, mask in shown(world(**changes), 25):
        check(world(**changes), seen, mask)


def test_room_in_the_base_model() -> None:
    scenario = load_scenario("smoke")
    for seen, mask in shown(scenario, 20):
        view = View(Known(scenario), seen, {"action_mask": mask})
        enough = view.free[..., None] >= view.demand[:, None, None]
        np.testing.assert_array_equal(view.fits, view.legal & enough)
        np.testing.assert_array_equal(view.safe, view.fits)


def test_what_is_seen_may_lie_anywhere_in_memory() -> None:
    scenario = world(**TERMS)
    seen, mask = shown(scenario, 10)[-1]
    kept = seen.copy()
    kept.flags.writeable = False
    known = Known(scenario)
    expected = View(known, seen, {"action_mask": mask})
    for other in (kept, np.asfortranarray(seen), np.repeat(seen, 2, axis=0)[::2]):
        view = View(known, other, {"action_mask": np.asfortranarray(mask)})
        np.testing.assert_array_equal(view.candidates, expected.candidates)
        np.testing.assert_array_equal(view.value, expected.value)
