"""Makes `digits.npz`, the weights of the testbed's models, with scikit-learn's digits.

`python -m edge_marl.serving.backend.train`, with the extra `backend`; it takes minutes. Each model
learns the noise that was mixed into a picture, at a random time of the schedule; the judge learns
on half of the digits, and the models on the other half.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from edge_marl.serving.backend.denoiser import (
    CLASSES,
    FIRST,
    FREQUENCIES,
    JUDGE_WIDTH,
    MODELS,
    PIXELS,
    clean_share,
    features_of,
)

UPDATES, BATCH, JUDGE_UPDATES = 3000, 128, 1500
TARGET = Path(__file__).with_name("digits.npz")
Arrays = dict[str, npt.NDArray[np.floating[Any]]]


def digits() -> tuple[torch.Tensor, torch.Tensor]:
    """Return all pictures, (N, 64) from -1 to 1, and the digits that they show."""
    from sklearn.datasets import load_digits

    pictures, shown = load_digits(return_X_y=True)
    return torch.tensor(pictures / 8 - 1, dtype=torch.float32), torch.tensor(shown)


def layers_of(net: nn.Sequential, name: str) -> Arrays:
    """Return a network's layers as `denoiser.load` reads them; halves hold its matrices."""
    linear = [layer for layer in net if isinstance(layer, nn.Linear)]
    arrays: Arrays = {}
    for number, layer in enumerate(linear):
        arrays[f"{name}/{number}/w"] = layer.weight.detach().numpy().T.astype(np.float16)
        arrays[f"{name}/{number}/b"] = layer.bias.detach().numpy()
    return arrays


def train_model(pictures: torch.Tensor, shown: torch.Tensor, width: int) -> nn.Sequential:
    """Return a denoiser."""
    inputs = PIXELS + 2 * FREQUENCIES + CLASSES
    net = nn.Sequential(
        *(nn.Linear(inputs, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU()),
        nn.Linear(width, PIXELS),
    )
    optimiser = torch.optim.Adam(net.parameters(), lr=2e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, UPDATES)
    for _ in range(UPDATES):
        picked = torch.randint(len(pictures), (BATCH,))
        times = torch.rand(BATCH).numpy() * FIRST
        share = torch.from_numpy(clean_share(times))
        noise = torch.randn(BATCH, PIXELS)
        mixed = share.sqrt() * pictures[picked] + (1 - share).sqrt() * noise
        told = torch.cat(
            [mixed, torch.from_numpy(features_of(times)), torch.eye(CLASSES)[shown[picked]]], dim=1
        )
        loss = nn.functional.mse_loss(net(told), noise)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # PyTorch says no types
        optimiser.step()
        schedule.step()
    return net


def train_judge(pictures: torch.Tensor, shown: torch.Tensor) -> nn.Sequential:
    """Return a classifier."""
    net = nn.Sequential(nn.Linear(PIXELS, JUDGE_WIDTH), nn.SiLU(), nn.Linear(JUDGE_WIDTH, CLASSES))
    optimiser = torch.optim.Adam(net.parameters(), lr=2e-3, weight_decay=1e-4)
    for _ in range(JUDGE_UPDATES):
        picked = torch.randint(len(pictures), (BATCH,))
        loss = nn.functional.cross_entropy(
            net(pictures[picked] + 0.1 * torch.randn(BATCH, PIXELS)), shown[picked]
        )
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # PyTorch says no types
        optimiser.step()
    return net


def main() -> None:
    """Train all, and write the weights."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    pictures, shown = digits()
    order = torch.randperm(len(pictures))
    half = len(order) // 2
    judged, made = order[:half], order[half:]
    judge = train_judge(pictures[judged], shown[judged])
    right = (judge(pictures[made]).argmax(1) == shown[made]).float().mean()
    arrays = layers_of(judge, "judge")
    for name, width in MODELS.items():
        arrays |= layers_of(train_model(pictures[made], shown[made], width), name)
    np.savez_compressed(TARGET, **arrays)  # type: ignore[arg-type]  # NumPy's stubs
    print(f"judge right on {right:.3f} of digits; {TARGET.stat().st_size:,} bytes")  # noqa: T201 (a script)


if __name__ == "__main__":
    main()
