"""Numbers of some of a row's actions, and of all: the legal ones stand side by side.

Sizes: B rows, A actions, K most legal actions of a row, N items, F features of an item.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["all_actions", "legal_first", "of_places"]


def all_actions(of_pairs: Tensor, action: Tensor, mask: Tensor) -> Tensor:
    """Return numbers (B, A) of all actions, given those (B, K) of some: the lowest of illegal ones.

    Args:
        of_pairs: (B, K).
        action: (B, K) the actions that they are of.
        mask: (B, A), true where an action is legal.
    """
    # finfo.min and not -inf: p log p of an illegal action then is 0, with a gradient of 0.
    lowest = torch.finfo(of_pairs.dtype).min
    padded = torch.full(mask.shape, lowest, dtype=of_pairs.dtype).scatter(1, action, of_pairs)
    return padded.masked_fill(~mask, lowest)


def of_places(items: Tensor, place: Tensor) -> Tensor:
    """Return items (B, K, F) at places (B, K), out of (B, N, F)."""
    first = torch.arange(0, place.shape[0] * items.shape[1], items.shape[1])[:, None]
    found = items.flatten(0, 1).index_select(0, (first + place).flatten())
    return found.view(*place.shape, -1)


def legal_first(mask: Tensor) -> Tensor:
    """Return (B, K): the legal actions of each row, in order; where there are fewer, others too."""
    count = mask.sum(dim=1)
    most = int(count.max())
    if int(count.min()) == most:  # as in every tier: four times as fast
        return mask.nonzero()[:, 1].view(-1, most)
    return mask.to(torch.uint8).argsort(dim=1, descending=True, stable=True)[:, :most]
