"""The models of the testbed: diffusion of handwritten digits in NumPy, and a judge of them.

Ancestral steps (Ho et al., NeurIPS 2020, arXiv 2006.11239) along a cosine schedule (Nichol and
Dhariwal, ICML 2021, arXiv 2102.09672) on pictures of 8 x 8, of a class that is asked for. Any
number of steps goes; fewer give worse digits. `train.py` made the weights.
"""

from __future__ import annotations

import io
import math
from functools import lru_cache
from importlib import resources
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = [
    "CLASSES",
    "MODELS",
    "PIXELS",
    "Judge",
    "Model",
    "clean_share",
    "features_of",
    "load",
    "noise",
    "quality_of",
]

Array = npt.NDArray[np.float32]
Floats = npt.NDArray[np.floating[Any]]
Whole = npt.NDArray[np.int64]

MODELS = {"digits-small": 80, "digits-large": 256}
"""Names of the models, and the width of their layers."""

PIXELS, CLASSES, FREQUENCIES = 64, 10, 8
JUDGE_WIDTH = 64
OFFSET = 0.008
"""Of the cosine schedule."""
FIRST = 0.99
"""Time that a picture begins at, where all is noise; its last step goes to 0."""


def clean_share(times: Floats) -> Array:
    """Return the picture's share of the variance, (B, 1), at times from 0, all picture, to 1."""
    angles = (times[:, None] + OFFSET) / (1 + OFFSET) * (np.pi / 2)
    most = math.cos(OFFSET / (1 + OFFSET) * math.pi / 2) ** 2
    share: Array = np.minimum(np.cos(angles) ** 2 / most, 1.0).astype(np.float32)
    return share


def features_of(times: Floats) -> Array:
    """Return what the network is told of times, (B,) -> (B, 2 * FREQUENCIES)."""
    angles = times[:, None] * np.pi * 2.0 ** np.arange(FREQUENCIES)
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=1).astype(np.float32)


class Model:
    """One of `MODELS`, ready to run.

    Args:
        weights: of its three layers.
    """

    def __init__(self, weights: list[tuple[Array, Array]]) -> None:
        self._weights = weights

    def step(self, pictures: Array, at: Whole, classes: Whole, fresh: Array) -> Array:
        """Return pictures after one denoising step.

        Args:
            pictures: (B, 64), noise at first.
            at: (B, 2) which step of how many this is for each, from 0.
            classes: (B,) digit that each is to show.
            fresh: (B, 64) noise of which each takes as much as it loses.
        """
        now = FIRST * (1 - at[:, 0] / at[:, 1])
        then = FIRST * (1 - (at[:, 0] + 1) / at[:, 1])
        told = [pictures, features_of(now), np.eye(CLASSES, dtype=np.float32)[classes]]
        found = _run(self._weights, np.concatenate(told, axis=1))
        share, next_share = clean_share(now), clean_share(then)
        clean = (pictures - np.sqrt(1 - share) * found) / np.sqrt(share)
        clean = np.clip(clean, -1, 1)
        rest = (pictures - np.sqrt(share) * clean) / np.sqrt(1 - share)
        drawn = (1 - next_share) / (1 - share) * (1 - share / next_share)
        kept = np.sqrt(np.maximum(1 - next_share - drawn, 0)) * rest
        moved = np.sqrt(next_share) * clean + kept + np.sqrt(drawn) * fresh
        after: Array = moved.astype(np.float32)
        return after


def noise(rng: np.random.Generator, count: int) -> Array:
    """Return noise, (count, 64)."""
    return rng.standard_normal((count, PIXELS), dtype=np.float32)


class Judge:
    """A classifier of digits that never saw a made one."""

    def __init__(self, weights: list[tuple[Array, Array]]) -> None:
        self._weights = weights

    def share(self, pictures: Array, digit: int) -> float:
        """Return the share of pictures, (B, 64), that show a digit to it: the quality."""
        return float((_run(self._weights, pictures).argmax(axis=1) == digit).mean())


def quality_of(name: str, steps: int, each: int = 64) -> float:
    """Return the share of made digits that show what they are to show, over all ten.

    Args:
        name: of a model.
        steps: denoising steps.
        each: how many are made of each digit.
    """
    models, judge = load()
    shares = []
    for digit in range(CLASSES):
        rng, asked = np.random.default_rng(digit), np.full(each, digit)
        pictures = noise(rng, each)
        for at in range(steps):
            now = np.array([[at, steps]] * each)
            pictures = models[name].step(pictures, now, asked, noise(rng, each))
        shares.append(judge.share(pictures, digit))
    return sum(shares) / len(shares)


def _run(weights: list[tuple[Array, Array]], seen: Array) -> Array:
    """Run layers with x * sigmoid(x) between them."""
    for matrix, bias in weights[:-1]:
        seen = seen @ matrix + bias
        seen = seen / (1 + np.exp(-seen))
    matrix, bias = weights[-1]
    return seen @ matrix + bias


@lru_cache(maxsize=1)
def load() -> tuple[dict[str, Model], Judge]:
    """Return the models by name, and the judge, from the weights that are shipped."""
    content = resources.files("edge_marl.serving.backend").joinpath("digits.npz").read_bytes()
    with np.load(io.BytesIO(content)) as arrays:
        layers = {
            name: [
                (arrays[f"{name}/{layer}/w"].astype(np.float32), arrays[f"{name}/{layer}/b"])
                for layer in range(3 if name in MODELS else 2)
            ]
            for name in (*MODELS, "judge")
        }
    return {name: Model(layers[name]) for name in MODELS}, Judge(layers["judge"])
