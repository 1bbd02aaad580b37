"""An episode on a terminal: a line per server, redrawn in place."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from edge_marl.console import results
from edge_marl.envs.render import Scene, write_text
from edge_marl.envs.render.text import counted, headline, tell_counts, tell_time

__all__ = ["FPS", "KEPT", "WIDTHS", "Screen", "view_of"]

FPS = 8
"""Looks per second."""

BAR = 20
"""Characters of a full bar."""

WIDTHS = (4, BAR, 9, 20, 7, 9)
"""Of the columns, at least: they stay where they are, and fit 80 characters."""

KEPT = 8
"""Lines for the headline, the note, and what is told at the end."""


class Screen:
    """Shows scenes on standard output: on a terminal all of them, elsewhere the last one."""

    def __init__(self) -> None:
        self._console = results()
        self._live: Live | None = None
        self._last: Scene | None = None

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live = Live(console=self._console, auto_refresh=False).__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.__exit__(kind, error, trace)
        elif self._last is not None:
            self._console.print(write_text(self._last), end="", markup=False, highlight=False)

    def show(self, scene: Scene) -> None:
        """Show a scene, and on a terminal leave it there for a moment."""
        self._last = scene
        if self._live is not None:
            self._live.update(view_of(scene, self._console), refresh=True)
            time.sleep(1 / FPS)


def view_of(scene: Scene, console: Console) -> Group:
    """Return a scene as text in colours that fits a terminal."""
    # In order of number, so that a server keeps its place while it is among the fullest.
    shown = sorted(scene.fullest(max(console.height - KEPT, 3)).tolist())
    table = Table.grid(padding=(0, 2))
    for width in WIDTHS:
        table.add_column(min_width=width)
    counts = _counts(scene)
    for server in shown:
        table.add_row(*_row(scene, server, counts[server]))
    left_out = scene.num_servers - len(shown)
    note = f"the fullest of {scene.num_servers:,} servers" if left_out else ""
    return Group(Text(headline(scene), style="bold"), Text(tell_counts(scene)), table, Text(note))


def _counts(scene: Scene) -> list[int]:
    """Return how many tasks are on each server."""
    found = [0] * scene.num_servers
    for server in scene.server_of[scene.here].tolist():
        found[server] += 1
    return found


def _row(scene: Scene, server: int, tasks: int) -> tuple[Text, ...]:
    name = scene.name_of(server)
    if server == scene.cloud:
        told = Text(counted(tasks, "task", "tasks"))
        return Text(name, justify="right"), Text(), Text(), told, Text(), Text()
    full = round(BAR * min(float(scene.load[server]), 1.0))
    down = int(scene.down_ms[server])
    bar = Text("█" * full, style="blue") + Text("─" * (BAR - full), style="dim")
    if down:
        bar = Text(f"down for {tell_time(down)}".ljust(BAR), style="red")
    lost, crashes = int(scene.just_lost[server]), int(scene.log.server_crashes[server])
    waiting = int(scene.waiting[server])
    return (
        Text(name, justify="right"),
        bar,
        Text(f"{int(scene.used[server])}/{int(scene.log.capacity[server])}", justify="right"),
        Text(counted(tasks, "task", "tasks") + (f", {waiting} in line" if waiting else "")),
        Text(f"lost {lost}" if lost else "", style="red"),
        Text(counted(crashes, "crash", "crashes") if crashes else "", style="dim"),
    )
