"""What scores are measured against: a certified upper bound, and the mean of random dispatch."""

from edge_marl.bound.common import Bound
from edge_marl.bound.extended import has_bound
from edge_marl.bound.lagrangian import upper_bound
from edge_marl.bound.store import Anchors, anchors

__all__ = ["Anchors", "Bound", "anchors", "has_bound", "upper_bound"]
