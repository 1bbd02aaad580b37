"""The trained `outcome`: what decides; no training library is loaded here."""

from __future__ import annotations

from torch import Tensor, nn

from edge_marl.agents.networks.pairs import PairFeatures, perceptron, start_at_zero
from edge_marl.agents.networks.places import all_actions, legal_first
from edge_marl.agents.networks.priors import prior_of
from edge_marl.agents.networks.sharing import ForEach, Networks
from edge_marl.agents.outcome.settings import OutcomeConfig
from edge_marl.agents.policy_agent import DrawingAgent
from edge_marl.scenario import Scenario

__all__ = ["OutcomeActor", "OutcomeAgent"]


class OutcomeActor(nn.Module):
    """Expected outcomes of legal actions, and what is decided by.

    Args:
        scenario: the world.
        config: settings.
    """

    def __init__(self, scenario: Scenario, config: OutcomeConfig) -> None:
        super().__init__()
        self.features = PairFeatures(scenario)
        self.prior = prior_of(scenario, config, temperature=1.0, valued=True)
        if self.prior is not None:
            self.features.check_prior(self.prior)
        self.size = self.features.size + (self.prior.size if self.prior else 0)
        """Features of a pair F."""
        networks = Networks(scenario, config)
        self.told, self._several = networks.told, networks.count > 1

        def make() -> nn.Module:
            layers = perceptron(self.size, config.hidden)
            start_at_zero(layers[-1])
            return layers

        self.layers = ForEach(make, networks.count) if self._several else make()

    def forward(self, observation: Tensor, mask: Tensor, *which: Tensor) -> Tensor:
        """Return (B, A) for observations (B, D), the lowest number where an action is illegal."""
        action = legal_first(mask)
        scores = self.scores(self.see(observation, mask, action, *which), *which)
        return all_actions(scores, action, mask)

    def see(self, observation: Tensor, mask: Tensor, action: Tensor, *which: Tensor) -> Tensor:
        """Return features (B, K, F) of the pairs of actions (B, K)."""
        features: Tensor = self.features(observation, action)
        if self.prior is None:
            return features
        return self.prior.beside(features, action, observation, mask, *which)

    def outcomes(self, features: Tensor, *which: Tensor) -> Tensor:
        """Return expected outcomes (B, ...) of pairs, given their features (B, ..., F).

        Args:
            features: what is seen of each pair.
            which: network or gateway that decides, (B,), where it is told.
        """
        told = which if self._several else ()
        outcomes: Tensor = self.layers(features, *told).squeeze(-1)
        if self.prior is not None:
            return outcomes + self.prior.value(features)
        return outcomes + features[..., -1] if self.features.shows_worth else outcomes

    def scores(self, features: Tensor, *which: Tensor) -> Tensor:
        """Return outcomes less what the tasks after it pay, (B, ...): see `outcomes`."""
        outcomes = self.outcomes(features, *which)
        return outcomes if self.prior is None else outcomes - self.prior.charge(features)


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
