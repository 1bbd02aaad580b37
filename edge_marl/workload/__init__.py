"""A workload: all that happens to one episode from outside, and how it is drawn."""

from edge_marl.workload.workload import Workload, load_workload

__all__ = ["Workload", "load_workload"]
