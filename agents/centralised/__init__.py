"""Centralised training, decentralised execution: `vdn`, `qmix`, `mappo`.

Importing it registers them.
"""

from edge_marl.agents.centralised import settings

__all__ = ["settings"]
