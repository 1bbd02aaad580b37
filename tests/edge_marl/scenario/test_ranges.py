"""Every number of a scenario has a range, and what passes can be played."""

import json
import re
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import gymnasium
import numpy as np
import pytest

from edge_marl import Scenario, load_scenario, tiers
from edge_marl.errors import ScenarioError
from edge_marl.scenario import parse_scenario
from tests.worlds.every_part import FULL, TERMS

SMOKE = tiers.FOLDER.joinpath("smoke.toml").read_text()
REPLAYED: dict[str, Any] = {
    **{key: FULL[key] for key in ("name", "version", "summary", "overload", "episode")},
    "servers": {"law": "adsac", "world": 3, "count": 2, "services": 2, "capacity": [400]},
    "tasks": {"types": 2, "demand": [10], "run_time_minutes": [0.0, 0.01, 0.05]},
    "arrivals": {"rate_per_s": 0.5, "horizon_s": 60, "resolution_s": 0.5},
    "clock": {"slot_s": 1.5},
    "replay": {
        "trace": "mooncake-synthetic",
        "window_s": 20.0,
        "compress": 1.5,
        "own_quality": 0.5,
        "tokens": {
            "block": 5,
            "prefill_per_s": 3,
            "decode_per_s": 3.5,
            "prompt_bounds": [7],
        },
        "windows": {"train": [0, 50], "validation": [50, 90], "test": [90, 150]},
    },
}
GIVEN = REPLAYED | {
    "servers": {
        "law": "given",
        "capacity": [400],
        "baseline": [[[0.5, 0.75]]],
        "curve": [[[0.0, 0.25, 10.0, 0.75]]],
    }
}
MORE = REPLAYED | TERMS | {"tasks": REPLAYED["tasks"] | TERMS["tasks"]}
MORE["concurrency"] = {"growth": [0.5, 0.8]}
WHOLE = {"full": FULL, "replayed": REPLAYED, "given": GIVEN, "terms": MORE}
ODD = ["inf", "-inf", "nan", "1e308", "-1e308", "5e-324", "-1", "0", str(2**63), str(-(2**63) - 1),
       "1" + "0" * 400, "1e18", "0x1" + "0" * 5000, "1" + "0" * 5000]  # fmt: skip


