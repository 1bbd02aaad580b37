"""Makes this folder's fixtures from the traces recorded from the published environments.

    python -m tests.golden.make_golden FOLDER

``FOLDER`` holds the recorded traces (``paper_*.npz``, ``agod_*.npz``, in the published format that
``traces.py`` lists) and the heuristics' results (``heuristics_{paper,agod}_world0.json``). Written
are

* one compact trace per recorded one: the observations, most of a file, become the free capacities
  they were made from and a hash (it is checked here that they come back bit for bit);
* ``published_heuristics.json``: per tier and policy the 20 returns and the mean and standard
  deviation of each statistic.

The same input gives the same bytes.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from tests.golden.traces import (
    FOLDER,
    HEURISTICS,
    digest,
    law_of,
    rebuild_observations,
    tier_of,
    to_project_order,
)

POLICIES = {
    "random": "random",
    "round_robin": "round-robin",
    "crash_avoid": "crash-avoid",
    "x_crash_avoid_best_service": "crash-avoid-best",
    "prophet": "prophet",
}
FIRST_WORKLOAD_SEED = 5000


def compact(source: Path, target: Path) -> None:
    """Write the compact form of one recorded trace."""
    with np.load(source) as file:
        arrays = {name: file[name] for name in file.files}
    tier = tier_of(str(arrays["kind"]))
    published = arrays.pop("obs")
    recorded = to_project_order(published, tier)
    final = to_project_order(arrays["final_obs"], tier)

    num_servers = len(arrays["cap"])
    free_share = recorded[:, -2 * num_servers :].reshape(-1, num_servers, 2)[..., 1]
    arrays["available"] = np.rint(free_share * arrays["cap"]).astype(np.int16)
    if not np.array_equal(rebuild_observations(arrays, law_of(tier)), recorded):
        raise ValueError(f"{source}: the observations do not follow from the free capacities")
    arrays["obs_sha256"] = np.array(digest(np.vstack([recorded, final]).astype(np.float32)))
    np.savez_compressed(target, **arrays)


def summarise(source: Path) -> dict[str, Any]:
    """Returns and statistics of one tier's 20 episodes, per policy."""
    results = json.loads(source.read_text("utf-8"))
    policies = {}
    for name, agent in POLICIES.items():
        statistics = {
            key: {"mean": mean, "std": std}
            for key, (mean, std) in results[name]["mean_std"].items()
        }
        policies[agent] = {"returns": results[name]["returns"], "statistics": statistics}
    return {"first_workload_seed": FIRST_WORKLOAD_SEED, "policies": policies}


def main() -> None:
    """Make all fixtures from the folder given on the command line."""
    parser = argparse.ArgumentParser(description="Make the golden fixtures.")
    parser.add_argument("folder", type=Path, help="folder of the recorded traces")
    folder: Path = parser.parse_args().folder
    sources = [path for path in sorted(folder.glob("*.npz")) if "world" not in path.stem]
    if not sources:
        parser.error(f"{folder} holds no recorded traces (*.npz)")
    for source in sources:
        compact(source, FOLDER / source.name)
    tiers = {
        tier: summarise(folder / f"heuristics_{tier}_world0.json") for tier in ("paper", "agod")
    }
    HEURISTICS.write_text(json.dumps(tiers, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
