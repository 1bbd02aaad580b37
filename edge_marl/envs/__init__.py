"""The environments: Gymnasium's single and vector API, PettingZoo's two, and rows."""

from edge_marl.envs.accounts import COSTS, REWARD_PARTS
from edge_marl.envs.aec import EdgeAIGCAECEnv
from edge_marl.envs.parallel import EdgeAIGCParallelEnv
from edge_marl.envs.rows import EdgeAIGCRows
from edge_marl.envs.single import EdgeAIGCEnv
from edge_marl.envs.vector import EdgeAIGCVectorEnv

__all__ = [
    "COSTS",
    "REWARD_PARTS",
    "EdgeAIGCAECEnv",
    "EdgeAIGCEnv",
    "EdgeAIGCParallelEnv",
    "EdgeAIGCRows",
    "EdgeAIGCVectorEnv",
]
