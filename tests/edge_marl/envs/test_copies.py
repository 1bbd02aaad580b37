"""Copies that batches hand out: the taker's own, whoever holds them and however."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from edge_marl import EdgeAIGCRows, EdgeAIGCVectorEnv
from edge_marl.envs.copies import MOST, Copies


def address(array: np.ndarray) -> int:
    return int(array.__array_interface__["data"][0])


def test_memory_that_nobody_holds_is_used_again() -> None:
    copies, source = Copies(), np.arange(5.0)
    first = address(copies.of(source))
    assert address(copies.of(source)) == first


@pytest.mark.parametrize(
    "hold",
    [
        lambda copy: copy,
        lambda copy: copy[1:],
        lambda copy: copy.reshape(5, 1).T,
        lambda copy: memoryview(copy),
        lambda copy: torch.from_numpy(copy),
        lambda copy: torch.from_numpy(copy)[2:],
        lambda copy: {"deep": [copy]},
        lambda copy: iter(copy),
    ],
)
def test_what_is_held_stays(hold: Callable[[np.ndarray], Any]) -> None:
    copies = Copies()
    held = [hold(copies.of(np.full(5, float(k)))) for k in range(3 * MOST)]
    for k, one in enumerate(held):
        values = one["deep"][0] if isinstance(one, dict) else one
        assert {float(value) for value in np.array(list(values)).ravel()} == {float(k)}


def test_another_shape_is_no_reason_to_fail() -> None:
    copies = Copies()
    assert copies.of(np.zeros(3)).shape == (3,)
    assert copies.of(np.zeros((2, 2))).shape == (2, 2)


@pytest.mark.parametrize("make", [EdgeAIGCVectorEnv, EdgeAIGCRows])
def test_what_a_batch_returned_stays(make: type) -> None:
    env = make(3, scenario="smoke")
    seen, infos = env.reset(seed=0)
    history = [(seen, seen.copy(), infos["action_mask"], infos["action_mask"].copy())]
    shape = 3 if make is EdgeAIGCVectorEnv else (3, env.num_gateways)
    for _ in range(3 * MOST):
        seen, _, _, _, infos = env.step(np.zeros(shape, np.int64))
        history.append((seen, seen.copy(), infos["action_mask"], infos["action_mask"].copy()))
    for seen, then, mask, mask_then in history:
        np.testing.assert_array_equal(seen, then)
        np.testing.assert_array_equal(mask, mask_then)
