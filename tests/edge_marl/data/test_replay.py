from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from edge_marl import draw_workload
from edge_marl.data import copies, dataset, load_image_requests, load_metric
from edge_marl.data.places import settle
from edge_marl.data.replay import replay_workload
from edge_marl.errors import DataError, EdgeMarlError, ScenarioError
from edge_marl.files import CACHE_VARIABLE
from edge_marl.kernel.world import (
    ARRIVAL,
    DEADLINE,
    DEMAND,
    DOWNLOAD,
    FAILS,
    GATEWAY,
    LOAD_TIME,
    RUN_TIME,
    TYPE,
    UPLOAD,
)
from edge_marl.scenario import Scenario, list_tiers, load_scenario, parse_scenario
from edge_marl.workload import Workload
from edge_marl.workload.parts import SPLITS
from edge_marl.workload.sampling import Streams
from tests.edge_marl.data.test_data import TRACES, check_message, needs_traces
from tests.worlds import recorded
from tests.worlds.recorded import write

PRODUCTION = """
name = "of-a-day"
version = 1
summary = "made up"

[servers]
law = "devices"
count = 3

[[servers.devices]]
name = "gpu"
capacity = [300, 400]
memory_mib = 100

[[servers.models]]
name = "first"
memory_mib = 40
quality = [0.1, 0.5]

[[servers.models]]
name = "second"
memory_mib = 40
quality = [0.1, 0.5]

[tasks]
types = 3
demand = [30, 120]
run_time_minutes = [0.0, 0.01, 0.0]
deadline_s = [60, 60, 90]
upload_kb = [1, 500]
download_kb = [100, 300]
fail_share = 0.5

[arrivals]
rate_per_s = 0.5
horizon_s = 600

[gateways]
count = 2
neighbourhood = 2

[network]
latency_ms = 2
bandwidth_mbit = [100, 100]

[residency]
load = [{ share = 1, median_s = 100, sd_log = 0 }]

[overload]
penalty = 1.0
loss_sum = "in-order"
refund = true

[episode]
end = "horizon"

[replay]
trace = "gentd26"
window_s = 1200
compress = 4
places = "eua-melbourne"
own_quality = 0.9

[replay.windows]
train = ["2024-03-01 00:00:00", "2024-03-01 01:30:00"]
validation = ["2024-03-01T01:30:00", 2024-03-01T02:15:00]
test = [2024-03-01 02:15:00, 2024-03-02]
"""

OWN = """
name = "of-mine"
version = 1
summary = "made up"

[servers]
law = "agod"
count = 2
services = 1
capacity = [400]

[tasks]
types = 2
demand = [10, 20]
run_time_minutes = [0.0, 1.0, 0.0]

[arrivals]
rate_per_s = 1
horizon_s = 10

[gateways]
count = 2

[overload]
penalty = 2.0
loss_sum = "in-order"

[episode]
end = "horizon"

[replay]
csv = "mine.csv"
window_s = 8

[replay.windows]
train = [0, 20]
validation = [20, 30]
test = [30, 50]
"""
EXTENDED = OWN.replace("run_time_minutes", "deadline_s = [50, 60]\nrun_time_minutes")

OWN_HEADER = "arrival_s,type,demand,run_time_s,gateway"
OWN_ROWS = [f"{k}.25,{k % 2},{10 + k % 3},{60 + k}.5,{k // 3 % 2}" for k in range(50)]


