"""Learners of action values: `dqn`, `drqn`, `qrdqn`, `rainbow`.

Importing it registers them.
"""

from edge_marl.agents.value_based import trainers

__all__ = ["trainers"]
