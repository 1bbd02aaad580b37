"""How a gateway is made of its file and an agent, for every way to serve."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from edge_marl.cli.evaluate import chosen_agent

if TYPE_CHECKING:
    from edge_marl.agents import Agent
    from edge_marl.serving.gateway import Gateway
    from edge_marl.serving.world import LiveWorld

__all__ = ["made_gateway"]


def made_gateway(
    config: Path,
    checkpoint: Path | None,
    agent: str | None,
    log: Path,
    *,
    gateway: int | None = None,
    port: int | None = None,
    seed: int = 0,
    transfer: bool = False,
) -> Gateway:
    """Return a gateway that an agent decides for, once it has decided for the first time.

    Args:
        config: file of the gateway and its backends.
        checkpoint: folder of a trained agent.
        agent: instead, a name, module:Class or file.py:Class.
        log: of its events; added to.
        gateway: which one it is, in place of the file's.
        port: in place of the file's.
        seed: of the agent's own randomness.
        transfer: whether it may have been trained in another scenario.

    Raises:
        ServingError: what is wrong with the file or the log.
        AgentError: the agent cannot decide alone, or what is wrong with it.
    """
    from edge_marl.errors import AgentError
    from edge_marl.serving.config import load_config
    from edge_marl.serving.gateway import Gateway
    from edge_marl.serving.log import EventLog
    from edge_marl.serving.policy import Policy
    from edge_marl.serving.servers import topology_of
    from edge_marl.serving.world import LiveWorld

    told, scenario = load_config(config, gateway=gateway, port=port)
    _, decides = chosen_agent(checkpoint, agent, scenario, None, transfer)
    if decides.central:
        raise AgentError(
            f"agent '{decides.name}' decides for all gateways together, on what none of them sees: "
            "serve one that decides alone"
        )
    topology = topology_of(told, scenario)
    world = LiveWorld(scenario, topology, told.gateway, told.limits.in_flight)
    _warm_up(world, decides)
    decides.reset(seed)
    names = [backend.name for backend in told.backends]
    events = EventLog(log, scenario, topology, told.gateway, names)
    return Gateway(told, scenario, world, Policy(decides.act, told.limits.decide_s), events)


def _warm_up(world: LiveWorld, agent: Agent) -> None:
    """Have an agent decide once: its first decision may take many times as long as the others."""
    import numpy as np

    from edge_marl.serving.world import Request

    demand = min(world.scenario.tasks.demand)
    number = world.arrive(Request(0, demand, world.scenario.tasks.run_time_ms(demand)), 0)
    seen, mask = world.look(number, 0)
    world.leave(number, 0)
    with suppress(Exception):  # it may raise whatever it likes, and is asked again
        agent.reset(0)
        agent.act(seen[None], {"action_mask": mask[None], "agent_index": np.array([world.gateway])})
