"""Readers of a gateway's file, and of its event log."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from edge_marl.draw import draw_workload
from edge_marl.scenario import Scenario
from edge_marl.serving.config import Config, load_config
from edge_marl.serving.log import EventLog, History, read_logs
from edge_marl.serving.replay import as_measured, as_simulated, beside, fitting
from edge_marl.serving.servers import topology_of
from edge_marl.serving.world import Choice, Request
from tests.fuzz.mutators import change
from tests.fuzz.of_worlds import SMOKE
from tests.fuzz.property import Entry

__all__ = ["ENTRIES"]

CONFIG = """scenario = "smoke"
gateway = 1
types = ["a", "b", "c", "d"]

[limits]
in_flight = 8
answer_s = 2.5
"""
BACKEND = """
[[backends]]
name = "{name}"
address = "http://127.0.0.1:9001"
models = ["x", "y"]
capacity = 600
place_km = [0.5, 1]
"""


def config_seeds() -> Sequence[bytes]:
    backends = [BACKEND.format(name=name) for name in "abc"]
    return ("".join([CONFIG, *backends]).encode(),)


def find_servers(read: tuple[Config, Scenario]) -> None:
    """Make the servers of a file."""
    config, scenario = read
    if scenario.num_servers < 100:
        topology_of(config, scenario)


@lru_cache(maxsize=1)
def log_seeds() -> Sequence[bytes]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log"
        log = EventLog(path, SMOKE, draw_workload(SMOKE, 0).topology, 1, ["a", "b", "c"])
        for number in range(4):
            log.arrived(10 * number, number, Request(number, 100, 237_000))
            log.sent(10 * number, number, Choice(1, 0, 100), "policy", 0.5)
            log.ended(10 * number + 5, number, "served")
        log.server(50, 1, "down")
        log.close(60)
        return (path.read_bytes(),)


def make_again(history: History) -> None:
    """Make of a log what others read."""
    history.trace(SMOKE)
    history.workload(SMOKE)
    part = fitting(history, SMOKE)
    beside(as_measured(part), as_simulated(part, SMOKE))


ENTRIES = (
    Entry(
        "gateway-config", "serve.toml", config_seeds, change, load_config, find_servers, lists=True
    ),
    Entry("event-log", "log", log_seeds, change, lambda path: read_logs([path]), make_again),
)
