"""Soft actor-critic: `sac` and `adsac`.

Importing it registers them.
"""

from edge_marl.agents.soft_actor_critic import trainers

__all__ = ["trainers"]
