"""A certified upper bound on the return of every policy, in either model."""

from __future__ import annotations

from edge_marl.bound.base import base_bound
from edge_marl.bound.certificate import Bound
from edge_marl.bound.extended import extended_bound
from edge_marl.scenario import Scenario
from edge_marl.workload import Workload

__all__ = ["upper_bound"]


def upper_bound(scenario: Scenario, workload: Workload) -> Bound:
    """Return a certified upper bound on the return of any policy, one that knows all included.

    In slots it is that of the game of gateways. In the extended model it then holds for the single
    environment too, which sends tasks at once whatever the clock says; in the base model it does
    not.

    Raises:
        ScenarioError: if there is no bound for the scenario (`has_bound`).
        WorkloadError: if the workload does not fit the scenario, or its numbers are too large for
            64-bit certification.
    """
    return (extended_bound if scenario.extended else base_bound)(scenario, workload)
