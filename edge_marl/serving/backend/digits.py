"""Sheets of handwritten digits, made by diffusion: steps of all tasks of a model in one batch."""

from __future__ import annotations

import base64
import io
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from edge_marl.serving.backend.denoiser import CLASSES, MODELS, PIXELS, load, noise
from edge_marl.serving.backend.kind import MOST_STEPS, Asked, Task, whole

__all__ = ["Digits", "Made"]

IMAGES, OWN = "/v1/images/generations", "/v1/tasks"
MOST_SHEETS = 64
Sheet = npt.NDArray[np.float32]
"""(tiles, 64), from -1 to 1."""


@dataclass(frozen=True)
class _Sheets:
    """What a request asks for."""

    digit: int
    count: int
    """Made one after the other."""
    seed: int | None


@dataclass
class _State:
    """Of a task: the sheet that is made, and those that are."""

    rng: np.random.Generator
    sheet: Sheet
    made: list[Sheet] = field(default_factory=list)


@dataclass(frozen=True)
class Made:
    """What came of a task."""

    sheets: list[Sheet]
    quality: float
    """Share of the digits that show what was asked for."""


class Digits:
    """The kind of the paper's servers: denoising steps, and quality that rises with them.

    Args:
        tiles: digits on a sheet.
    """

    models: Sequence[str] = tuple(MODELS)
    paths: Sequence[str] = (IMAGES, OWN)
    slack_mib = 8  # a task of no more steps may just fit
    small: Mapping[str, Any] = {"steps": 1}

    def __init__(self, tiles: int) -> None:
        self._tiles = tiles
        self._models, self._judge = load()
        _png(np.zeros((tiles, PIXELS), dtype=np.float32))  # what this takes for good is there

    def asked(self, path: str, body: Mapping[str, Any]) -> Asked:
        """Return how many sheets of which digit: the first one of a prompt, or a task's type.

        Raises:
            WrongRequestError: what is wrong with it.
        """
        seed = abs(body["seed"]) if isinstance(body.get("seed"), int) else None
        if path == OWN:
            digit = body.get("type", 0)
            digit = digit % CLASSES if isinstance(digit, int) else 0
            return Asked(whole(body, "steps", 20, MOST_STEPS), _Sheets(digit, 1, seed))
        found = re.search(r"\d", str(body.get("prompt", "")))
        count = whole(body, "n", 1, MOST_SHEETS)
        steps = whole(body, "steps", 20, MOST_STEPS) * count
        return Asked(steps, _Sheets(int(found[0]) if found else 0, count, seed))

    def begin(self, task: Task) -> None:
        """Begin with noise."""
        rng = np.random.default_rng(task.asked.what.seed)
        task.state = _State(rng, noise(rng, self._tiles))
        task.until = self._each(task) * task.asked.what.count

    def step(self, model: str, tasks: Sequence[Task]) -> None:
        """Do a denoising step of all of them in one batch."""
        each = [self._each(task) for task in tasks]
        at = np.array([[task.at % steps, steps] for task, steps in zip(tasks, each, strict=True)])
        digits = np.array([task.asked.what.digit for task in tasks])
        moved = self._models[model].step(
            np.concatenate([task.state.sheet for task in tasks]),
            at.repeat(self._tiles, axis=0),
            digits.repeat(self._tiles),
            np.concatenate([noise(task.state.rng, self._tiles) for task in tasks]),
        )
        for task, sheet in zip(tasks, np.split(moved, len(tasks)), strict=True):
            task.state.sheet = sheet
            if (task.at + 1) % self._each(task) == 0:
                task.state.made.append(sheet)
                task.state.sheet = noise(task.state.rng, self._tiles)

    def made(self, task: Task) -> Made:
        """Return the sheets, and what the judge says of them."""
        sheets = task.state.made
        return Made(sheets, self._judge.share(np.concatenate(sheets), task.asked.what.digit))

    def answer(self, path: str, asked: Asked, made: Made) -> dict[str, Any]:
        """Return the quality, and to who asked for images the sheets as pictures."""
        told = {"quality": made.quality, "steps": asked.steps}
        if path == OWN:
            return told
        data = [{"b64_json": _png(sheet)} for sheet in made.sheets]
        return {"created": int(time.time()), "data": data} | told

    def _each(self, task: Task) -> int:
        """Return the steps of a sheet."""
        return max(1, task.asked.steps // int(task.asked.what.count))


def _png(sheet: Sheet) -> str:
    """Return a sheet of digits as a picture, eight in a row."""
    rows = np.clip((sheet + 1) * 127.5, 0, 255).astype(np.uint8).reshape(-1, 8, 8)
    rows = np.concatenate([rows, np.zeros((-len(rows) % 8, 8, 8), np.uint8)])
    picture = rows.reshape(-1, 8, 8, 8).transpose(0, 2, 1, 3).reshape(-1, 64)
    target = io.BytesIO()
    Image.fromarray(picture).save(target, "png")
    return base64.b64encode(target.getvalue()).decode()
