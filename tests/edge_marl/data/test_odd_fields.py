"""Files as spreadsheets, other tools and damage leave them: read as they mean it, or refused."""

import json
import tracemalloc
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edge_marl.data import (
    csv_tables,
    load_client_rates,
    load_llm_requests,
    load_metric,
    load_places,
    load_prefix_requests,
    load_token_histograms,
)
from edge_marl.data.csv_tables import Table
from edge_marl.data.recordings import read_recording
from edge_marl.errors import DataError
from edge_marl.scenario import parse_scenario
from tests.worlds import recorded
from tests.worlds.recorded import EXTENDED, OWN_HEADER, archive, check_message, write


def refused(load: Callable[[Path], object], file: Path, *parts: str) -> None:
    with pytest.raises(DataError) as caught:
        load(file)
    check_message(caught.value, *parts)


def llm_file(folder: Path, *times: str) -> Path:
    rows = [f"{time},1,1" for time in times]
    text = "\n".join(["TIMESTAMP,ContextTokens,GeneratedTokens", *rows])
    return write(folder, {"t.csv": text}) / "t.csv"


# Seconds


def test_seconds_are_read_as_written() -> None:
    """Every whole millisecond of the first ten minutes: 1000 * 1.001 is less than 1001."""
    whole = np.arange(600_000)
    texts = [f"{ms // 1000}.{ms % 1000:03}" for ms in whole.tolist()]
    table = Table("t.csv", {"s": texts})
    for cut in (True, False):
        np.testing.assert_array_equal(table.milliseconds("s", 0, 600, cut=cut), whole)


@pytest.mark.parametrize(
    ("text", "cut", "rounded"),
    [
        ("1.0019999999999999999999", 1001, 1002),
        ("1.0015", 1001, 1002),  # the float is less
        ("1.00050", 1000, 1000),
        ("1e-3", 1, 1),
        ("+.5", 500, 500),
        ("1e-9999", 0, 0),
        ("8.", 8000, 8000),
    ],
)
def test_parts_of_a_millisecond(text: str, cut: int, rounded: int) -> None:
    table = Table("t.csv", {"s": [text]})
    assert table.milliseconds("s", 0, 9, cut=True).tolist() == [cut]
    assert table.milliseconds("s", 0, 9).tolist() == [rounded]


def test_own_times_are_exact(tmp_path: Path) -> None:
    """Arrival, run time, deadline and load time of a file of one's own."""
    text = f"{OWN_HEADER},deadline_s,load_s\n0,0,10,0.001,0,4.035,\n1.001,0,10,8.2,0,,1.0015\n"
    path = write(tmp_path, {"mine.csv": text}) / "mine.csv"
    found = read_recording(parse_scenario(EXTENDED, "mine.toml"), path)
    assert found.arrival_ms.tolist() == [0, 1001]
    assert found.run_time_ms.tolist() == [1, 8200]
    assert found.deadline_ms is not None
    assert found.load_ms is not None
    assert found.deadline_ms.tolist() == [4035, -1]
    assert found.load_ms.tolist() == [-1, 1002]


# Times


def test_a_bare_number_is_seconds_since_1970(tmp_path: Path) -> None:
    found = load_llm_requests(llm_file(tmp_path, "1700000000", "1700000001", "1700000001.0015"))
    assert str(found.origin) == "2023-11-14T22:13:20.000000000"
    assert found.arrival_ms.tolist() == [0, 1000, 1001]


@pytest.mark.parametrize(
    "time",
    [
        *("2024", "20241115", "1700000000000", "-1", "nan", "NaT", "now", "today", "3024-11-15"),
        *("2024-11", "0001-01-01", "2024-11-15T", "2024-11-15 24:00:00", "٢٠٢٤-11-15", ""),
        *("2024-11-15 16:57:50+25:00", "2024-11-15 16:57:50 CET", "1e400", "1" * 5000),
    ],
)
def test_what_is_no_time(time: str, tmp_path: Path) -> None:
    refused(
        load_llm_requests, llm_file(tmp_path, time),
        "t.csv:2", "a time such as 2024-11-15 16:57:50 or seconds since 1970",
    )  # fmt: skip


@pytest.mark.parametrize(
    "times",
    [
        ("2024-11-15 16:57:50", "1800000000"),
        ("2024-11-15 16:57:50", "2024-11-15 16:57:51Z"),
        ("1700000000", "2024-11-15"),
    ],
)
def test_one_form_of_time_in_a_column(times: tuple[str, str], tmp_path: Path) -> None:
    refused(load_llm_requests, llm_file(tmp_path, *times), "t.csv:3", "one form", "whole column")


def test_time_zones_count_and_warn_nobody(tmp_path: Path) -> None:
    times = ("2024-05-10 00:00:00.009930+00:00", "2024-05-10T02:00:01.009930+02:00",
             "2024-05-09 19:30:02.0099305-0430", "2024-05-10 00:00:03.00993Z")  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = load_llm_requests(llm_file(tmp_path, *times))
    assert str(found.origin) == "2024-05-10T00:00:00.009930000"
    assert found.arrival_ms.tolist() == [0, 1000, 2000, 3000]


# Numbers


@pytest.mark.parametrize(
    "number",
    [
        "4_808",
        "\uff14\uff18\uff10\uff18",
        "٤٨٠٨",
        "²",
        "0x10",
        "1e5000",
        "infinity",
        "NaN",
        "1,5",
        "1 000",
        "1" * 65,
    ],
)
def test_what_is_no_number(number: str, tmp_path: Path) -> None:
    path = write(tmp_path, {"users-x.csv": f'Latitude,Longitude\n1,2\n"{number}",2\n'})
    refused(load_places, path / "users-x.csv", "users-x.csv:3", "column 'Latitude' holds")


