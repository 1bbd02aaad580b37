"""`d2sac`: the published diffusion policy on perceptrons (`losses.py`)."""

from __future__ import annotations

from functools import partial

from edge_marl.agents.published_diffusion.losses import PublishedAgent, published_learner
from edge_marl.agents.published_diffusion.networks import PlainDenoiser

__all__ = ["D2sacAgent", "make_learner"]


class D2sacAgent(PublishedAgent):
    """A trained `d2sac`."""

    name = "d2sac"
    denoiser = PlainDenoiser


make_learner = partial(published_learner, D2sacAgent)
