"""The command `edge-marl backend`: a small real model server, to try a gateway on."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

__all__ = ["backend"]


def backend(
    kind: Annotated[
        Literal["digits", "text"],
        typer.Option(help="Digits by diffusion, or text by a small language model."),
    ] = "digits",
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 is a free one.")] = 9001,
    capacity: Annotated[
        int,
        typer.Option(min=1, max=10_000, help="Steps, or tokens, that there is memory for."),
    ] = 100,
    line: Annotated[
        int,
        typer.Option(min=0, max=1024, help="Tasks that may wait; 0: one too many ends the server."),
    ] = 0,
    step_mib: Annotated[
        int, typer.Option(min=1, max=1024, help="Memory that a task holds for each of its steps.")
    ] = 1,
    tiles: Annotated[
        int, typer.Option(min=1, max=4096, help="Digits on a sheet: the work of a step of them.")
    ] = 64,
    restart_s: Annotated[
        float, typer.Option(min=0, help="Time before a server that died is started again.")
    ] = 0.0,
) -> None:
    """Serve a small model of digits or of text on this processor, with memory that can run out.

    A server that runs out of it dies with all that it has, and is started again.

    Example: edge-marl backend --port 9001 --capacity 100
    """
    from edge_marl.serving import check_installed
    from edge_marl.serving.backend.supervisor import Settings, Supervisor

    check_installed()
    if kind == "text":
        check_installed("text")
    settings = Settings(kind, host, port, capacity, line, step_mib, tiles, restart_s)
    Supervisor(settings, typer.echo).run()
