"""The networks of `dqn`, `drqn`, `qrdqn` and `rainbow`; no training library is loaded here."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from edge_marl.agents.networks.features import TokenFeatures
from edge_marl.agents.networks.flat import FlatNetwork
from edge_marl.agents.value_based.settings import DrqnConfig, RainbowConfig
from edge_marl.layout import ObservationLayout
from edge_marl.scenario import Scenario

__all__ = [
    "MeanOfQuantiles",
    "MeanReturn",
    "NoisyLinear",
    "Quantiles",
    "Recurrent",
    "ReturnDistributions",
    "Values",
    "support",
]


class Values(nn.Module):
    """Q of legal actions from a network, the lowest number of others.

    Args:
        network: observation (B, D) -> Q (B, A), or what `mean` makes into Q.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def mean(self, outputs: Tensor) -> Tensor:
        """Return Q (B, A) of the network's outputs."""
        return outputs

    def forward(self, observation: Tensor, mask: Tensor) -> Tensor:
        """Return Q (B, A) for observations (B, D) and masks (B, A)."""
        values = self.mean(self.network(observation))
        return values.masked_fill(~mask, torch.finfo(values.dtype).min)


class Recurrent(nn.Module):
    """Q (B, A) from the last F observations, side by side (B, F * D), the present one last."""

    def __init__(self, layout: ObservationLayout, config: DrqnConfig) -> None:
        super().__init__()
        self.features = TokenFeatures(layout)
        per_server = self.features.server_size + layout.num_choices * self.features.service_size
        inputs = self.features.task_size + per_server * layout.num_servers
        width = config.hidden[0]
        self._frames = config.frames
        self.inner = nn.Linear(inputs, width)
        self.memory = nn.LSTM(width, width, num_layers=len(config.hidden), batch_first=True)
        self.values = nn.Linear(width, layout.num_actions)

    def forward(self, frames: Tensor) -> Tensor:
        """Return (B, A)."""
        one_by_one = frames.reshape(len(frames) * self._frames, -1)
        flat = torch.cat([part.flatten(1) for part in self.features(one_by_one)], dim=1)
        hidden = nn.functional.silu(self.inner(flat)).reshape(len(frames), self._frames, -1)
        remembered, _ = self.memory(hidden)
        values: Tensor = self.values(remembered[:, -1])
        return values


class Quantiles(nn.Module):
    """A perceptron from observations (B, D) to Q quantiles of each action, (B, A, Q)."""

    def __init__(self, layout: ObservationLayout, hidden: tuple[int, ...], quantiles: int) -> None:
        super().__init__()
        actions = layout.num_actions
        self.flat = FlatNetwork(layout, hidden, actions * quantiles)
        self._shape = (actions, quantiles)

    def forward(self, observation: Tensor) -> Tensor:
        """Return (B, A, Q)."""
        values: Tensor = self.flat(observation)
        return values.reshape(-1, *self._shape)


class MeanOfQuantiles(Values):
    """Q of quantiles."""

    def mean(self, outputs: Tensor) -> Tensor:
        """Return Q (B, A) of quantiles (B, A, Q)."""
        return outputs.mean(dim=-1)


def support(scenario: Scenario, gamma: float) -> tuple[float, float]:
    """Return the least and the largest return that the atoms reach to.

    A decision pays 2 at most (qualities are at most 2) and costs one overload at worst, of which
    only few can follow each other before servers are empty; the discounted sum of the best rewards
    is 2 / (1 - gamma), and half of that is more than any policy gets.
    """
    most = 1.0 / max(1.0 - gamma, 1e-3)
    return -max(most, 4.0 * scenario.overload.penalty), most


class NoisyLinear(nn.Module):
    """A linear map whose weights are noisy in training (Fortunato et al. 2018, arXiv:1706.10295).

    Tianshou's has the same parameters by the same names, draws them in the same order and computes
    the same. It is not imported, since whoever plays a trained agent would load all of Tianshou.

    Args:
        inputs: features I.
        outputs: numbers O.
        noise: standard deviation that the noise begins with, times the square root of I.
    """

    def __init__(self, inputs: int, outputs: int, noise: float) -> None:
        super().__init__()
        bound = 1.0 / math.sqrt(inputs)
        self.mu_W = nn.Parameter(torch.empty(outputs, inputs).uniform_(-bound, bound))
        self.sigma_W = nn.Parameter(torch.full((outputs, inputs), noise / math.sqrt(inputs)))
        self.mu_bias = nn.Parameter(torch.empty(outputs).uniform_(-bound, bound))
        self.sigma_bias = nn.Parameter(torch.full((outputs,), noise / math.sqrt(inputs)))
        # Parameters, and not buffers: so the files of trainings and agents have them.
        self.eps_p = nn.Parameter(torch.empty(inputs), requires_grad=False)
        self.eps_q = nn.Parameter(torch.empty(outputs), requires_grad=False)
        self.sample()

    def sample(self) -> None:
        """Draw the noise anew, from torch's global generator."""
        for noise in (self.eps_p, self.eps_q):
            drawn = torch.randn(len(noise))
            noise.copy_(drawn.sign() * drawn.abs().sqrt())

    def forward(self, features: Tensor) -> Tensor:
        """Return (B, O) for features (B, I), without noise in evaluation."""
        if not self.training:
            return nn.functional.linear(features, self.mu_W, self.mu_bias)
        weight = self.mu_W + self.sigma_W * self.eps_q.outer(self.eps_p)
        # A copy: its values are needed for the gradient, and `sample` overwrites them.
        bias = self.mu_bias + self.sigma_bias * self.eps_q.clone()
        return nn.functional.linear(features, weight, bias)


class ReturnDistributions(nn.Module):
    """Probabilities (B, A, Z) of each action's return being at each of Z atoms; duelling."""

    def __init__(self, layout: ObservationLayout, config: RainbowConfig) -> None:
        super().__init__()
        self._shape = (layout.num_actions, config.atoms)
        width = config.hidden[-1]
        self.body = FlatNetwork(layout, config.hidden[:-1] or (width,), width)
        self.value = NoisyLinear(width, config.atoms, config.noise)
        self.advantage = NoisyLinear(width, self._shape[0] * config.atoms, config.noise)

    def forward(self, observation: Tensor) -> Tensor:
        """Return (B, A, Z) for observations (B, D)."""
        hidden = nn.functional.silu(self.body(observation))
        advantage = self.advantage(hidden).reshape(-1, *self._shape)
        centred = advantage - advantage.mean(dim=1, keepdim=True)
        probabilities: Tensor = (self.value(hidden)[:, None] + centred).softmax(dim=-1)
        return probabilities


class MeanReturn(Values):
    """Q of distributions of returns.

    Args:
        network: observation (B, D) -> probabilities (B, A, Z).
        scenario: the world.
        config: settings.
    """

    atoms: Tensor

    def __init__(self, network: nn.Module, scenario: Scenario, config: RainbowConfig) -> None:
        super().__init__(network)
        atoms = torch.linspace(*support(scenario, config.gamma), config.atoms)
        self.register_buffer("atoms", atoms, persistent=False)

    def mean(self, outputs: Tensor) -> Tensor:
        """Return Q (B, A) of probabilities (B, A, Z)."""
        return outputs @ self.atoms
