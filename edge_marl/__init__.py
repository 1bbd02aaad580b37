"""edge-marl: orchestrating AI-generated-content services on edge servers, as a benchmark.

Importing the package registers `EdgeAIGC-v0` with Gymnasium and `edge_aigc/orchestration-v0` with
PettingZoo. Everything else is loaded when it is first used, so that the import stays quick and
brings in neither compiler nor learning library.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import gymnasium
import pettingzoo

from edge_marl._version import __version__

if TYPE_CHECKING:
    from edge_marl import edge_aigc_v0
    from edge_marl.benchmarks.calls import compare, evaluate, train
    from edge_marl.draw import draw_workload
    from edge_marl.envs import (
        COSTS,
        REWARD_PARTS,
        EdgeAIGCAECEnv,
        EdgeAIGCEnv,
        EdgeAIGCParallelEnv,
        EdgeAIGCRows,
        EdgeAIGCVectorEnv,
    )
    from edge_marl.errors import EdgeMarlError
    from edge_marl.layout import ObservationLayout
    from edge_marl.metrics import METRICS, episode_metrics
    from edge_marl.scenario import Scenario, list_games, list_tiers, load_scenario, test_sets
    from edge_marl.simulator import EpisodeLog, Simulator
    from edge_marl.workload import Workload, load_workload
    from edge_marl.workload.topology import Topology, draw_topology

__all__ = [
    "COSTS",
    "METRICS",
    "REWARD_PARTS",
    "EdgeAIGCAECEnv",
    "EdgeAIGCEnv",
    "EdgeAIGCParallelEnv",
    "EdgeAIGCRows",
    "EdgeAIGCVectorEnv",
    "EdgeMarlError",
    "EpisodeLog",
    "ObservationLayout",
    "Scenario",
    "Simulator",
    "Topology",
    "Workload",
    "__version__",
    "compare",
    "draw_topology",
    "draw_workload",
    "edge_aigc_v0",
    "episode_metrics",
    "evaluate",
    "list_games",
    "list_tiers",
    "load_scenario",
    "load_workload",
    "test_sets",
    "train",
]

_HOME = {
    "COSTS": "envs",
    "METRICS": "metrics",
    "REWARD_PARTS": "envs",
    "EdgeAIGCAECEnv": "envs",
    "EdgeAIGCEnv": "envs",
    "EdgeAIGCParallelEnv": "envs",
    "EdgeAIGCRows": "envs",
    "EdgeAIGCVectorEnv": "envs",
    "EdgeMarlError": "errors",
    "EpisodeLog": "simulator",
    "ObservationLayout": "layout",
    "Scenario": "scenario",
    "Simulator": "simulator",
    "Topology": "workload.topology",
    "Workload": "workload",
    "compare": "benchmarks.calls",
    "draw_topology": "workload.topology",
    "draw_workload": "draw",
    "episode_metrics": "metrics",
    "evaluate": "benchmarks.calls",
    "list_games": "scenario",
    "list_tiers": "scenario",
    "load_scenario": "scenario",
    "load_workload": "workload",
    "test_sets": "scenario",
    "train": "benchmarks.calls",
}
"""Module of each public name."""


def __getattr__(name: str) -> Any:
    """Load a public name from its module when it is first asked for (PEP 562)."""
    if name == "edge_aigc_v0":
        return import_module("edge_marl.edge_aigc_v0")
    if name not in _HOME:
        raise AttributeError(f"module 'edge_marl' has no attribute '{name}'")
    value = getattr(import_module(f"edge_marl.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__


# The environment checks its calls itself, with better messages: Gymnasium's wrappers for that are
# off by default (`gym.make(..., disable_env_checker=False)` brings them back).
gymnasium.register(
    id="EdgeAIGC-v0",
    entry_point="edge_marl.envs.single:EdgeAIGCEnv",
    vector_entry_point="edge_marl.envs.vector:EdgeAIGCVectorEnv",
    order_enforce=False,
    disable_env_checker=True,
)
if hasattr(pettingzoo, "register"):  # from PettingZoo 1.27 on
    pettingzoo.register(
        "parallel", "edge_aigc/orchestration-v0", "edge_marl.envs.parallel:EdgeAIGCParallelEnv"
    )
    pettingzoo.register("aec", "edge_aigc/orchestration-v0", "edge_marl.envs.aec:EdgeAIGCAECEnv")
