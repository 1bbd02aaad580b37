"""Reads the compact traces of this folder.

A trace file has the published trace format (arrays ``cap``, ``base``, ``coef``, ``arrival``,
``ttype``, ``t``, ``action``, ``reward``, ``running``, ``crashes``, ``terminated``, ``final_obs``,
``server_crashes``, ``final_counts``), with two arrays in place of the observations ``obs``:

* ``available`` (N-1, S): free capacity before each decision; observations are rebuilt from it;
* ``obs_sha256``: SHA-256 of the recorded observations in this project's order, as float32, the
  final one included, which shows that what is rebuilt is what was recorded.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tests.oracle.published_draw import AGOD, PAPER, PublishedLaw

if TYPE_CHECKING:
    from numpy.typing import NDArray

FOLDER = Path(__file__).parent
TRACES = sorted(FOLDER.glob("*.npz"))
HEURISTICS = FOLDER / "published_heuristics.json"


@dataclass(frozen=True)
class GoldenTrace:
    """One recorded episode of N tasks, N-1 of them dispatched."""

    path: Path
    tier: str
    policy: str
    topology_seed: int
    workload_seed: int
    arrays: dict[str, NDArray[Any]]
    observations: NDArray[np.float32]  # (N, D), task first, then servers

    @property
    def law(self) -> PublishedLaw:
        """The published environment's constants."""
        return law_of(self.tier)


def tier_of(kind: str) -> str:
    """The project's tier for the ``kind`` that a trace states."""
    return "paper" if kind == "seed" else "agod"


def law_of(tier: str) -> PublishedLaw:
    """Constants of the published environment behind a tier."""
    return PAPER if tier == "paper" else AGOD


def load_trace(path: Path) -> GoldenTrace:
    """Read one trace and rebuild its observations, checked against the recorded hash."""
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    tier = tier_of(str(arrays["kind"]))
    rebuilt = rebuild_observations(arrays, law_of(tier))
    final = to_project_order(arrays["final_obs"], tier)
    observations = np.vstack([rebuilt, final]).astype(np.float32)
    if digest(observations) != str(arrays["obs_sha256"]):
        raise ValueError(f"{path}: the rebuilt observations are not the recorded ones")
    return GoldenTrace(
        path=path,
        tier=tier,
        policy=str(arrays["policy"]),
        topology_seed=int(arrays["topology_seed"]),
        workload_seed=int(arrays["workload_seed"]),
        arrays=arrays,
        observations=observations,
    )


def to_project_order(obs: NDArray[np.float64], tier: str) -> NDArray[np.float64]:
    """Published observations (..., D) in this project's order: task first, no constant column."""
    if tier == "agod":  # servers first
        return np.concatenate([obs[..., -2:], obs[..., :-2]], axis=-1)
    constant = range(6 + 2, obs.shape[-1], 3)  # the third number of every server
    return np.delete(obs, constant, axis=-1)


def rebuild_observations(arrays: dict[str, NDArray[Any]], law: PublishedLaw) -> NDArray[np.float64]:
    """Observations (N-1, D) before each decision, from the tasks and the free capacities."""
    t = arrays["t"][:-1]
    run_time = (0.001 * t**2 + 2.5 * t - 14) * 60
    max_t = law.demand[-1]
    max_run_time = (0.001 * max_t**2 + 2.5 * max_t - 14) * 60
    task = [t / max_t, run_time / max_run_time]
    if law.num_types:
        types = arrays["ttype"][:-1, None] == np.arange(law.num_types)
        task = [*types.T.astype(np.float64), *task]
    cap, available = arrays["cap"], arrays["available"]
    servers = np.stack(np.broadcast_arrays(cap / law.capacity[-1], available / cap), axis=-1)
    return np.hstack([np.stack(task, axis=-1), servers.reshape(len(t), -1)])


def digest(observations: NDArray[np.float32]) -> str:
    """SHA-256 of observations (N, D) as little-endian float32, row by row."""
    return hashlib.sha256(observations.astype("<f4").tobytes()).hexdigest()
