"""Policy gradients: `ppo`, `a2c`, `reinforce`.

Importing it registers them.
"""

from edge_marl.agents.policy_gradient import trainers

__all__ = ["trainers"]
