"""The environments: Gymnasium's single and vector API on one simulator."""

from edge_marl.envs.single import EdgeAIGCEnv
from edge_marl.envs.vector import EdgeAIGCVectorEnv

__all__ = ["EdgeAIGCEnv", "EdgeAIGCVectorEnv"]
