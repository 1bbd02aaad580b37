"""The start of an episode."""

from __future__ import annotations

from edge_marl.kernel.clock import live_on
from edge_marl.kernel.game import line_up, observe_gateways, open_game
from edge_marl.kernel.observe import observe, observe_server
from edge_marl.kernel.servers import report_all
from edge_marl.kernel.world import (
    AGENDA,
    ARRIVAL,
    ARRIVING,
    CLOCK,
    CRASHES,
    DONE,
    EXTENDED,
    GOING_ON,
    ILLEGAL,
    NEVER,
    NOWHERE,
    NUM_CRASHES,
    NUM_RUNNING,
    OUTAGES_PAST,
    SHOWN,
    SLOT,
    TICK,
    USED,
    World,
)


def open_row(w: World, e: int) -> None:
    """Start an episode on a workload that is in place (`load_draft`): its first decision is shown.

    In the game of gateways it is `open_game_row`.
    """
    open_episode(w, e)
    if w.spec[EXTENDED] == 1:
        live_on(w, e)
    observe(w, e)


def open_game_row(w: World, e: int) -> None:
    """`open_row` in the game of gateways: they see what they have to decide on."""
    open_episode(w, e)
    if w.spec[EXTENDED] == 1 and w.spec[SLOT] == 0:
        live_on(w, e)
    observe(w, e)
    line_up(w, e)
    open_game(w, e)
    observe_gateways(w, e)


def open_episode(w: World, e: int) -> None:
    """Nothing has happened yet: the first task arrives now, or in the extended model later."""
    empty_servers(w, e)
    w.episode[e, SHOWN] = 0
    w.episode[e, DONE] = GOING_ON
    w.episode[e, CRASHES] = 0
    w.episode[e, ILLEGAL] = 0
    w.episode[e, ARRIVING] = 0
    w.episode[e, AGENDA] = 0
    w.episode[e, OUTAGES_PAST] = 0
    if w.spec[EXTENDED] == 0:
        w.episode[e, CLOCK] = w.tasks[e, 0, ARRIVAL]
    else:
        w.episode[e, CLOCK] = 0
        w.episode[e, TICK] = NOWHERE
        report_all(w, e)


def empty_servers(w: World, e: int) -> None:
    """Nothing runs anywhere, and nothing has crashed."""
    for node in range(w.soonest.shape[1]):
        w.soonest[e, node] = NEVER
    for server in range(w.servers.shape[1]):
        w.servers[e, server, USED] = 0
        w.servers[e, server, NUM_RUNNING] = 0
        w.servers[e, server, NUM_CRASHES] = 0
        observe_server(w, e, server)
