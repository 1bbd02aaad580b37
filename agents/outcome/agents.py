"""The trained `outcome`: what decides; no training library is loaded here."""

from __future__ import annotations

from torch import Tensor, nn

from edge_marl.agents.networks.pairs import PairFeatures, perceptron, start_at_zero
from edge_marl.agents.networks.places import all_actions, legal_first
from edge_marl.agents.networks.sharing import ForEach, Networks
from edge_marl.agents.outcome.settings import OutcomeConfig
from edge_marl.agents.policy_agent import DrawingAgent
from edge_marl.scenario import Scenario

__all__ = ["OutcomeActor", "OutcomeAgent"]


class OutcomeActor(nn.Module):
    """Expected outcomes of legal actions.

    Args:
        scenario: the world.
        config: settings.
    """

    def __init__(self, scenario: Scenario, config: OutcomeConfig) -> None:
        super().__init__()
        self.features = PairFeatures(scenario)
        count = Networks(scenario, config).count

        def make() -> nn.Module:
            layers = perceptron(self.features.size, config.hidden)
            start_at_zero(layers[-1])
            return layers

        self.told = count > 1
        self.layers = ForEach(make, count) if self.told else make()

    def forward(self, observation: Tensor, mask: Tensor, *which: Tensor) -> Tensor:
        """Return (B, A) for observations (B, D), the lowest number where an action is illegal."""
        action = legal_first(mask)
        outcomes = self.judge(self.features(observation, action), *which)
        return all_actions(outcomes, action, mask)

    def judge(self, features: Tensor, *which: Tensor) -> Tensor:
        """Return expected outcomes (B, ...) of pairs, given their features (B, ..., F).

        Args:
            features: what is seen of each pair.
            which: network that decides, (B,), where there are several.
        """
        outcomes: Tensor = self.layers(features, *which).squeeze(-1)
        return outcomes + features[..., -1] if self.features.shows_worth else outcomes


class OutcomeAgent(DrawingAgent[OutcomeConfig]):
    """A trained `outcome`: any gateway's policy, and the single environment's.

    What it draws by are outcomes, its "log-probabilities".
    """

    name = "outcome"
    config_class = OutcomeConfig

    @classmethod
    def build_actor(cls, scenario: Scenario, config: OutcomeConfig) -> OutcomeActor:
        """Return an untrained actor."""
        return OutcomeActor(scenario, config)
