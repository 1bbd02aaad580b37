"""The rule that test sets are made by, and that those which are released came out of it."""

import math
from pathlib import Path

import pytest

from edge_marl import load_scenario, tiers
from edge_marl.benchmarks.release.generalisation import CITY, make_test_set, release
from edge_marl.errors import ScenarioError
from edge_marl.scenario import Scenario, list_tiers, parse_scenario
from edge_marl.scenario.generalisation import TITLES, test_sets, tier_of
from edge_marl.scenario.servers import DeviceServers
from edge_marl.scenario.writing import as_toml
from edge_marl.tiers.releases import list_test_sets
from edge_marl.workload.topology import offered_load
from tests.worlds.moved import release_in, town

EXTENDED = ("campus", "metro", "studio", "nation", "planet")


@pytest.mark.parametrize("name", list_test_sets())
def test_a_released_test_set_is_what_the_rule_makes_of_its_tier(name: str) -> None:
    found = load_scenario(name)
    end = found.name.removeprefix(f"{found.test_set_of}-")
    assert name == f"{found.name}@{found.version}"
    assert make_test_set(tier_of(found), end).digest == found.digest


@pytest.mark.parametrize("tier", EXTENDED)
def test_every_extended_tier_has_its_test_sets_from_version_2_on(tier: str) -> None:
    newest = load_scenario(tier)
    if newest.version > 1:
        assert list(test_sets(newest)) == ["new days", *TITLES.values()]
    else:
        assert not [name for name in list_test_sets() if name.startswith(f"{tier}-")]


@pytest.mark.parametrize("name", list_tiers())
def test_a_file_reads_back_as_the_scenario_that_was_written(name: str) -> None:
    scenario = load_scenario(name)
    text = as_toml(scenario, "First line.\n\nLast line.")
    assert text.startswith("# First line.\n#\n# Last line.\nname = ")
    assert parse_scenario(text, "").digest == scenario.digest


@pytest.mark.parametrize(("end", "factor"), [("half", 0.5), ("double", 2.0)])
def test_sizes_go_together(end: str, factor: float) -> None:
    home = town()
    made = make_test_set(home, end)
    assert (made.name, made.version, made.test_set_of) == (f"town-{end}", 1, "town")
    assert made.servers.count == 10 * factor
    assert made.gateways.count == math.ceil(5 * factor)
    assert made.gateways.neighbourhood == 5
    assert made.arrivals.rate_per_s == 0.6 * factor
    assert offered_load(made) == pytest.approx(offered_load(home))
    assert math.prod(made.gateways.area_km) == pytest.approx(200.0 * factor, rel=1e-3)
    hot = made.arrivals.hot_spots
    assert hot is not None
    assert (hot.count, hot.gateways) == (math.ceil(factor), 2)
    rest = {"servers", "gateways", "arrivals", "name", "summary", "test_set_of"}
    assert made.model_dump(exclude=rest) == home.model_dump(exclude=rest)


def test_a_large_area_grows_to_the_largest_that_there_is() -> None:
    planet = load_scenario("planet")
    assert max(make_test_set(planet, "double").gateways.area_km) == 10_000.0


def test_the_city_has_other_things_under_the_same_load() -> None:
    home = town()
    made = make_test_set(home, "city")
    assert isinstance(made.servers, DeviceServers)
    assert isinstance(home.servers, DeviceServers)
    for part in ("devices", "models"):
        known = {thing.name for thing in getattr(home.servers, part)}
        assert not known & {thing.name for thing in getattr(made.servers, part)}
    assert made.num_services == home.num_services
    assert set(made.tasks.demand) != set(home.tasks.demand)
    assert offered_load(made) == pytest.approx(offered_load(home), rel=5e-3)
    assert min(made.servers.capacity) >= made.tasks.max_demand
    assert sum(made.tasks.deadline_s) == pytest.approx(sum(home.tasks.deadline_s), rel=1e-3)
    assert made.gateways == home.gateways


def test_what_a_tier_has_off_is_off_in_its_city() -> None:
    facts = town().model_dump(mode="json", exclude_defaults=True)
    for key in ("zipf", "sticky", "fail_share", "deadline_s"):
        del facts["tasks"][key]
    made = make_test_set(Scenario.model_validate(facts), "city")
    law = made.tasks
    assert (law.zipf, law.sticky, law.fail_share, law.deadline_s) == (0.0, 0.0, 0.0, ())


@pytest.mark.parametrize(
    ("tier", "end", "message"),
    [
        ("campus@1", "half", "'campus-half' has 113 observations, 'campus' has 218: .*neighbour"),
        ("paper", "city", "'paper' has no devices"),
    ],
)
def test_where_the_rule_makes_none_it_says_why(tier: str, end: str, message: str) -> None:
    with pytest.raises(ScenarioError, match=message):
        make_test_set(load_scenario(tier), end)


def test_a_released_file_is_never_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "tiers"
    release_in(folder, monkeypatch, town())
    written = {path.name: path.read_text() for path in (folder / "generalisation").iterdir()}
    assert sorted(written) == ["town-city@1.toml", "town-double@1.toml", "town-half@1.toml"]
    release(["town"])
    assert {p.name: p.read_text() for p in (folder / "generalisation").iterdir()} == written
    assert all(line in written["town-city@1.toml"] for line in CITY.read_text().splitlines()[:20])
    path = folder / "generalisation" / "town-double@1.toml"
    path.write_text(path.read_text().replace("count = 20", "count = 21"))
    with pytest.raises(ScenarioError, match=r"town-double@1\.toml: released with digest"):
        release(["town"])
    assert "count = 21" in path.read_text()


def test_the_package_has_the_folder() -> None:
    assert tiers.FOLDER.joinpath("generalisation").is_dir()
