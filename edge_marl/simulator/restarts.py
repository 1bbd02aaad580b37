"""What the next episodes of rows are made of, for compiled code and for Python."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numba
import numpy as np

from edge_marl.scenario import Scenario
from edge_marl.simulator import rows
from edge_marl.workload.draft import Draft
from edge_marl.workload.parts import SPLITS
from edge_marl.workload.recipe import Recipe, draw, recipe_of
from edge_marl.workload.sampling import Streams

__all__ = ["Restarts"]

LARGEST = 2**63 - 1
"""Largest seed that compiled code knows."""


class Restarts:
    """The seed of each row, which of its episodes comes next, and room to draw it.

    Args:
        scenario: of the episodes.
        num_envs: number of rows E.
        game: whether gateways play.
    """

    def __init__(self, scenario: Scenario, num_envs: int, game: bool) -> None:
        self._scenario, self._game = scenario, game
        self.model = scenario.model
        """Which of the models that have compiled code of their own is on."""
        self._drafts: list[Draft] = []
        self._large: dict[int, int] = {}
        """Seeds that do not fit into the array."""
        self._seeds = np.zeros(num_envs, dtype=np.int64)
        self.episodes = np.zeros(num_envs, dtype=np.int64)
        """(E,) which episode of its seed each row plays next."""
        self._set_words()

    def _set_words(self) -> None:
        """Set the words that compiled code reads (`rows.py`)."""
        self._words = np.zeros(rows.SOURCE_WORDS, dtype=np.int64)
        self._of_threads = np.array([draft.address for draft in self._drafts], dtype=np.int64)
        arrays = {
            rows.SEEDS: self._seeds,
            rows.EPISODES: self.episodes,
            rows.DRAFTS: self._of_threads,
        }
        for word, array in arrays.items():
            self._words[word] = array.ctypes.data

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what is bound to this object's memory, for copies and pickles."""
        bound = ("_words", "_of_threads")
        return {name: value for name, value in self.__dict__.items() if name not in bound}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Bind a copy to its own memory."""
        self.__dict__.update(state)
        self._set_words()

    @cached_property
    def _recipe(self) -> Recipe:
        """Made at need: who plays given workloads does not wait until drawing is compiled."""
        return recipe_of(self._scenario)

    @cached_property
    def _draft(self) -> Draft:
        """Where Python draws."""
        return Draft(self._scenario)

    @property
    def drawn(self) -> bool:
        """Whether episodes are drawn; those of recordings are not."""
        return self._scenario.replay is None

    def source(self, num_threads: int) -> int:
        """Return the address of what so many threads begin episodes from; 0 if they cannot."""
        if numba.config.DISABLE_JIT or not self.drawn:
            return 0
        while len(self._drafts) < num_threads:
            self._drafts.append(Draft(self._scenario))
        begin = rows.c_begin(self._game, self.model)
        self._set_words()
        self._words[rows.RECIPE] = self._recipe.address
        self._words[rows.NEXT] = rows.address_of_next()
        self._words[rows.BEGIN] = begin.address
        return int(self._words.ctypes.data)

    def seed(self, row: int) -> int:
        """Return the seed of a row."""
        return self._large.get(row, int(self._seeds[row]))

    def reseed(self, row: int, seed: int) -> None:
        """Have a row play the episodes of a seed, from the first one on."""
        self._large.pop(row, None)
        if seed > LARGEST:
            self._large[row] = seed
        self._seeds[row] = -1 if seed > LARGEST else seed
        self.episodes[row] = 0

    def next_episode(self, row: int) -> Draft:
        """Return the next episode of a row, drawn: until the next call."""
        streams = Streams(self.seed(row), SPLITS["train"], int(self.episodes[row]))
        draw(self._recipe, self._draft, streams)
        return self._draft
