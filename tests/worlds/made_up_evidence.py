"""Evidence of a tier made by hand, with parts and a learner."""

from __future__ import annotations

from typing import Any


def evidence() -> dict[str, Any]:
    """Three agents, a part that matters, one that does not, one by its ranking, one not played."""
    utilities = {"prophet": 0.80, "nearest": 0.75, "random": 0.1, "bid-price": 0.82}
    agents = {
        name: {
            "utility_per_task": [value, value - 0.01, value + 0.01],
            "score": [value, value, value],
            "utilisation": 0.5,
            "lost_fraction": 0.01,
            "server_crash_rate": 0.001,
            "on_time_rate": 0.9,
            "cold_start_rate": 0.1,
        }
        for name, value in utilities.items()
    }
    three = ["bid-price", "prophet", "nearest"]
    return {
        "scenario": "0" * 64,
        "workloads": 100,
        "bound_per_task": 0.9,
        "agents": agents,
        "rule": {},
        "parts": {
            "network": part(0.001, three, earns=False),
            "cloud": part(-0.004, ["prophet", "nearest", "random"], earns=True)
            | {"cannot_play": ["bid-price"]},
            "neighbourhood": {"left_out": "too many actions"},
            "telemetry": part(0.06, three, earns=True),
        },
    }


def part(difference: float, first_three: list[str], *, earns: bool) -> dict[str, Any]:
    """What is left without a part."""
    return {
        "best": first_three[0],
        "utility_per_task": [0.82 + difference, 0.81 + difference, 0.83 + difference],
        "difference": [difference, difference - 0.002, difference + 0.002],
        "first_three": first_three,
        "earns": earns,
    }


def learner(value: float) -> dict[str, Any]:
    """What a learner got."""
    return {
        "agent": "ppo network=pairs",
        "budget": 1_000_000,
        "seeds": 5,
        "utility_per_task": [value, value - 0.01, value + 0.01],
    }
