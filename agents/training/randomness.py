"""The global generators of torch and NumPy, borrowed by a training and given back as they were."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

__all__ = ["Randomness", "number"]


class Randomness:
    """States of the global generators of torch and NumPy, for one training's own use."""

    def __init__(self, for_torch: int, for_numpy: int) -> None:
        with self._given_back():
            torch.manual_seed(for_torch)
            np.random.seed(for_numpy)  # noqa: NPY002  Tianshou knows no other
            self.state = self._now()

    @contextmanager
    def borrowed(self) -> Iterator[None]:
        """Have the generators go on from where this training left them."""
        with self._given_back():
            _set(self.state)
            try:
                yield
            finally:
                self.state = self._now()

    @contextmanager
    def _given_back(self) -> Iterator[None]:
        before = self._now()
        try:
            yield
        finally:
            _set(before)

    @staticmethod
    def _now() -> dict[str, Any]:
        kind, keys, *numbers = np.random.get_state()  # noqa: NPY002
        return {"torch": torch.get_rng_state(), "numpy": [kind, keys, *numbers]}


def _set(state: dict[str, Any]) -> None:
    torch.set_rng_state(state["torch"])
    np.random.set_state(tuple(state["numpy"]))  # noqa: NPY002


def number(sequence: np.random.SeedSequence) -> int:
    """Return a seed for a generator that takes a whole number."""
    return int(sequence.generate_state(1)[0])