def own_text(*changes: tuple[str, str]) -> str:
    text = "\n".join((OWN_HEADER, *OWN_ROWS)) + "\n"
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    return text


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache and a folder of one's own to be in."""
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def day(here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A made-up day of the production service, and places, as if they were the registered ones."""
    sets: dict[str, Mapping[str, str | bytes]] = {
        "alibaba-gentd26": recorded.production_day(),
        "eua-melbourne": recorded.EUA_FILES,
    }
    known = {name: recorded.dataset(name, files) for name, files in sets.items()}
    monkeypatch.setattr(dataset, "datasets", lambda: known)
    for name, files in sets.items():
        copies.add(name, write(here / name, files))
    return here / "alibaba-gentd26"


def replay(scenario: Scenario, seed: int, split: str = "train", episode: int = 0) -> Workload:
    numbers = {str(name): number for name, number in SPLITS.items()}
    return replay_workload(scenario, Streams(seed, numbers[split], episode))


def recorded_rows(day: Path) -> list[list[str]]:
    """The requests that ran, in order."""
    lines = (day / "lora_request_trace.csv").read_text().splitlines()[1:]
    return [row for row in (line.split(",") for line in lines) if row[2] != "PENDING"]


def second_of(row: list[str]) -> int:
    hours, minutes, seconds = (int(part) for part in row[0].split(" ")[1].split(":"))
    return 3600 * hours + 60 * minutes + seconds


def piece_of(workload: Workload, rows: list[list[str]]) -> list[list[str]]:
    """The rows that an episode should hold, given that its first task is the right one."""
    first = next(row for row in rows if round(1000 * float(row[3])) == workload.tasks[0, RUN_TIME])
    start = second_of(first)
    return [row for row in rows if start <= second_of(row) < start + 1200]


@pytest.mark.parametrize(
    ("split", "span"), [("train", (0, 5400)), ("validation", (5400, 8100)), ("test", (8100, 12000))]
)
def test_an_episode_is_a_piece_of_its_splits_window(
    day: Path, split: str, span: tuple[int, int]
) -> None:
    scenario, rows = parse_scenario(PRODUCTION, "day.toml"), recorded_rows(day)
    starts = set()
    for seed in range(40):
        workload = replay(scenario, seed, split)
        workload.check_fits(scenario)
        piece = piece_of(workload, rows)
        start = second_of(piece[0])
        assert span[0] <= start <= span[1] - 1200
        tasks = workload.tasks
        assert tasks[:, ARRIVAL].tolist() == [(second_of(r) - start) * 1000 // 4 for r in piece]
        assert tasks[:, RUN_TIME].tolist() == [round(1000 * float(row[3])) for row in piece]
        assert tasks[:, DEMAND].tolist() == [int(float(row[7]) * float(row[8])) for row in piece]
        starts.add(start)
    assert len(starts) > 20


def test_what_the_columns_of_the_service_become(day: Path) -> None:
    scenario = parse_scenario(PRODUCTION, "day.toml")
    workload = replay(scenario, 1)
    details = workload.details
    assert details is not None
    piece = piece_of(workload, recorded_rows(day))
    # Popularity in the window train: B 6, A 2, C and D 1 of ten; the third type is of all others.
    of_model = {"B": 0, "A": 1, "C": 2, "D": 2}
    assert workload.tasks[:, TYPE].tolist() == [of_model[row[9]] for row in piece]
    assert details[:, DEADLINE].tolist() == [(60, 60, 90)[of_model[r[9]]] * 1000 for r in piece]
    assert details[:, UPLOAD].tolist() == [500 if row[1] == "IMG_2_IMG" else 1 for row in piece]
    assert details[:, DOWNLOAD].tolist() == [min(300, 100 * int(row[7][0])) for row in piece]
    assert details[:, FAILS].tolist() == [int(row[2] == "FAILED") for row in piece]
    loads = load_metric(day / "basemodel_update_latency_anon.tar.gz").value
    assert set(details[:, LOAD_TIME]) <= set(loads)
    assert len(set(details[:, LOAD_TIME])) > 10
    gateway: dict[str, int] = {}
    for row, at in zip(piece, workload.tasks[:, GATEWAY].tolist(), strict=True):
        assert gateway.setdefault(row[4], at) == at
    assert set(gateway.values()) == {0, 1}


def test_demand_and_run_time_are_cut_to_the_largest_stated(day: Path) -> None:
    text = PRODUCTION.replace("demand = [30, 120]", "demand = [30, 60]")
    text = text.replace("run_time_minutes = [0.0, 0.01, 0.0]", "run_time_minutes = [0, 0, 0.4]")
    workload = replay(parse_scenario(text, "day.toml"), 0, "test")  # all ran for 30 s or longer
    assert workload.tasks[:, DEMAND].max() == 60
    assert workload.tasks[:, RUN_TIME].max() == 24_000


def test_the_same_seed_is_the_same_episode(day: Path) -> None:
    scenario = parse_scenario(PRODUCTION, "day.toml")
    first = [replay(scenario, seed).digest for seed in range(10)]
    assert [replay(scenario, seed).digest for seed in range(10)] == first
    assert len(set(first)) == 10
    assert replay(scenario, 0, episode=1).digest not in first
    assert replay(scenario, 0, "test").digest not in first


def test_drawing_replays(day: Path) -> None:
    scenario = parse_scenario(PRODUCTION, "day.toml")
    for split in SPLITS:
        drawn = draw_workload(scenario, 7, split=split, episode=2)
        assert drawn.digest == replay(scenario, 7, split, 2).digest


def test_services_are_best_for_their_own_type(day: Path) -> None:
    baseline = replay(parse_scenario(PRODUCTION, "day.toml"), 0).topology.baseline
    assert (baseline[:, [0, 1], [0, 1]] == 0.9).all()
    assert baseline[:, 0, 1:].max() <= 0.5
    text = PRODUCTION.replace("own_quality = 0.9\n", "")
    assert replay(parse_scenario(text, "day.toml"), 0).topology.baseline.max() <= 0.5


def test_servers_and_gateways_at_the_places(day: Path) -> None:
    """Stations in a row from north-west to south-east, users near both ends of it."""
    site = settle(3, 2)
    # 0.005 degrees of latitude are 556 m, 0.01 of longitude there 878 m. First the middle one.
    assert site.servers.tolist() == [[878, 556], [1757, 0], [0, 1112]]
    assert site.gateways.tolist() == site.servers[:2].tolist()
    assert site.gateway_of_user.tolist() == [0, 1, 1]
    topology = replay(parse_scenario(PRODUCTION, "day.toml"), 0).topology
    assert topology.neighbours is not None
    assert topology.neighbours.tolist() == [[0, 2], [1, 0]]


def test_more_servers_than_places(day: Path) -> None:
    with pytest.raises(ScenarioError) as caught:
        settle(4, 1)
    check_message(caught.value, "4 servers", "3 base stations", "take fewer")


# A file of one's own


def test_own_file_as_it_stands(here: Path) -> None:
    write(here, {"mine.csv": own_text()})
    scenario = parse_scenario(OWN, "mine.toml")
    for seed in range(10):
        workload = replay(scenario, seed, "test")
        workload.check_fits(scenario)
        assert workload.details is None
        arrival = workload.tasks[:, ARRIVAL]
        start = int(workload.tasks[0, RUN_TIME]) // 1000 - 60
        assert 30 <= start <= 41
        rows = [row.split(",") for row in OWN_ROWS[start : start + 8]]
        assert arrival.tolist() == list(range(0, 1000 * len(rows), 1000))
        columns = workload.tasks[:, [TYPE, DEMAND, RUN_TIME, GATEWAY]].tolist()
        assert columns == [[int(k), int(d), int(1000 * float(r)), int(g)] for _, k, d, r, g in rows]


def test_optional_columns(here: Path) -> None:
    header = f"{OWN_HEADER},load_s,fails,deadline_s,upload_kb,download_kb"
    rows = [f"{row},{k}.5,{k % 2},{'' if k % 2 else 20},7,{k}" for k, row in enumerate(OWN_ROWS)]
    write(here, {"mine.csv": "\n".join((header, *rows))})
    text = EXTENDED.replace("run_time_minutes", "upload_kb = [0, 9]\ndownload_kb = [0, 50]\n"
                            "run_time_minutes")  # fmt: skip
    workload = replay(parse_scenario(text, "mine.toml"), 3)
    assert workload.details is not None
    first = int(workload.tasks[0, RUN_TIME]) // 1000 - 60
    for k, row in enumerate(workload.details.tolist(), start=first):
        deadline = 60_000 if k % 2 else 20_000
        assert row == [0, 0, deadline, 1000 * k + 500, 7, k, k % 2]


def test_a_changed_file_is_read_again(here: Path) -> None:
    scenario = parse_scenario(OWN, "mine.toml")
    write(here, {"mine.csv": own_text()})
    assert replay(scenario, 0).tasks[:, DEMAND].max() == 12
    write(here, {"mine.csv": own_text().replace(",12,", ",13,")})
    assert replay(scenario, 0).tasks[:, DEMAND].max() == 13


MALFORMED_ROWS = {
    "unknown column": ([("gateway", "gateway,deadline")], ("mine.csv:1", "deadline")),
    "column missing": ([("demand", "steps")], ("mine.csv:1", "'demand' is missing")),
    "unknown type": ([(",1,11,", ",2,11,")], ("mine.csv:3", "'type' holds '2'", "from 0 to 1")),
    "no demand": ([(",1,11,", ",1,0,")], ("mine.csv:3", "'demand' holds '0'", "from 1 to 20")),
    "too much": ([(",1,11,", ",1,21,")], ("mine.csv:3", "'demand' holds '21'", "from 1 to 20")),
    "no run time": ([(",61.5,", ",0,")], ("mine.csv:3", "'run_time_s' holds '0'", "from 0.001")),
    "too long": ([(",61.5,", ",1e9,")], ("mine.csv:3", "'run_time_s' holds '1e9'", "to 1200")),
    "empty field": ([(",61.5,", ",,")], ("mine.csv:3", "'run_time_s' holds ''")),
    "gateway": ([(",61.5,0", ",61.5,2")], ("mine.csv:3", "'gateway' holds '2'", "from 0 to 1")),
    "order": ([("1.25,", "9.25,")], ("mine.csv:4", "no earlier than '9.25'")),
    "infinite": ([("49.25,", "inf,")], ("mine.csv:51", "'arrival_s' holds 'inf'")),
    "field too many": ([(",61.5,0", ",61.5,0,0")], ("mine.csv:3", "has 6 fields", "must have 5")),
}
"""What is changed in the file, and what the message says."""


@pytest.mark.parametrize("name", MALFORMED_ROWS)
def test_malformed_own_file(name: str, here: Path) -> None:
    changes, parts = MALFORMED_ROWS[name]
    write(here, {"mine.csv": own_text(*changes)})
    with pytest.raises(DataError) as caught:
        replay(parse_scenario(EXTENDED, "mine.toml"), 0)
    check_message(caught.value, *parts)


def test_own_file_that_is_not_there() -> None:
    with pytest.raises(DataError) as caught:
        replay(parse_scenario(OWN, "mine.toml"), 0)
    check_message(caught.value, "mine.csv", "no such file", "replay.csv")


def test_own_file_that_is_another(here: Path) -> None:
    write(here, {"mine.csv": own_text()})
    scenario = parse_scenario(OWN.replace("window_s", f"sha256 = '{'0' * 64}'\nwindow_s"), "m.toml")
    with pytest.raises(DataError) as caught:
        replay(scenario, 0)
    check_message(caught.value, "mine.csv", "SHA-256", "replay.sha256")


def test_own_file_with_parts_that_the_scenario_lacks(here: Path) -> None:
    write(here, {"mine.csv": own_text().replace("gateway\n", "fails\n").replace("gateway", "x")})
    write(here, {"mine.csv": "\n".join([f"{OWN_HEADER},fails", *(f"{r},0" for r in OWN_ROWS)])})
    with pytest.raises(DataError) as caught:
        replay(parse_scenario(OWN, "mine.toml"), 0)
    check_message(caught.value, "mine.csv:1", "'fails'", "'of-mine' has no part on")


# Scenarios

WRONG = {
    "overlap": (("validation = [20, 30]", "validation = [19, 30]"), "before train ends at 20"),
    "backwards": (("train = [0, 20]", "train = [20, 0]"), "must end after its start"),
    "dates and seconds": (("train = [0, 20]", "train = [2024-01-01, 20]"), "dates and seconds"),
    "no date": (("train = [0, 20]", "train = ['soon', 20]"), "a date such as 2024-12-04"),
    "time zone": (
        ("train = [0, 20]", "train = [2024-01-01T00:00:00Z, 20]"), "must have no time zone",
    ),
    "negative": (("train = [0, 20]", "train = [-1, 20]"), "a date such as 2024-12-04"),
    "three moments": (("train = [0, 20]", "train = [0, 10, 20]"), "at most 2 items"),
    "dates for a csv": (
        ("[0, 20]\nvalidation = [20, 30]\ntest = [30, 50]", "[2024-01-01, 2024-01-02]\n"
         "validation = [2024-01-02, 2024-01-03]\ntest = [2024-01-03, 2024-01-04]"),
        "csv has no dates",
    ),
    "two sources": (("window_s", "trace = 'gentd26'\nwindow_s"), "needs either trace or csv"),
    "no source": (("csv = 'mine.csv'", ""), "needs either trace or csv"),
    "unknown trace": (("csv = 'mine.csv'", "trace = 'burstgpt'"), "'gentd26', 'azure-code'"),
    "tokens missing": (("csv = 'mine.csv'", "trace = 'azure-code'"), "needs a section tokens"),
    "tokens unused": (
        ("[replay.windows]",
         "[replay.tokens]\nblock = 1\nprefill_per_s = 1\ndecode_per_s = 1\n[replay.windows]"),
        "has no use for a section tokens",
    ),
    "hash of a registered trace": (
        ("csv = 'mine.csv'", f"trace = 'gentd26'\nsha256 = '{'0' * 64}'"), "sha256 is of a csv",
    ),
    "window too long": (("window_s = 8", "window_s = 11"), "window validation is only 10 s long"),
    "no compression": (("window_s = 8", "window_s = 8\ncompress = 0"), "0.001"),
    "horizon too early": (("horizon_s = 10", "horizon_s = 7"), "at most arrivals.horizon_s = 7"),
    "drawn arrivals": (("horizon_s", "gap_cv = 2\nhorizon_s"), "replay has recorded arrivals"),
    "stages": (("run_time_minutes", "stages = [1, 1]\nrun_time_minutes"), "one stage"),
    "places for nothing": (
        ("window_s = 8", "window_s = 8\nplaces = 'eua-melbourne'"), "places count for nothing",
    ),
    "unknown field": (("window_s = 8", "window_s = 8\nspeed = 2"), "Allowed here: compress"),
}  # fmt: skip
"""What is changed in the scenario, and what the message says."""


@pytest.mark.parametrize("name", WRONG)
def test_scenario_that_cannot_replay(name: str) -> None:
    (old, new), said = WRONG[name]
    text = OWN.replace('"', "'")
    assert old in text
    with pytest.raises(ScenarioError) as caught:
        parse_scenario(text.replace(old, new), "mine.toml")
    assert str(caught.value).startswith("mine.toml:")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_window_where_the_trace_has_nothing(day: Path) -> None:
    text = PRODUCTION.replace("2024-03-02]", "2024-03-02]").replace("02:15:00, ", "23:00:00, ")
    with pytest.raises(ScenarioError) as caught:
        replay(parse_scenario(text, "day.toml"), 0, "test")
    check_message(
        caught.value, "replay.windows.test", "2024-03-01T00:00:00 to 2024-03-01T03:19:40", "move"
    )


# The tiers

TIERS = ("replay-gentd26", "replay-azure-code", "replay-azure-conv")


def test_tiers_are_listed_and_readable_without_data() -> None:
    assert set(TIERS) <= set(list_tiers())
    for name in TIERS:
        scenario = load_scenario(name)
        assert scenario.replay is not None
        assert scenario.overload.refund
        assert len(scenario.digest) == 64


@pytest.mark.parametrize("name", TIERS)
def test_a_tier_without_its_data_says_how_to_add_it(name: str) -> None:
    with pytest.raises(EdgeMarlError) as caught:
        draw_workload(load_scenario(name), 0)
    check_message(caught.value, "is not here", "edge-marl data add", "--from FOLDER")


def test_digest_tells_windows_apart() -> None:
    one = parse_scenario(PRODUCTION, "day.toml")
    other = parse_scenario(PRODUCTION.replace("01:30:00", "01:25:00"), "day.toml")
    same = parse_scenario(PRODUCTION.replace('"2024-03-01 00:00:00"', "2024-03-01"), "day.toml")
    assert one.digest != other.digest
    assert one.digest == same.digest
    assert Scenario.model_validate(one.model_dump(mode="json")).digest == one.digest


@needs_traces
@pytest.mark.parametrize("name", TIERS)
def test_test_episodes_of_the_tiers(name: str) -> None:
    """100 fixed test starts, of the stated mean rate, in the test window alone."""
    scenario = load_scenario(name)
    assert scenario.replay is not None
    for data in ("eua-melbourne", "azure-llm-2023" if "azure" in name else "alibaba-gentd26"):
        copies.add(data, TRACES / data)
    workloads = [draw_workload(scenario, seed, split="test") for seed in range(100)]
    for workload in workloads:
        workload.check_fits(scenario)
        assert workload.tasks[-1, ARRIVAL] < scenario.replay.length_ms
    assert len({workload.digest for workload in workloads}) == 100
    rate = np.mean([workload.num_tasks for workload in workloads]) / scenario.arrivals.horizon_s
    assert rate == pytest.approx(scenario.arrivals.rate_per_s, rel=0.005)
    kinds = np.concatenate([workload.tasks[:, TYPE] for workload in workloads])
    assert len(np.unique(kinds)) == scenario.num_types


@needs_traces
def test_types_of_the_production_service_are_its_most_popular_checkpoints() -> None:
    """Seven checkpoints take three quarters of the requests; the most popular comes first."""
    for data in ("eua-melbourne", "alibaba-gentd26"):
        copies.add(data, TRACES / data)
    scenario = load_scenario("replay-gentd26")
    kinds = np.concatenate([draw_workload(scenario, k).tasks[:, TYPE] for k in range(50)])
    share = np.bincount(kinds, minlength=8) / len(kinds)
    assert 0.6 < share[:7].sum() < 0.9
    assert share[0] == share[:7].max()
    found = load_image_requests(TRACES / "alibaba-gentd26" / "lora_request_trace.csv")
    assert found.steps.max() * 8 == 800 == max(scenario.tasks.demand)
