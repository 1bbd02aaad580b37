"""Registered agents: heuristics that act at once, and trainers of agents that learn.

    from edge_marl.agents import make
    agent = make("prophet", scenario)                       # an Agent
    agent = make("adsac", scenario).train(scenario, 48_000, seed=0)   # a Trainer's

Importing this package loads no learning library; a trainer loads it when it trains.
"""

from edge_marl.agents import (
    baselines,
    bid_price,
    centralised_trainers,
    heuristics,
    independent,
    learned,
    published_settings,
    routing,
)
from edge_marl.agents.base import Agent, Trainer, TrainProgress
from edge_marl.agents.registry import load, make, names, register

__all__ = [
    "Agent",
    "TrainProgress",
    "Trainer",
    "baselines",
    "bid_price",
    "centralised_trainers",
    "heuristics",
    "independent",
    "learned",
    "load",
    "make",
    "names",
    "published_settings",
    "register",
    "routing",
]
