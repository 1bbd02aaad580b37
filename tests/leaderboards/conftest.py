"""What tests of verification share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from edge_marl import draw_workload, load_scenario
from edge_marl.errors import SubmissionError
from edge_marl.leaderboards.policies.sandbox import usable_sandbox
from edge_marl.leaderboards.submission.chain import Moment, play_episodes
from tests.worlds import forging

SMOKE = load_scenario("smoke")
WORKLOADS = [draw_workload(SMOKE, k, split="test") for k in range(100)]


@pytest.fixture(scope="session")
def bwrap() -> None:
    """Skip where bubblewrap does not work; `.ci/run` installs it."""
    try:
        usable_sandbox("bwrap")
    except SubmissionError as error:
        pytest.skip(str(error))


def first_server(moment: Moment) -> npt.NDArray[np.int64]:
    """Choose action 0."""
    return np.zeros(len(moment.going), np.int64)


@pytest.fixture(scope="session")
def played(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Return how a submission of somebody's own code is made, of episodes that were played."""

    def make(code: str, choose: Callable[[Moment], npt.NDArray[np.int64]] = first_server) -> Path:
        episodes = play_episodes(SMOKE, WORKLOADS, choose)
        root = tmp_path_factory.mktemp("submissions")
        return forging.with_episodes(forging.copy_of_good(root), episodes, code)

    return make
