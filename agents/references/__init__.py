"""References of the game of gateways: what coordination is worth, not policies of gateways.

Importing it registers them.
"""

from edge_marl.agents.references import central, in_turn

__all__ = ["central", "in_turn"]
