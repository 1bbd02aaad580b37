"""References of the game of gateways: what coordination is worth, not policies of gateways.

Importing it registers them.
"""

from edge_marl.agents.references import in_turn

__all__ = ["in_turn"]