def numbers(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Places of all numbers."""
    if isinstance(value, dict | list | tuple):
        for key, part in value.items() if isinstance(value, dict) else enumerate(value):
            yield from numbers(part, (*place, key))
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield place


def toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {toml(part)}" for key, part in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(toml, value)) + "]"
    return json.dumps(value)


def with_number(facts: dict[str, Any], place: tuple[Any, ...], number: str) -> str:
    facts = deepcopy(facts)
    part: Any = facts
    for key in place[:-1]:
        part = part[key]
    part[place[-1]] = "HERE"
    text = "\n".join(f"{key} = {toml(section)}" for key, section in facts.items())
    return text.replace('"HERE"', number)


@pytest.mark.parametrize(
    ("name", "place"),
    [(name, place) for name, facts in WHOLE.items() for place in numbers(facts)],
    ids=lambda part: part if isinstance(part, str) else ".".join(map(str, part)),
)
def test_no_number_ends_in_a_traceback(name: str, place: tuple[Any, ...]) -> None:
    """It is taken, or refused in one short line that names a key of its section."""
    for number in ODD:
        try:
            parse_scenario(with_number(WHOLE[name], place, number), "mine.toml")
        except ScenarioError as error:
            said = str(error)
            assert re.match(r"mine\.toml[^\n]{1,500}$", said), said[:2000]
            assert "not valid TOML" in said or str(place[0]) in said or str(place[-1]) in said
        else:
            assert number[:4] not in ("inf", "-inf", "nan", "1e30", "-1e3")
            assert len(number) < 400


@pytest.mark.parametrize(
    ("section", "field"),
    [("telemetry", "period_s"), ("overload", "restart_s"), ("clock", "slot_s")],
)
@pytest.mark.parametrize("seconds", ["0.0004", "0.0005", "0.00099", "5e-324"])
def test_less_than_a_millisecond_is_not_off(section: str, field: str, seconds: str) -> None:
    facts = REPLAYED | {section: REPLAYED.get(section, {}) | {field: 0.001}}
    parse_scenario(with_number(facts, (section, field), "0.001"), "mine.toml")
    parse_scenario(with_number(facts, (section, field), "0"), "mine.toml")
    with pytest.raises(ScenarioError, match=rf"{section}.{field} = \S+: must be 0 .*0\.001"):
        parse_scenario(with_number(facts, (section, field), seconds), "mine.toml")


def test_times_that_the_simulator_cannot_hold() -> None:
    facts = FULL | {"tasks": FULL["tasks"] | {"upload_kb": [0, 10**9]}}
    facts |= {"network": FULL["network"] | {"bandwidth_mbit": [0.008, 1.0]}}
    with pytest.raises(ValueError, match=r"a request may last until \d+ ms: .*bandwidth_mbit"):
        Scenario.model_validate(facts)


def test_gateways_have_a_most() -> None:
    with pytest.raises(ScenarioError, match=r"gateways = 100000000000: .* at most 1048576"):
        load_scenario("smoke").with_gateways(10**11)


def test_byte_order_mark(tmp_path: Any) -> None:
    (tmp_path / "mine.toml").write_text("\ufeff" + SMOKE, "utf-8")
    assert load_scenario(tmp_path / "mine.toml").digest == load_scenario("smoke").digest
    assert parse_scenario("\ufeff" + SMOKE, "mine.toml").name == "smoke"


@pytest.mark.parametrize("text", ["a = " + "[" * 100_000, "a = " + "9" * 5000, "a = 2024-13-01"])
def test_text_that_is_no_toml(text: str) -> None:
    with pytest.raises(ScenarioError, match=r"^mine.toml.*not valid TOML: ") as caught:
        parse_scenario(text, "mine.toml")
    assert "\n" not in str(caught.value)


# Observations


def given(baseline: float, ay: float, by: float, **more: Any) -> Scenario:
    servers = {
        "law": "given",
        "capacity": [50, 30],
        "baseline": [[[0.2]], [[baseline]]],
        "curve": [[[0.0, 0.0, 5.0, 0.5]], [[2.0, ay, 7.0, by]]],
    }
    tasks = {"types": 1, "demand": [1, 2, 3, 5, 7, 9], "run_time_minutes": [0, 0.1, 0]}
    facts = {key: FULL[key] for key in ("name", "version", "summary", "episode", "overload")}
    facts["overload"] = {"penalty": 1.0, "loss_sum": "in-order"}
    facts |= {"servers": servers, "arrivals": {"rate_per_s": 0.2, "horizon_s": 200}}
    return Scenario.model_validate({**facts, "tasks": tasks | more})


@pytest.mark.parametrize(
    ("baseline", "ay", "by"),
    [(5.0, 0.0, 0.3), (-0.4, 0.0, 1.0), (0.3, 0.4, 0.0), (1.5, 0.0, 0.51), (0.3, 0.4, 0.1)],
)
def test_qualities_that_could_not_be_observed(baseline: float, ay: float, by: float) -> None:
    given(baseline, ay, by)  # the base model does not show them
    rule = r"servers.baseline.1.0 and servers.curve.1.0 gives qualities from .*: must lie in 0 to 2"
    with pytest.raises(ValueError, match=rule):
        given(baseline, ay, by, deadline_s=[60])


@pytest.mark.parametrize(
    ("baseline", "ay", "by"), [(1.5, 0.0, 0.5), (0.0, 0.0, 2.0), (0.9, 0.8, 0.1), (0.0, 0.3, 0.3)]
)
def test_observations_lie_in_their_space(baseline: float, ay: float, by: float) -> None:
    env: Any = gymnasium.make("EdgeAIGC-v0", scenario=given(baseline, ay, by, deadline_s=[9]))
    rng = np.random.default_rng(0)
    for seed in range(10):
        observation, _ = env.reset(seed=seed)
        over = False
        while not over:
            assert observation in env.observation_space
            observation, _, terminated, truncated, _ = env.step(int(rng.integers(2)))
            over = terminated or truncated


def test_own_quality_that_could_not_be_observed() -> None:
    facts = deepcopy(REPLAYED) | {"network": FULL["network"]}
    facts["replay"]["own_quality"] = 1.05
    Scenario.model_validate(facts)
    facts["replay"]["own_quality"] = 1.06
    with pytest.raises(ValueError, match=r"replay.own_quality = 1.06 gives qualities from .* to 2"):
        Scenario.model_validate(facts)
