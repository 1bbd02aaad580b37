"""The trainers of `vdn`, `qmix`, `mappo` and `happo`; TorchRL is loaded when they train."""

from __future__ import annotations

from abc import abstractmethod
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_marl.agents.base import Agent, Training
from edge_marl.agents.centralised.settings import (
    CentralisedConfig,
    HappoConfig,
    MappoConfig,
    MixingConfig,
    QmixConfig,
)
from edge_marl.agents.registry import register
from edge_marl.agents.training.settings import LearningConfig
from edge_marl.agents.training.trainer import LearningTrainer
from edge_marl.errors import AgentError
from edge_marl.scenario import Scenario

if TYPE_CHECKING:
    from edge_marl.agents.centralised.shared import MakeLearner

__all__ = ["HappoTrainer", "MappoTrainer", "QmixTrainer", "VdnTrainer"]


class _CentralisedTrainer(LearningTrainer):
    information = "state"
    config: CentralisedConfig

    def __init__(self, scenario: Scenario, config: LearningConfig | None = None) -> None:
        self.check_installed()
        super().__init__(scenario, config)

    @classmethod
    def check_installed(cls) -> None:
        """Raise AgentError, saying what to install, unless TorchRL is there."""
        if find_spec("torchrl") is None:
            raise AgentError(
                f"agent '{cls.name}' needs TorchRL, which is not installed: "
                "pip install 'edge-marl[torchrl]'"
            )

    @classmethod
    @abstractmethod
    def _make_learner(cls) -> MakeLearner:
        """Import, and TorchRL's losses with it, and return what makes an untrained learner."""

    def _begin(self, scenario: Scenario, budget: int, seed: int) -> Training:
        from edge_marl.agents.centralised.shared import CentralisedTraining

        make_learner, trained = self._make_learner(), self._agent()
        return CentralisedTraining(scenario, self.config, make_learner, trained, budget, seed)

    @classmethod
    def load(cls, folder: str | Path, scenario: Scenario, *, transfer: bool = False) -> Agent:
        """Return a trained agent that was saved (see `Agent.load`)."""
        cls.check_installed()
        return super().load(folder, scenario, transfer=transfer)


@register("vdn")
class VdnTrainer(_CentralisedTrainer):
    """Value decomposition: the gateways' values add up (Sunehag et al. 2018, arXiv:1706.05296).

    Raises:
        AgentError: if TorchRL is not installed.
    """

    config_class = MixingConfig

    @classmethod
    def _agent(cls) -> type[Any]:
        from edge_marl.agents.centralised.agents import VdnAgent

        return VdnAgent

    @classmethod
    def _make_learner(cls) -> MakeLearner:
        from edge_marl.agents.centralised.vdn import make_learner

        return make_learner


@register("qmix")
class QmixTrainer(_CentralisedTrainer):
    """Monotonic mixing of the gateways' values (Rashid et al. 2018, arXiv:1803.11485).

    Raises:
        AgentError: if TorchRL is not installed.
    """

    config_class = QmixConfig

    @classmethod
    def _agent(cls) -> type[Any]:
        from edge_marl.agents.centralised.agents import QmixAgent

        return QmixAgent

    @classmethod
    def _make_learner(cls) -> MakeLearner:
        from edge_marl.agents.centralised.qmix import make_learner

        return make_learner


@register("mappo")
class MappoTrainer(_CentralisedTrainer):
    """Multi-agent PPO with a central critic (Yu et al. 2022, arXiv:2103.01955).

    Raises:
        AgentError: if TorchRL is not installed.
    """

    config_class = MappoConfig

    @classmethod
    def _agent(cls) -> type[Any]:
        from edge_marl.agents.centralised.agents import MappoAgent

        return MappoAgent

    @classmethod
    def _make_learner(cls) -> MakeLearner:
        from edge_marl.agents.centralised.mappo import make_learner

        return make_learner


@register("happo")
class HappoTrainer(_CentralisedTrainer):
    """Heterogeneous-agent PPO: policies updated one after the other (Kuba et al. 2022).

    arXiv:2109.11251. Each gateway has its own network, or each role (`sharing`).

    Raises:
        AgentError: if TorchRL is not installed.
    """

    config_class = HappoConfig

    @classmethod
    def _agent(cls) -> type[Any]:
        from edge_marl.agents.centralised.agents import HappoAgent

        return HappoAgent

    @classmethod
    def _make_learner(cls) -> MakeLearner:
        from edge_marl.agents.centralised.happo import make_learner

        return make_learner
