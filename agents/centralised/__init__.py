"""Centralised training, decentralised execution: `vdn`, `qmix`, `mappo`.

Importing it registers them.
"""

from edge_marl.agents.centralised import trainers

__all__ = ["trainers"]
