"""Heuristics: they act at once.

Importing it registers them.
"""

from edge_marl.agents.heuristics import basic, bid_price, in_slots, queueing, routers

__all__ = ["basic", "bid_price", "in_slots", "queueing", "routers"]
