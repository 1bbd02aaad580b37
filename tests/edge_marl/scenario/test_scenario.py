"""Tiers load, users' files work the same way, and everything malformed is explained."""

import re
from pathlib import Path

import numpy as np
import pytest

from edge_marl import draw_topology, list_tiers, load_scenario
from edge_marl.errors import ScenarioError
from edge_marl.scenario import parse_scenario, read_tier
from edge_marl.workload.topology import offered_load

SMOKE, METRO = (read_tier(name) for name in ("smoke", "metro@1"))


@pytest.mark.parametrize(
    ("tier", "servers", "services", "types", "load"),
    [("smoke", 3, 2, 4, 0.742), ("agod", 20, 1, 1, 0.409), ("paper", 10, 4, 4, 0.696)],
)
def test_tier_has_its_stated_sizes_and_load(
    tier: str, servers: int, services: int, types: int, load: float
) -> None:
    scenario = load_scenario(tier)
    sizes = (scenario.num_servers, scenario.num_services, scenario.num_types)
    assert sizes == (servers, services, types)
    assert scenario.num_actions == servers * services
    assert offered_load(scenario) == pytest.approx(load, abs=5e-4)


def test_released_tiers_never_change() -> None:
    digests = {name: load_scenario(name).digest[:8] for name in list_tiers()}
    base = {"agod": "92de23b5", "paper": "50260e6d", "smoke": "0a4aaea3"}
    extended = {"campus@1": "ec950428", "metro@1": "c7498cea", "studio@1": "dc2cadf8"}
    extended |= {"nation@1": "72d79962", "planet@1": "0334c20e"}
    extended |= {"campus@2": "7a3309e6", "metro@2": "e8abcdbf", "studio@2": "1ec2536f"}
    extended |= {"nation@2": "7530ea7c", "planet@2": "f4d3801d"}
    assert digests.items() >= (base | extended).items()


def test_worlds_differ_and_world_0_is_the_default() -> None:
    paper = load_scenario("paper")
    assert load_scenario("paper", world=0) == paper
    digests = {load_scenario("paper", world=k).digest for k in range(10)}
    assert len(digests) == 10
    assert load_scenario("paper", world=3).label == "paper-w3"
    capacities = {tuple(draw_topology(load_scenario("paper", world=k)).capacity) for k in range(10)}
    assert len(capacities) == 10


def test_copy_has_a_digest_of_its_own() -> None:
    paper = load_scenario("paper")
    assert paper.digest != paper.in_world(3).digest
    assert paper.in_world(3).digest == load_scenario("paper", world=3).digest
    assert paper.in_world(3).in_world(0).digest == paper.digest
    assert paper.model_copy(update={"version": 2}).digest != paper.digest


def test_digest_depends_on_what_bears_on_results_only() -> None:
    scenario = parse_scenario(SMOKE, "smoke.toml")
    retold = parse_scenario(SMOKE.replace("for tests and first runs", "tiny"), "smoke.toml")
    default_spelled_out = parse_scenario(SMOKE + "\n", "smoke.toml")
    assert scenario.digest == retold.digest == default_spelled_out.digest
    harsher = parse_scenario(SMOKE.replace("penalty = 2.0", "penalty = 3.0"), "smoke.toml")
    assert harsher.digest != scenario.digest


