"""Times are whole numbers, rounded up as integer division would: floats only make it faster."""

from __future__ import annotations

import numpy as np
import pytest

from edge_marl.kernel.network import slowed, thousandths
from edge_marl.scenario.section import MAX_STAGES, MAX_TIME_MS

MOST = MAX_TIME_MS // MAX_STAGES * 1000
"""Thousandths: `Workload.check_fits` lets no stage take longer."""


def rounded_up(amount: int) -> int:
    return -(-amount // 1000)


@pytest.mark.parametrize("near", [0, 10**6, 2**31, 2**32, 10**12, 2**50, MOST - 3000])
def test_thousandths_are_rounded_up(near: int) -> None:
    for amount in range(near, near + 3001):
        assert thousandths(float(amount)) == rounded_up(amount), amount


def test_thousandths_of_any_size_are_rounded_up() -> None:
    rng = np.random.default_rng(0)
    exponents = rng.uniform(0, np.log2(MOST), 20_000)
    for amount in (2.0**exponents).astype(np.int64).tolist():
        for close in (amount, amount // 1000 * 1000, amount // 1000 * 1000 + 1):
            assert thousandths(float(close)) == rounded_up(close), close


def test_a_run_is_slowed_exactly() -> None:
    assert slowed(1000.0, 1001) == 1001
    assert slowed(1.0, 1) == 1
    assert slowed(87_040.0, 0) == 0  # what is not hosted
    assert slowed(float(MOST // 10**9), 10**9) == MOST // 10**9 * 10**6
