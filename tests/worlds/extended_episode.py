"""An episode of the extended model for tests: a scenario, workloads and choices."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from edge_marl.scenario import Scenario
from edge_marl.workload import Workload


@dataclass(frozen=True)
class ExtendedEpisode:
    """A scenario with workloads that fit it, and choices that are taken round and round."""

    scenario: Scenario
    workloads: list[Workload]
    choices: list[int]

    @property
    def workload(self) -> Workload:
        """The first of the workloads."""
        return self.workloads[0]

    def __repr__(self) -> str:
        """All of it, to be read and to be typed in again."""
        facts = self.scenario.model_dump(mode="json", exclude_defaults=True)
        lines = [json.dumps(facts), f"choices {self.choices}"]
        for workload in self.workloads:
            arrays = workload.topology.arrays() | {
                "tasks": workload.tasks,
                "details": workload.details,
                "outages": workload.outages,
                "weights": workload.weights,
                "sleeps": workload.sleeps,
            }
            lines += [
                f"  {name} {array.tolist()}" for name, array in arrays.items() if array is not None
            ]
        return "\n".join(lines)

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """What Hypothesis prints."""
        printer.text(repr(self))
