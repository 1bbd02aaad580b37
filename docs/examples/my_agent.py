"""An agent of one's own: the server that keeps most room, and there the service that is quickest.

edge-marl run --scenario campus --agents docs/examples/my_agent.py:MostRoom,crash-avoid
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from edge_marl import ObservationLayout
from edge_marl.agents import Agent
from edge_marl.agents.base import legal_actions


class MostRoom(Agent):
    """Leaves as much room as it can on the server that it sends to."""

    deterministic = True

    def reset(self, seed: int) -> None:
        """Nothing is remembered and nothing is drawn; the layout says what is where."""
        self.layout = ObservationLayout(self.scenario)

    def act(self, observation: np.ndarray, info: Mapping[str, Any]) -> np.ndarray:
        """Return one action per row: of a server, a service and a level of it, or saying no."""
        rows, layout = len(observation), self.layout
        seen = layout.decode(observation)
        room = (seen.free - seen.demand[:, None]) / seen.capacity.clip(1)
        worth = np.repeat(room, layout.num_choices, axis=1)
        if layout.extended:  # services show how long they take
            takes = layout.feature("service duration", observation)
            levels = layout.num_choices // layout.num_services
            worth = worth - 1e-9 * np.repeat(takes, levels, axis=1)
        worth = np.pad(worth, ((0, 0), (0, layout.may_decline)), constant_values=-1e6)  # saying no
        worth[~legal_actions(info, rows, self.scenario)] = -np.inf
        return worth.argmax(axis=1)


if __name__ == "__main__":
    from edge_marl.testing import check_agent

    check_agent(MostRoom, "campus")
    print("MostRoom keeps all promises")
