"""What is in the error of a latency: run times that are shared, and by whom else."""

from __future__ import annotations

import numpy as np
import pytest

from edge_marl.benchmarks.measure.latency_residual import Run, factors_of, shared

A, B = (0, 0, 100), (50, 0, 100)
"""Requests of server 0: when it is sent, where, and its time alone (ms)."""
OTHER = (0, 1, 10)


def run_of(*requests: tuple[int, int, int], lost_at: int | None = None) -> Run:
    """Return requests that are sent 5 ms after they came; the first may be lost."""
    sent, server, alone = (np.array(one) for one in zip(*requests, strict=True))
    served = np.arange(len(requests)) > (-1 if lost_at is None else 0)
    ended = np.where(served, sent + 2.0 * alone, lost_at or 0)
    return Run(
        asked=sent - 5.0,
        sent=sent.astype(float),
        ended=ended,
        served=served,
        server=server,
        alone=alone.astype(float),
        growth=np.ones(len(requests)),
        simulated=ended,
    )


@pytest.mark.parametrize(
    ("run", "factors", "latency"),
    [
        (run_of(A), (1.0,), [105]),
        # Half of A is done when B comes, and half of B when A is over.
        (run_of(A, B), (1.0,), [155, 155]),
        (run_of(A, B, lost_at=80), (1.0,), [85, 120]),
        # Both servers at half their speed, until the other one is done after 20 ms.
        (run_of(A, OTHER), (1.0, 2.0), [115, 25]),
        (run_of(A, OTHER), (1.0,), [105, 15]),
    ],
)
def test_run_times_are_shared_as_they_go(
    run: Run, factors: tuple[float, ...], latency: list[float]
) -> None:
    assert shared(run, factors) == pytest.approx(latency)


def test_how_others_slow_a_server_is_of_requests_that_had_theirs_to_themselves() -> None:
    runs = [run_of(A), run_of(A, OTHER), run_of(A, B)]
    assert [one.tolist() for one in factors_of(runs)] == [[2.0], [2.0, 2.0]]
