from pathlib import Path

import pytest

from edge_marl.errors import DataError, ScenarioError
from edge_marl.kernel.world import (
    ARRIVAL,
    DEMAND,
    GATEWAY,
    RUN_TIME,
    TYPE,
)
from edge_marl.scenario import parse_scenario
from tests.worlds.recorded import (
    EXTENDED,
    OWN,
    OWN_HEADER,
    OWN_ROWS,
    check_message,
    own_text,
    replay,
    write,
)

pytestmark = pytest.mark.usefixtures("here")


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


# Lonely requests

LONELY = [*range(4), *range(10, 19), 21, *range(23, 60)]
"""Seconds of requests: in windows of 2 s, those at 3, 18 and 21 are alone."""
LAST_TASK = OWN.replace('end = "horizon"', 'end = "last-task"').replace("= 8", "= 2")


def lonely_file(here: Path, seconds: list[int]) -> None:
    write(here, {"mine.csv": "\n".join([OWN_HEADER, *(f"{s},0,10,{s + 1},0" for s in seconds)])})


def test_no_episode_starts_where_it_would_have_no_decision(here: Path) -> None:
    lonely_file(here, LONELY)
    starts: dict[str, set[int]] = {"last-task": set(), "horizon": set()}
    for end, found in starts.items():
        scenario = parse_scenario(LAST_TASK.replace("last-task", end), "mine.toml")
        for split in ("train", "validation", "test"):
            for seed in range(100):
                workload = replay(scenario, seed, split)
                workload.check_fits(scenario)
                found.add(int(workload.tasks[0, RUN_TIME]) // 1000 - 1)
    assert starts["horizon"] - starts["last-task"] == {3, 18, 21}
    assert len(starts["last-task"]) > 20


def test_a_window_of_lonely_requests_alone(here: Path) -> None:
    lonely_file(here, [*range(20), *range(20, 30, 3), *range(30, 60)])
    replay(parse_scenario(LAST_TASK.replace("last-task", "horizon"), "mine.toml"), 0)
    with pytest.raises(ScenarioError) as caught:
        replay(parse_scenario(LAST_TASK, "mine.toml"), 0)
    check_message(
        caught.value, "replay.windows.validation", "mine.csv", "of at least 2 requests", "longer"
    )


def test_compressed_times_are_exact(here: Path) -> None:
    """33 ms / 1.1 are 30 ms, and the quotient of floats is less; 1000 * 0.069 is more than 69."""
    rows = [f"{k * 0.011:.3f},0,10,1,0" for k in range(6000)]
    write(here, {"mine.csv": "\n".join([OWN_HEADER, *rows])})
    text = OWN.replace("window_s = 8", "window_s = 9\ncompress = 1.1")
    arrival = replay(parse_scenario(text, "mine.toml"), 0).tasks[:, ARRIVAL].tolist()
    assert arrival == list(range(0, 10 * len(arrival), 10))
    short = OWN.replace("window_s = 8", "window_s = 0.069").replace(
        "horizon_s = 10", "horizon_s = 0.069"
    )
    section = parse_scenario(short, "mine.toml").replay
    assert section is not None
    assert section.length_ms == 69
