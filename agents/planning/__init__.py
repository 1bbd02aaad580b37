"""Operations research beside learning: a fitted value function, and play-outs of candidates.

Importing it registers them.
"""

from edge_marl.agents.planning import rollout, trainers

__all__ = ["rollout", "trainers"]
