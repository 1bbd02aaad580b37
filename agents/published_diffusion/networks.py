"""The networks of the published diffusion policies, with and without attention, and their critics.

S is the length of the observation, A the number of actions. Written from a description of the code
(layers, sizes, activations), which the numbers of parameters confirm: with S = 36 and A = 40
(`paper`, whose published observation has ten constants that ours leaves out) 491,288 with
attention, 138,008 without, and 171,088 of the two critics.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from edge_marl.agents.networks.diffusion import Schedule

__all__ = ["AttentionDenoiser", "Critics", "DiffusionPolicy", "PlainDenoiser"]

TIME_WIDTH = 16
ACTION_WIDTH = 64
STATE_WIDTH = 128
WIDTH = 256
DROPOUT = 0.4


class _Inputs(nn.Module):
    """Features of x_t, of the step and of the state, side by side (B, 208)."""

    def __init__(self, state: int, actions: int, dropout: float) -> None:
        super().__init__()
        self.time = nn.Sequential(
            nn.Linear(TIME_WIDTH, 2 * TIME_WIDTH),
            nn.Mish(),
            nn.Linear(2 * TIME_WIDTH, TIME_WIDTH),
        )
        self.action = _layer(actions, ACTION_WIDTH, dropout)
        self.state = _layer(state, STATE_WIDTH, dropout)

    def forward(self, x: Tensor, step: int, state: Tensor) -> tuple[Tensor, Tensor]:
        """Return the features and those of the step, (B, 16)."""
        half = TIME_WIDTH // 2
        waves = torch.exp(torch.arange(half, dtype=x.dtype) * -(math.log(10_000) / (half - 1)))
        angles = (step * waves).expand(len(x), half)
        time = self.time(torch.cat([angles.sin(), angles.cos()], dim=-1))
        return torch.cat([self.action(x), time, self.state(state)], dim=-1), time


def _layer(inputs: int, outputs: int, dropout: float = 0.0) -> nn.Sequential:
    layers = [nn.Linear(inputs, outputs), nn.Mish()]
    return nn.Sequential(*layers, *([nn.Dropout(dropout)] if dropout else []))


class PlainDenoiser(nn.Module):
    """The noise in x_t, by a perceptron (`d2sac`)."""

    def __init__(self, state: int, actions: int) -> None:
        super().__init__()
        self.inputs = _Inputs(state, actions, 0.0)
        self.body = nn.Sequential(
            _layer(ACTION_WIDTH + TIME_WIDTH + STATE_WIDTH, WIDTH),
            _layer(WIDTH, WIDTH),
            nn.Linear(WIDTH, actions),
            nn.Tanh(),
        )

    def forward(self, x: Tensor, step: int, state: Tensor, alone: bool) -> Tensor:
        """Return the noise (B, A) in x_t (B, A) at step t = 1..T, for states (B, S)."""
        noise: Tensor = self.body(self.inputs(x, step, state)[0])
        return noise


class AttentionDenoiser(nn.Module):
    """The noise in x_t, with attention over the rows of the batch (`adsac-published`).

    The attention layer gets a (B, 256) tensor, which is one sequence of B elements: a row's noise
    depends on the rows that happen to stand beside it. With one row attention has one element to
    look at and is a linear map.
    """

    def __init__(self, state: int, actions: int) -> None:
        super().__init__()
        self.inputs = _Inputs(state, actions, DROPOUT)
        self.first = _layer(ACTION_WIDTH + TIME_WIDTH + STATE_WIDTH, WIDTH, DROPOUT)
        self.attention = nn.MultiheadAttention(WIDTH, num_heads=1, dropout=DROPOUT)
        self.norm = nn.LayerNorm(WIDTH)
        self.beside = nn.Sequential(
            _layer(actions + TIME_WIDTH + state, WIDTH), nn.Linear(WIDTH, WIDTH), nn.Mish()
        )
        self.last = nn.Sequential(_layer(WIDTH, WIDTH), nn.Linear(WIDTH, actions), nn.Tanh())

    def forward(self, x: Tensor, step: int, state: Tensor, alone: bool) -> Tensor:
        """Return the noise (B, A) in x_t (B, A) at step t = 1..T, for states (B, S).

        Args:
            x: x_t.
            step: t.
            state: the observations.
            alone: whether each row is taken by itself, as a batch of one would be.
        """
        features, time = self.inputs(x, step, state)
        hidden = self.first(features)
        # A sequence of one element per row, or one sequence of all rows.
        sequence = hidden[None] if alone else hidden[:, None]
        attended, _ = self.attention(sequence, sequence, sequence, need_weights=False)
        attended = attended[0] if alone else attended[:, 0]
        mixed = self.norm(attended + hidden) + self.beside(torch.cat([x, time, state], dim=-1))
        noise: Tensor = self.last(mixed)
        return noise


class DiffusionPolicy(nn.Module):
    """Log-probabilities of all actions from Gaussian noise, denoised step by step.

    The network predicts the noise: x_0 = x_t / sqrt(abar_t) - sqrt(1 / abar_t - 1) noise, and
    x_{t-1} is drawn from the posterior given both (`diffusion.make_schedule`).

    Args:
        denoiser: the network.
        schedule: of the denoising.
        actions: number of actions A.
    """

    def __init__(self, denoiser: nn.Module, schedule: Schedule, actions: int) -> None:
        super().__init__()
        self.denoiser = denoiser
        self.noise_shape = (len(schedule.noise), actions)
        """(T, A) normal numbers that one decision takes."""
        self._schedule = schedule

    def forward(
        self, observation: Tensor, mask: Tensor, noise: Tensor | None = None, alone: bool = False
    ) -> Tensor:
        """Return log-probabilities (B, A).

        Args:
            observation: (B, S).
            mask: (B, A), true where an action is legal. (Published: every action is.)
            noise: (B, T, A); None draws it.
            alone: whether each row is taken by itself.
        """
        if noise is None:
            noise = torch.randn(len(observation), *self.noise_shape, dtype=observation.dtype)
        from_x0, from_xt, scale, kept = self._schedule
        x = noise[:, -1]
        for t in range(len(scale), 0, -1):
            predicted = self.denoiser(x, t - 1, observation, alone)
            share = kept[t - 1]
            x0 = x / math.sqrt(share) - math.sqrt(1 / share - 1) * predicted
            x = from_x0[t - 1] * x0 + from_xt[t - 1] * x
            if t > 1:
                x = x + scale[t - 1] * noise[:, t - 2]
        logits = x.masked_fill(~mask, torch.finfo(x.dtype).min)
        return logits.log_softmax(dim=-1)


class Critics(nn.Module):
    """Two perceptrons S-256-256-A."""

    def __init__(self, state: int, actions: int) -> None:
        super().__init__()
        self.first, self.second = (
            nn.Sequential(_layer(state, WIDTH), _layer(WIDTH, WIDTH), nn.Linear(WIDTH, actions))
            for _ in range(2)
        )

    def forward(self, observation: Tensor) -> tuple[Tensor, Tensor]:
        """Return both Q (B, A) for observations (B, S)."""
        return self.first(observation), self.second(observation)
