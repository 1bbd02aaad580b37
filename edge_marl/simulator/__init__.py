"""The simulator: the kernel compiled, and the arrays that it runs on."""

from edge_marl.simulator.log import EpisodeLog
from edge_marl.simulator.simulator import Simulator

__all__ = ["EpisodeLog", "Simulator"]