def test_one_long_field_takes_little_memory(tmp_path: Path) -> None:
    """Not as much for every row as for the longest."""
    rows = "1,2\n" * 20_000
    files = {
        "users-x.csv": f"Latitude,Longitude\n{rows}{'0' * 100_000}1,2\n",
        "chunk-1-dataset.json": json.dumps(
            {"0": {"a": "{" + "1: 1, " * 20_000 + "0" * 100_000 + ": 1}"}}
        ),
    }
    write(tmp_path, files)
    tracemalloc.start()
    refused(load_places, tmp_path / "users-x.csv", "users-x.csv:20002", "'Latitude' holds '000")
    refused(load_token_histograms, tmp_path, "chunk-1-dataset.json: 'a' at 0 s")
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 60e6


def test_messages_stay_on_one_line(tmp_path: Path) -> None:
    path = write(tmp_path, {"users-x.csv": 'Latitude,Longitude\n"1\n\x1b[31m2",2\n'})
    refused(load_places, path / "users-x.csv", r"holds '1\n\x1b[31m2'")


# Tables of spreadsheets


@pytest.mark.parametrize(
    "text",
    [
        "Latitude, Longitude\n1, 2\n 3 ,4\n",
        'Latitude, "Longitude"\n1, "2"\n3,4\n',
        "Latitude,Longitude,,\n1,2,,\n3,4,,\n,,,\n,,,\n",
        "\ufeffLatitude,Longitude\r\n1,2\r\n3,4\r\n\r\n",
    ],
)
def test_spaces_and_empty_columns(text: str, tmp_path: Path) -> None:
    found = load_places(write(tmp_path, {"users-x.csv": text}) / "users-x.csv")
    assert found.latitude.tolist() == [1, 3]
    assert found.longitude.tolist() == [2, 4]


def test_a_column_without_a_name_must_be_empty(tmp_path: Path) -> None:
    text = "Latitude,Longitude,,\n1,2,,\n3,4,,5\n"
    path = write(tmp_path, {"users-x.csv": text}) / "users-x.csv"
    refused(load_places, path, "users-x.csv:3", "holds '5' in a column without a name", "take it")


def test_byte_order_mark_in_an_archive(tmp_path: Path) -> None:
    files = {"m.csv": "\ufeff" + recorded.METRIC_TEXT}
    found = load_metric(write(tmp_path, {"m.tar.gz": archive(files)}) / "m.tar.gz")
    assert len(found.value) == 2


def test_an_archive_of_too_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a few kilobytes can hold gigabytes of spaces, in a file or in what tar says of it."""
    path = write(tmp_path, {"m.tar.gz": archive({"m.csv": " " * 20_000})}) / "m.tar.gz"
    monkeypatch.setattr(csv_tables, "UNPACKED", 10_000)
    refused(load_metric, path, "m.tar.gz: unpacks to more than 10000 bytes")


# JSON


def test_blank_lines_and_line_separators_in_jsonl(tmp_path: Path) -> None:
    first, second = recorded.PREFIX_TEXT.splitlines()
    first = first.replace("{", '{"note": "a\u2028b", ', 1)
    path = write(tmp_path, {"t.jsonl": f"\ufeff\n{first}\r\n\n  \n{second}\n\n"}) / "t.jsonl"
    assert load_prefix_requests(path).arrival_ms.tolist() == [0, 27]
    path = write(tmp_path, {"t.jsonl": f"{first}\n\n{second}x\n"}) / "t.jsonl"
    refused(load_prefix_requests, path, "t.jsonl:3", "JSON")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("[0]", f"[{2**63}]"),
        ("[0]", f"[{'9' * 5000}]"),
        ("[0]", "[" * 100_000),
        ("[0]", "[true]"),
        (" 27", f" {'9' * 4000}"),
        (" 27", f" {'9' * 5000}"),
        (" 27", " NaN"),
        (" 27", " 1e999"),
        (" 27", ' 0, "timestamp": 27'),
    ],
)
def test_prefixes_out_of_range(old: str, new: str, tmp_path: Path) -> None:
    text = recorded.PREFIX_TEXT.replace(old, new)
    path = write(tmp_path, {"t.jsonl": text}) / "t.jsonl"
    refused(load_prefix_requests, path, "t.jsonl:2")


@pytest.mark.parametrize(
    "text",
    [
        '{"²": {}}',
        '{"٣": {}}',
        f'{{"{"9" * 30}": {{}}}}',
        '{"0": {}, "0": {}}',
        '{"0": {"a": "{1: 1}", "a": "{2: 1}"}}',
        '{"0": {"a": "{1: 0.5, 1: 0.5}"}}',
        '{"0": {"a": "{1_0: 1}"}}',
        '{"0": {"a": "{¹: 1}"}}',
        '{"0": {"a": "{1: 1e999}"}}',
        "[" * 100_000,
        f'{{"0": {"9" * 5000}}}',
    ],
)
def test_histograms_out_of_range(text: str, tmp_path: Path) -> None:
    write(tmp_path, {"chunk-3-dataset.json": text})
    refused(load_token_histograms, tmp_path, "chunk-3-dataset.json")


@pytest.mark.parametrize("second", ["chunk-00", "chunk-²", "chunk-x", f"chunk-{'9' * 30}"])
def test_files_of_one_client(second: str, tmp_path: Path) -> None:
    files = {f"{name}-trace.csv": recorded.RATES_TEXT for name in ("chunk-0", second)}
    refused(load_client_rates, write(tmp_path, files), f"{second}-trace.csv", "client")
