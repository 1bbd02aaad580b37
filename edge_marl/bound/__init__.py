"""What scores are measured against: a certified upper bound, and the mean of random dispatch."""

from edge_marl.bound.anchor_pairs import Anchors, anchors
from edge_marl.bound.by_model import upper_bound
from edge_marl.bound.certificate import Bound
from edge_marl.bound.extended import has_bound

__all__ = ["Anchors", "Bound", "anchors", "has_bound", "upper_bound"]
