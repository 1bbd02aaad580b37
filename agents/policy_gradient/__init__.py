"""Policy gradients: `ppo`, `a2c`, `reinforce`.

Importing it registers them.
"""

from edge_marl.agents.policy_gradient import settings

__all__ = ["settings"]
