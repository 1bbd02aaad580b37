"""`adsac-published`: the published diffusion policy with attention over the batch (`losses.py`).

Kept to tell what was published from what is described: see `docs/agents.md`.
"""

from __future__ import annotations

from functools import partial

from edge_marl.agents.published_diffusion.losses import PublishedAgent, published_learner
from edge_marl.agents.published_diffusion.networks import AttentionDenoiser

__all__ = ["AdsacPublishedAgent", "make_learner"]


class AdsacPublishedAgent(PublishedAgent):
    """A trained `adsac-published`."""

    name = "adsac-published"
    denoiser = AttentionDenoiser


make_learner = partial(published_learner, AdsacPublishedAgent)
