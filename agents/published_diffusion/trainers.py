"""The trainers of `adsac-published` and `d2sac`."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from edge_marl.agents.on_tianshou.trainer import TianshouTrainer
from edge_marl.agents.published_diffusion.settings import PublishedConfig
from edge_marl.agents.registry import register

if TYPE_CHECKING:
    from edge_marl.agents.on_tianshou.loop import MakeLearner

__all__ = ["AdsacPublishedTrainer", "D2sacTrainer"]


class _PublishedTrainer(TianshouTrainer):
    config_class = PublishedConfig

    @classmethod
    def _make_learner(cls) -> MakeLearner:
        from edge_marl.agents.published_diffusion.losses import published_learner

        return partial(published_learner, cls._agent())


@register("adsac-published")
class AdsacPublishedTrainer(_PublishedTrainer):
    """ADSAC as its code was published: attention over the batch, dropout in the targets."""

    @classmethod
    def _agent(cls) -> type[Any]:
        from edge_marl.agents.published_diffusion.agents import AdsacPublishedAgent

        return AdsacPublishedAgent


@register("d2sac")
class D2sacTrainer(_PublishedTrainer):
    """Diffusion soft actor-critic with perceptrons (AGOD, arXiv:2301.03220), as published."""

    @classmethod
    def _agent(cls) -> type[Any]:
        from edge_marl.agents.published_diffusion.agents import D2sacAgent

        return D2sacAgent
