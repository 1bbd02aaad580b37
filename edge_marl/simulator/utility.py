"""What each place would pay: the simulator's own utility, for heuristics and for the bound."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from edge_marl.simulator.compiled import compiled, task_utility
from edge_marl.simulator.packing import pack_services
from edge_marl.workload.topology import Topology

__all__ = ["task_utilities"]


def task_utilities(
    topology: Topology, task_type: npt.ArrayLike, demand: npt.ArrayLike
) -> npt.NDArray[np.float64]:
    """Return what each action pays for each task if its server has room, bit for bit.

    Args:
        topology: the servers and services.
        task_type: (n,) type of each task.
        demand: (n,) demand of each task in denoising steps.

    Returns:
        (n, S * V) utility.
    """
    kinds = np.asarray(task_type, dtype=np.int64)
    steps = np.asarray(demand, dtype=np.int64)
    table: npt.NDArray[np.float64] = _table(pack_services(topology)[None], kinds, steps)
    return table


@compiled
def _table(
    services: npt.NDArray[np.float64],
    task_type: npt.NDArray[np.int64],
    demand: npt.NDArray[np.int64],
) -> npt.NDArray[np.float64]:
    table = np.empty((len(task_type), services.shape[1]))
    for k in range(len(task_type)):
        for place in range(services.shape[1]):
            table[k, place] = task_utility(0, place, task_type[k], demand[k], services)
    return table
