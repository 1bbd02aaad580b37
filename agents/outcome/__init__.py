"""`outcome`: what becomes of a decision's own task, learnt by regression.

Importing it registers it.
"""

from edge_marl.agents.outcome import trainers

__all__ = ["trainers"]
