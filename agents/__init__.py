"""Registered agents: heuristics that act at once, and trainers of agents that learn.

    from edge_marl.agents import make
    agent = make("prophet", scenario)                       # an Agent
    agent = make("adsac", scenario).train(scenario, 48_000, seed=0)   # a Trainer's
    agent = load_pretrained("adsac", "paper")               # one of the leaderboards

Importing this package loads no learning library. A trained agent is loaded and played with torch
alone (`centralised`: and TorchRL); Tianshou is loaded when a trainer trains.
"""

from edge_marl.agents import (
    centralised,
    heuristics,
    independent,
    outcome,
    planning,
    policy_gradient,
    published_diffusion,
    references,
    soft_actor_critic,
    value_based,
)
from edge_marl.agents.base import Agent, CentralAgent, Trainer, TrainProgress
from edge_marl.agents.pretrained import fetch_pretrained, load_pretrained
from edge_marl.agents.registry import load, make, names, register

FAMILIES = (
    centralised,
    heuristics,
    independent,
    outcome,
    planning,
    policy_gradient,
    published_diffusion,
    references,
    soft_actor_critic,
    value_based,
)
"""Packages of agents; importing one registers its agents."""

__all__ = [
    "FAMILIES",
    "Agent",
    "CentralAgent",
    "TrainProgress",
    "Trainer",
    "fetch_pretrained",
    "load",
    "load_pretrained",
    "make",
    "names",
    "register",
]
