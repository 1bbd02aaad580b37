"""The trained `dqn`, `drqn`, `qrdqn` and `rainbow`: what decides; no training library is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from edge_marl.agents.networks.flat import FlatNetwork
from edge_marl.agents.networks.frames import add_frame
from edge_marl.agents.networks.pairs import PairNetwork
from edge_marl.agents.policy_agent import PolicyAgent
from edge_marl.agents.value_based.networks import (
    MeanOfQuantiles,
    MeanReturn,
    Quantiles,
    Recurrent,
    ReturnDistributions,
    Values,
)
from edge_marl.agents.value_based.settings import DqnConfig, DrqnConfig, QrdqnConfig, RainbowConfig
from edge_marl.layout import ObservationLayout
from edge_marl.scenario import Scenario

__all__ = ["DqnAgent", "DrqnAgent", "QrdqnAgent", "RainbowAgent", "ValueAgent"]


class ValueAgent(PolicyAgent[Any]):
    """Takes the action of the largest value (its "log-probabilities" are values)."""

    deterministic = True


class DqnAgent(ValueAgent):
    """A trained `dqn`."""

    name = "dqn"
    config_class: ClassVar[Any] = DqnConfig

    @classmethod
    def build_actor(cls, scenario: Scenario, config: DqnConfig) -> Values:
        """Return an untrained network."""
        if config.network == "pairs":
            return Values(PairNetwork(scenario, config.hidden))
        return Values(FlatNetwork(ObservationLayout(scenario), config.hidden))


class DrqnAgent(ValueAgent):
    """A trained `drqn`: it remembers the last observations of every row until the next reset."""

    name = "drqn"
    stateless = False
    config_class: ClassVar[Any] = DrqnConfig

    @classmethod
    def build_actor(cls, scenario: Scenario, config: DrqnConfig) -> Values:
        """Return an untrained network."""
        return Values(Recurrent(ObservationLayout(scenario), config))

    def reset(self, seed: int) -> None:
        """Forget."""
        self._frames: npt.NDArray[np.float32] | None = None

    def act(
        self, observation: npt.NDArray[np.float32], info: Mapping[str, Any]
    ) -> npt.NDArray[np.int64]:
        """Return the legal action of the largest value in each row."""
        if self._frames is None:
            rows, size = observation.shape
            self._frames = np.zeros((rows, self.config.frames * size), dtype=np.float32)
        self._frames = add_frame(self._frames, observation)
        return super().act(self._frames, info)


class QrdqnAgent(ValueAgent):
    """A trained `qrdqn`."""

    name = "qrdqn"
    config_class: ClassVar[Any] = QrdqnConfig

    @classmethod
    def build_actor(cls, scenario: Scenario, config: QrdqnConfig) -> Values:
        """Return an untrained network."""
        layout = ObservationLayout(scenario)
        return MeanOfQuantiles(Quantiles(layout, config.hidden, config.quantiles))


class RainbowAgent(ValueAgent):
    """A trained `rainbow`; its layers have no noise."""

    name = "rainbow"
    config_class: ClassVar[Any] = RainbowConfig

    @classmethod
    def build_actor(cls, scenario: Scenario, config: RainbowConfig) -> Values:
        """Return an untrained network."""
        network = ReturnDistributions(ObservationLayout(scenario), config)
        return MeanReturn(network, scenario, config)
