"""What scores are measured against: a certified upper bound, and the mean of random dispatch."""

from edge_marl.bound.lagrangian import Bound, upper_bound
from edge_marl.bound.store import Anchors, anchors

__all__ = ["Anchors", "Bound", "anchors", "upper_bound"]
