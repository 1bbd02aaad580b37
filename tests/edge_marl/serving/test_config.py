"""A gateway's file: what it tells of servers, and what is wrong with it in one message."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_marl.errors import ServingError
from edge_marl.scenario import Scenario
from edge_marl.serving.config import Config, load_config
from edge_marl.serving.servers import topology_of
from tests.worlds.every_part import FULL

SERVICES = [{"quality": [0.1, 0.2, 0.3], "curve": [0, 0, 48, 0.5]} for _ in range(3)]
DEVICES = Scenario.model_validate(FULL)


def backend(number: int, **more: Any) -> dict[str, Any]:
    facts = {"name": f"b{number}", "address": f"http://127.0.0.1:{9000 + number}"}
    return facts | {"models": ["t", "b", ""], "capacity": 60, "memory_mib": 6000} | more


def config_of(**more: Any) -> Config:
    backends = [backend(k, place_km=[k / 10, 0]) for k in range(12)]
    cloud = backend(12, models=["t", "b", "x"], slowdown=0.4)
    facts = {"scenario": "x.toml", "services": SERVICES, "backends": [*backends, cloud]}
    return Config.model_validate(facts | more)


def test_servers_are_as_the_file_tells() -> None:
    topology = topology_of(config_of(place_km=[0.52, 0]), DEVICES)
    assert topology.neighbours is not None
    assert topology.propagation is not None
    assert topology.slowdown is not None
    assert topology.hosted is not None
    assert topology.neighbours[0].tolist() == [5, 6, 4, 7, 12]
    assert topology.propagation[0].tolist() == [3, 3, 3, 3, 40]
    assert topology.slowdown[0].tolist() == [500, 1000, 2500]
    assert topology.slowdown[12].tolist() == [200, 400, 1000]
    assert topology.hosted[0].tolist() == [True, True, False]
    assert np.array_equal(topology.baseline[3], [[0.1, 0.2, 0.3]] * 3)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"services": []}, "services has 0 entries: scenario 'every-part' draws"),
        (
            {"services": [SERVICES[0] | {"quality": [1.0]}] * 3},
            "services.quality = [1.0]: scenario",
        ),
        (
            {"backends": [backend(k, capacity=None) for k in range(13)]},
            "backend 'b0' has no capacity",
        ),
        (
            {"backends": [backend(k, memory_mib=100) for k in range(13)]},
            "backend 'b0' has memory_mib = 100: its model 't' takes 4000",
        ),
    ],
)
def test_what_a_scenario_needs_has_to_be_told(change: dict[str, Any], told: str) -> None:
    with pytest.raises(ServingError) as error:
        topology_of(config_of(**change), DEVICES)
    assert str(error.value).startswith(told)


GOOD = """
scenario = "smoke"
[[backends]]
name = "a"
address = "http://127.0.0.1:9001"
models = ["x", "y"]
[[backends]]
name = "b"
address = "http://127.0.0.1:9002"
models = ["x", "y"]
[[backends]]
name = "c"
address = "http://127.0.0.1:9003"
models = ["x", "y"]
"""


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('"smoke"', '"smoke', "not readable as TOML"),
        ("http://127.0.0.1:9001", "127.0.0.1", "backends.0.address = '127.0.0.1': "),
        ('name = "b"', 'name = "a"', "two backends are called 'a': give each its own name"),
        ('scenario = "smoke"', 'scenario = "paper"', "3 backends: scenario 'paper' has 10 servers"),
        ('"smoke"', '"smoke"\ngateway = 2', "gateway = 2: scenario 'smoke' has gateways 0 to 1"),
        ('"smoke"', '"smoke"\ntypes = ["a"]', "types names 1: scenario 'smoke' has 4"),
        ('["x", "y"]', '["x"]', "backend 'a' names 1 models: scenario 'smoke' has 2 services"),
        ('"smoke"', '"smoke"\nport = 70000', "port = 70000: "),
        ('"smoke"', '"smoke"\nhots = "x"', "hots: there is no such field; leave it out"),
    ],
)
def test_what_is_wrong_with_a_file_is_told(tmp_path: Path, old: str, new: str, told: str) -> None:
    path = tmp_path / "serve.toml"
    path.write_text(GOOD, "utf-8")
    config, scenario = load_config(path)
    assert (len(config.backends), config.on_loopback) == (scenario.num_servers, True)
    path.write_text(GOOD.replace(old, new), "utf-8")
    with pytest.raises(ServingError) as error:
        load_config(path)
    assert told in str(error.value)
    assert str(error.value).startswith(f"{path}: ")


def test_the_example_is_a_gateway_of_its_scenario() -> None:
    folder = Path(__file__).parents[3] / "docs" / "examples" / "serving"
    config, scenario = load_config(folder / "serve.toml")
    assert topology_of(config, scenario).capacity.tolist() == [120, 80, 80]
