"""The command `edge-marl serve`: a gateway over HTTP that any agent decides for."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_marl.cli.evaluate import AgentName, Checkpoint, OwnSeed, Transfer, chosen_agent
from edge_marl.console import problems

if TYPE_CHECKING:
    from edge_marl.agents import Agent
    from edge_marl.serving.gateway import Gateway
    from edge_marl.serving.world import LiveWorld

__all__ = ["serve"]


def serve(
    config: Annotated[Path, typer.Argument(help="File of the gateway and its backends (TOML).")],
    checkpoint: Checkpoint = None,
    agent: AgentName = None,
    log: Annotated[Path, typer.Option(help="Event log; added to.")] = Path("served.jsonl"),
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="In place of the file's; 0 is a free one.")
    ] = None,
    seed: OwnSeed = 0,
    transfer: Transfer = False,
) -> None:
    """Serve OpenAI-style requests, each sent to the backend that an agent chooses.

    SIGTERM and SIGINT let what is in flight end. What happens is in the log, which
    `edge-marl data served` makes a workload of.
    """
    from edge_marl.errors import AgentError
    from edge_marl.serving import check_installed
    from edge_marl.serving.config import load_config
    from edge_marl.serving.gateway import Gateway
    from edge_marl.serving.log import EventLog
    from edge_marl.serving.policy import Policy
    from edge_marl.serving.servers import topology_of
    from edge_marl.serving.world import LiveWorld

    check_installed()
    told, scenario = load_config(config)
    if port is not None:
        told = told.model_copy(update={"port": port})
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
    policy = Policy(decides.act, told.limits.decide_s)
    if not told.on_loopback:
        problems().print(
            f"warning: {told.host} is open to the network, and whoever reaches it may use it",
            markup=False,
            highlight=False,
        )
    asyncio.run(_until_stopped(Gateway(told, scenario, world, policy, events)))


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


async def _until_stopped(gateway: Gateway) -> None:
    """Listen until a signal to stop."""
    from edge_marl.serving import stop_asked
    from edge_marl.serving.front import Front

    stop = stop_asked()
    async with Front(gateway) as front:
        typer.echo(f"serving on http://{gateway.config.host}:{front.port}")
        await stop.wait()
        problems().print("stopping", markup=False)
