"""The command `edge-marl serve`: a gateway that any agent decides for, over HTTP or a proxy's."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_marl.cli.evaluate import AgentName, Checkpoint, OwnSeed, Transfer
from edge_marl.console import problems

if TYPE_CHECKING:
    from edge_marl.serving.gateway import Gateway

__all__ = ["serve"]


def serve(
    config: Annotated[Path, typer.Argument(help="File of the gateway and its backends (TOML).")],
    checkpoint: Checkpoint = None,
    agent: AgentName = None,
    log: Annotated[Path, typer.Option(help="Event log; added to.")] = Path("served.jsonl"),
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="In place of the file's; 0 is a free one.")
    ] = None,
    gateway: Annotated[
        int | None, typer.Option(min=0, help="In place of the file's: which one this is.")
    ] = None,
    epp: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=65535,
            help="Port to answer proxies on as well (Endpoint Picker protocol); 0 is a free one.",
        ),
    ] = None,
    write_envoy: Annotated[
        Path | None, typer.Option(help="With --epp: file to write Envoy's configuration to.")
    ] = None,
    seed: OwnSeed = 0,
    transfer: Transfer = False,
) -> None:
    """Serve OpenAI-style requests, each sent to the backend that an agent chooses.

    SIGTERM and SIGINT let what is in flight end. What happens is in the log, which
    `edge-marl data served` makes a workload of.

    Example: edge-marl serve serve.toml --agent prophet --log served.jsonl
    """
    from edge_marl.cli.serving.made import made_gateway
    from edge_marl.errors import ServingError
    from edge_marl.serving import check_installed

    check_installed()
    if epp is not None:
        check_installed("epp")
    elif write_envoy:
        raise ServingError("--write-envoy: there is nobody for Envoy to ask; give --epp PORT too")
    made = made_gateway(
        config, checkpoint, agent, log, gateway=gateway, port=port, seed=seed, transfer=transfer
    )
    told = made.config
    if not told.on_loopback:
        problems().print(
            f"warning: {told.host} is open to the network, and whoever reaches it may use it",
            markup=False,
            highlight=False,
        )
    asyncio.run(_until_stopped(made, config.name, epp, write_envoy))


async def _until_stopped(
    gateway: Gateway, name: str, epp: int | None, write_envoy: Path | None
) -> None:
    """Listen until a signal to stop."""
    from edge_marl.serving import stop_asked
    from edge_marl.serving.front import Front

    stop, host = stop_asked(), gateway.config.host
    async with AsyncExitStack() as fronts:
        front = await fronts.enter_async_context(Front(gateway))
        if epp is not None:
            from edge_marl.serving.proxy.picker import Picker

            picker = await fronts.enter_async_context(Picker(gateway, epp))
            typer.echo(f"picking for proxies on {host}:{picker.port}")
            if write_envoy:
                _write_envoy(write_envoy, gateway, name, picker.port)
        typer.echo(f"serving on http://{host}:{front.port}")
        await stop.wait()
        problems().print("stopping", markup=False)


def _write_envoy(path: Path, gateway: Gateway, name: str, picker: int) -> None:
    """Write what Envoy is to be started with."""
    from edge_marl.errors import ServingError
    from edge_marl.files import write_file
    from edge_marl.serving.proxy.envoy import PORT, envoy_config

    write_file(path, envoy_config(name, gateway.config, picker), ServingError)
    typer.echo(f"{path} has Envoy listen on port {PORT}: envoy -c {path}")
