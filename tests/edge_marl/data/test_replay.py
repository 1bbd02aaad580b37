from pathlib import Path

import numpy as np
import pytest

from edge_marl import draw_workload
from edge_marl.data import copies, load_image_requests, load_metric
from edge_marl.data.places import settle
from edge_marl.errors import EdgeMarlError, ScenarioError
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
from tests.worlds.recorded import PRODUCTION, TRACES, check_message, needs_traces, replay

pytestmark = pytest.mark.usefixtures("here")


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