def test_own_file_works_where_a_tier_does(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(SMOKE.replace('name = "smoke"', 'name = "mine"'))
    assert load_scenario(path).name == load_scenario(str(path)).name == "mine"


def test_servers_can_be_written_out() -> None:
    given = re.sub(
        r"\[servers\].*?\n\n",
        '[servers]\nlaw = "given"\ncapacity = [300, 500]\n'
        "baseline = [[[0.1, 0.2, 0.3, 0.4]], [[0.5, 0.6, 0.7, 0.8]]]\n"
        "curve = [[[0.0, 0.0, 200.0, 1.0]], [[0.0, 0.1, 150.0, 0.9]]]\n\n",
        SMOKE,
        flags=re.DOTALL,
    )
    scenario = parse_scenario(given, "given.toml")
    topology = draw_topology(scenario)
    assert (scenario.num_servers, scenario.num_services) == (2, 1)
    np.testing.assert_array_equal(topology.capacity, [300, 500])
    np.testing.assert_array_equal(topology.baseline[1, 0], [0.5, 0.6, 0.7, 0.8])
    with pytest.raises(ScenarioError, match="has no worlds to choose from"):
        load_scenario(scenario, world=1)


def _line(start: str, text: str = SMOKE) -> int:
    return next(i for i, line in enumerate(text.splitlines(), 1) if line.startswith(start))


@pytest.mark.parametrize(
    ("right", "wrong", "line", "message"),
    [
        (
            "count = 3",
            "cout = 3",
            "count = 3",
            "unknown field 'servers.cout': did you mean 'count'",
        ),
        ("count = 3", "count = 0", "count = 3", "servers.count = 0: .*greater than or equal to 1"),
        ("count = 3\n", "", "[servers]", "field 'servers.count' is missing"),
        ("types = 4", 'types = "four"', "types = 4", "tasks.types = 'four': .*valid integer"),
        ("rate_per_s = 0.0004", "rate_per_s = nan", "rate_per_s", "arrivals.rate_per_s = nan"),
        ("rate_per_s = 0.0004", "rate_per_s = 1e9", "[arrivals]", "arrivals.*at most 524288 fit"),
        ("2.5, -14.0]", "2.5, -1400.0]", "[tasks]", "run_time_minutes gives -.* at least 1 ms"),
        ('law = "adsac"', 'law = "mine"', "[servers]", "'adsac', 'agod', 'given'"),
        ('law = "adsac"', 'law = "agod"', "[servers]", "'agod' has one service per server, not 2"),
        ('end = "horizon"', 'end = "never"', "end =", "'last-task' or 'horizon'"),
        (
            "[episode]",
            "[episodes]",
            "[episode]",
            "unknown field 'episodes': did you mean 'episode'",
        ),
        ("demand = [100,", "demand = [0,", "demand", "tasks.demand.0 = 0"),
        ("horizon_s = 150000", "horizon_s = = 1", "horizon_s", "not valid TOML"),
        ('name = "smoke"', 'name = "Smo ke"', "name", "name = 'Smo ke'"),
    ],
)
def test_malformed_file_is_explained(right: str, wrong: str, line: str, message: str) -> None:
    assert right in SMOKE
    with pytest.raises(ScenarioError, match=message) as caught:
        parse_scenario(SMOKE.replace(right, wrong), "mine.toml")
    assert f"mine.toml:{_line(line)}: " in str(caught.value)


@pytest.mark.parametrize(
    ("right", "wrong", "line", "message"),
    [
        ("hosted = 4", "hosted = 9", "[servers]", "hosted = 9: there are 6 models"),
        ("slowdown = 1.83", "slowdwn = 1.83", "slowdwn", "servers.devices.0.slowdwn': did you"),
        ("slowdown = 1.83", "slowdown = 0.0", "slowdown", "devices.0.slowdown = 0.0: .*0.001"),
        (
            "capacity = [320, 480]",
            "capacity = []",
            "capacity = []",
            "devices.0.capacity.*at least 1",
        ),
        ("share = 0.2", "share = -1.0", "share = -1.0", "servers.devices.2.share = -1.0"),
        ("0.008]", "0.008, 1.0]", "[tasks]", "demand_share has 9 entries, demand 8"),
        ("deadline_s = [60.0, ", "deadline_s = [", "[tasks]", "5 entries for 6 types"),
        ("fail_share = 0.0148", "fail_share = 1.48", "fail_share", "fail_share = 1.48"),
        ("sticky = 0.72", "sticky = 72", "sticky", "tasks.sticky = 72"),
        ("upload_kb = [250, 625]", "upload_kb = [625, 250]", "[tasks]", "the least comes first"),
        ("users = 40", "users = 40\nstages = [1.0, 0.0]", "stages", "tasks.stages.1 = 0.0"),
        ("ratio = 5.0", "ratio = 0.5", "bursts", "arrivals.bursts.ratio = 0.5"),
        ("quiet_s = 300.0", "quiet_s = 0.0", "bursts", "arrivals.bursts.quiet_s = 0.0"),
        ("gap_cv = 1.1", "gap_cv = 0.0", "gap_cv", "arrivals.gap_cv = 0.0"),
        ("gap_cv = 1.1", "daily = [0.0, 0.0]", "[arrivals]", "some part of the day needs a weight"),
        (
            "gap_cv = 1.1",
            "hot_spots = { count = 5, gateways = 5, ratio = 2.0, period_s = 60.0 }",
            "",
            "5 spots of 5 gateways: there are 20",
        ),
        (
            "neighbourhood = 12",
            "neighbourhood = 99",
            "",
            "neighbourhood = 99: there are 51 servers",
        ),
        ("area_km = [30.0, 30.0]", "area_km = [30.0]", "area_km", "area_km.1.* is missing"),
        ("bandwidth_mbit = [400.0,", "bandwidth_mbit = [900.0,", "[network]", "least comes first"),
        ("ms_per_km = 0.005", "ms_per_mile = 1", "ms_per_mile", "did you mean 'ms_per_km'"),
        ("median_s = 2.96", "median_s = -1.0", "load = [", "residency.load.0.median_s = -1.0"),
        (
            "price_per_step = 0.005",
            "price_per_step = nan",
            "price_per_step",
            "price_per_step = nan",
        ),
        ("every_s = 18000.0", "every_s = 0.0", "every_s", "outages.every_s = 0.0"),
        ("period_s = 5.0", "period_s = -5.0", "period_s", "telemetry.period_s = -5.0"),
        ("refund = true", 'refund = "often"', "refund", "overload.refund = 'often'"),
        (
            'end = "horizon"',
            'end = "last-task"\n[clock]\nhold = true',
            "[clock]",
            "hold = true needs",
        ),
        ("[cloud]", "[clouds]", "[clouds]", "unknown field 'clouds': did you mean 'cloud'"),
    ],
)
def test_malformed_parts_are_explained(right: str, wrong: str, line: str, message: str) -> None:
    assert right in METRO
    text = METRO.replace(right, wrong, 1)
    with pytest.raises(ScenarioError, match=message) as caught:
        parse_scenario(text, "mine.toml")
    said = str(caught.value)
    assert "\n" not in said
    if line:
        assert said.startswith(f"mine.toml:{_line(line, text)}: ")


def test_rules_between_sections_are_told() -> None:
    with pytest.raises(ScenarioError, match="residency needs servers with memory"):
        parse_scenario(
            SMOKE + METRO[METRO.index("[residency]") : METRO.index("[cloud]")], "mine.toml"
        )
    staged = SMOKE.replace("types = 4", "types = 4\nstages = [1.0, 1.0]")
    with pytest.raises(ScenarioError, match=r"episode.end must be 'horizon'"):
        parse_scenario(staged.replace('end = "horizon"', 'end = "last-task"'), "mine.toml")


def test_every_problem_of_a_file_is_told() -> None:
    broken = SMOKE.replace("count = 3", "count = 0").replace("types = 4", "types = 0")
    with pytest.raises(ScenarioError, match=r"(?s)servers.count.*\n.*tasks.types"):
        parse_scenario(broken, "mine.toml")


def test_unknown_tier_and_missing_file_are_explained(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match=r"unknown tier 'papr': did you mean 'paper'\?.*agod"):
        load_scenario("papr")
    with pytest.raises(ScenarioError, match="there is no such scenario file"):
        load_scenario(tmp_path / "none.toml")
    (tmp_path / "latin.toml").write_bytes(b'name = "\xe9"')
    with pytest.raises(ScenarioError, match="cannot be read as UTF-8 text"):
        load_scenario(tmp_path / "latin.toml")


@pytest.mark.parametrize("world", [-1, 2**32])
def test_world_out_of_range_is_explained(world: int) -> None:
    with pytest.raises(ScenarioError, match=f"world = {world}: must be from 0"):
        load_scenario("paper", world=world)
