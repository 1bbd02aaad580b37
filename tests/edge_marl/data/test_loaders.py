import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edge_marl.data import (
    load_client_rates,
    load_image_requests,
    load_llm_requests,
    load_metric,
    load_places,
    load_prefix_requests,
    load_token_histograms,
)
from edge_marl.errors import DataError
from tests.worlds import recorded
from tests.worlds.recorded import TRACES, archive, check_message, image_text, needs_traces, write

# Formats


def test_image_requests_as_recorded(tmp_path: Path) -> None:
    path = write(tmp_path, {"t.csv": image_text()}) / "t.csv"
    found = load_image_requests(path)
    assert str(found.origin) == "2024-11-15T16:57:50.000000000"
    assert found.arrival_ms.tolist() == [0, 4_704_000, 4_704_000]
    assert found.kind.tolist() == [0, 1, 0]
    assert found.state.tolist() == [0, 1, 2]
    assert found.exec_s.tolist() == [32.0, 43.0, 0.0]
    assert found.user.tolist() == [0, 1, 1]
    assert found.negative_chars.tolist() == [26, -1, -1]
    assert found.images.tolist() == [1, 4, -1]
    assert found.steps.tolist() == [30, 40, -1]
    assert found.model.tolist() == [0, 1, -1]
    assert found.loras.tolist() == [0, 1, 0]
    assert found.models == ("M0000", "M0001")


def test_metric_from_its_archive(tmp_path: Path) -> None:
    files = {"._m.csv": "x", "m.csv": recorded.METRIC_TEXT}
    found = load_metric(write(tmp_path, {"m.tar.gz": archive(files)}) / "m.tar.gz")
    assert found.time_s.tolist() == [100.0, 157.0]
    assert found.value.tolist() == [2639.0, 31000.0]
    assert found.container.tolist() == [0, -1]


def test_llm_requests_as_recorded(tmp_path: Path) -> None:
    found = load_llm_requests(write(tmp_path, {"t.csv": recorded.LLM_TEXT}) / "t.csv")
    assert str(found.origin) == "2023-11-16T18:17:03.979960000"
    assert found.arrival_ms.tolist() == [0, 52]
    assert found.context_tokens.tolist() == [4808, 3180]
    assert found.generated_tokens.tolist() == [10, 8]
    assert len(found.block) == 0


def test_prefix_requests_as_recorded(tmp_path: Path) -> None:
    found = load_prefix_requests(write(tmp_path, {"t.jsonl": recorded.PREFIX_TEXT}) / "t.jsonl")
    assert found.origin is None
    assert found.arrival_ms.tolist() == [0, 27]
    assert found.context_tokens.tolist() == [1100, 400]
    assert found.generated_tokens.tolist() == [5, 7]
    assert found.block.tolist() == [0, 1, 2, 0]
    assert found.block_start.tolist() == [0, 3, 4]


def test_clients_by_number(tmp_path: Path) -> None:
    folder = write(tmp_path, recorded.SERVEGEN_FILES)
    rates = load_client_rates(folder)
    assert rates.client.tolist() == [0, 0, 10, 10]
    assert rates.rate_per_s.tolist() == [0.8, 0.0, 0.8, 0.0]
    assert rates.pattern.tolist() == [1, 0, 1, 0]
    histograms = load_token_histograms(folder)
    assert histograms.fields == ("input_tokens",)
    assert histograms.start_s.tolist() == [0, 600]
    assert histograms.begin.tolist() == [0, 2, 2]
    assert histograms.value.tolist() == [136.0, 372.0]
    assert histograms.share.tolist() == [0.25, 0.75]


def test_places_of_sites_and_users(tmp_path: Path) -> None:
    files = {"site-x.csv": recorded.SITES_TEXT, "users-x.csv": recorded.USERS_TEXT}
    folder = write(tmp_path, files)
    assert load_places(folder / "site-x.csv").latitude.tolist() == [-37.81, -37.82, -37.815]
    assert load_places(folder / "users-x.csv").longitude[0] == 144.951


# Malformed files: what is loaded, as what, and what the message says

FIRST, SECOND, _ = recorded.IMAGE_ROWS
WHOLE_ARCHIVE = archive({"m.csv": recorded.METRIC_TEXT})
Malformed = tuple[Callable[[Path], object], str, str | bytes, tuple[str, ...]]


def changed(row: str, old: str, new: str) -> str:
    assert old in row
    return image_text(FIRST, row.replace(old, new))


MALFORMED: dict[str, Malformed] = {
    "images: empty file": (
        load_image_requests, "t.csv", "", ("t.csv:1", "'gmt_create' is missing", "found: nothing"),
    ),
    "images: header alone": (
        load_image_requests, "t.csv", recorded.IMAGE_HEADER, ("t.csv", "no rows", "get it again"),
    ),
    "images: renamed column": (
        load_image_requests, "t.csv", image_text().replace("num_lora", "loras"),
        ("t.csv:1", "'num_lora' is missing"),
    ),
    "images: column twice": (
        load_image_requests, "t.csv", image_text().replace("\n", ",num_lora\n", 1),
        ("t.csv:1", "'num_lora' is named twice", "take one"),
    ),
    "images: row cut short": (
        load_image_requests, "t.csv", image_text(FIRST, SECOND[:25]),
        ("t.csv:3", "has 2 fields", "must have 11"),
    ),
    "images: blank row": (
        load_image_requests, "t.csv", image_text(FIRST, "", SECOND), ("t.csv:3", "has 0 fields"),
    ),
    "images: no date": (
        load_image_requests, "t.csv", changed(SECOND, "2024-11-15 18:16:14", "yesterday"),
        ("t.csv:3", "'gmt_create' holds 'yesterday'", "a time such as"),
    ),
    "images: no such day": (
        load_image_requests, "t.csv", changed(SECOND, "2024-11-15", "2024-11-31"),
        ("t.csv:3", "'gmt_create' holds '2024-11-31 18:16:14'"),
    ),
    "images: back in time": (
        load_image_requests, "t.csv", image_text(SECOND, FIRST),
        ("t.csv:3", "no earlier than '2024-11-15 18:16:14'"),
    ),
    "images: unknown kind": (
        load_image_requests, "t.csv", changed(SECOND, "IMG_2_IMG", "VIDEO"),
        ("t.csv:3", "'predict_type' holds 'VIDEO'", "one of TXT_2_IMG"),
    ),
    "images: unknown status": (
        load_image_requests, "t.csv", changed(SECOND, "FAILED", "LOST"),
        ("t.csv:3", "'predict_status' holds 'LOST'", "one of SUCCEED"),
    ),
    "images: word for a number": (
        load_image_requests, "t.csv", changed(SECOND, "43.0", "long"),
        ("t.csv:3", "'exec_time_seconds' holds 'long'", "must be a number from 0"),
    ),
    "images: negative time": (
        load_image_requests, "t.csv", changed(SECOND, "43.0", "-1"),
        ("t.csv:3", "'exec_time_seconds' holds '-1'", "must be a number from 0"),
    ),
    "images: NaN": (
        load_image_requests, "t.csv", changed(SECOND, "43.0", "nan"),
        ("t.csv:3", "'exec_time_seconds' holds 'nan'"),
    ),
    "images: half a step": (
        load_image_requests, "t.csv", changed(SECOND, ",40.0,", ",40.5,"),
        ("t.csv:3", "'num_inference_steps' holds '40.5'", "a whole number"),
    ),
    "images: no UTF-8": (
        load_image_requests, "t.csv", b"gmt_create,\xff\xfe", ("t.csv", "byte 11", "UTF-8"),
    ),
    "images: field too long": (
        load_image_requests, "t.csv", image_text("x" * 200_000), ("t.csv:2", "not a table"),
    ),
    "metric: archive cut short": (
        load_metric, "m.tar.gz", WHOLE_ARCHIVE[:-40], ("m.tar.gz", "not a whole .tar.gz"),
    ),
    "metric: no archive": (
        load_metric, "m.tar.gz", recorded.METRIC_TEXT, ("m.tar.gz", "not a whole .tar.gz"),
    ),
    "metric: two files": (
        load_metric, "m.tar.gz", archive({"a": "", "b": ""}), ("m.tar.gz", "holds 2 files"),
    ),
    "metric: other columns": (
        load_metric, "m.tar.gz", archive({"m.csv": "time,value\n1,2\n"}),
        ("m.tar.gz/m.csv:1", "'timestamp_anon' is missing"),
    ),
    "metric: word for a number": (
        load_metric, "m.tar.gz", archive({"m.csv": recorded.METRIC_TEXT.replace("2639.0", "x")}),
        ("m.csv:2", "'value' holds 'x'"),
    ),
    "llm: column missing": (
        load_llm_requests, "t.csv", "TIMESTAMP,ContextTokens\n2023-11-16 18:17:03,1\n",
        ("t.csv:1", "'GeneratedTokens' is missing"),
    ),
    "llm: negative tokens": (
        load_llm_requests, "t.csv", recorded.LLM_TEXT.replace("3180", "-3"),
        ("t.csv:3", "'ContextTokens' holds '-3'"),
    ),
    "llm: no time": (
        load_llm_requests, "t.csv", recorded.LLM_TEXT.replace("2023-11-16 18:17:04.0319600", ""),
        ("t.csv:3", "'TIMESTAMP' holds ''", "a time such as"),
    ),
    "prefixes: line cut short": (
        load_prefix_requests, "t.jsonl", recorded.PREFIX_TEXT[:-20], ("t.jsonl:2", "JSON"),
    ),
    "prefixes: empty file": (load_prefix_requests, "t.jsonl", "", ("t.jsonl", "no rows")),
    "prefixes: a list": (
        load_prefix_requests, "t.jsonl", "[1, 2]\n", ("t.jsonl:1", "must be a JSON object"),
    ),
    "prefixes: field missing": (
        load_prefix_requests, "t.jsonl", recorded.PREFIX_TEXT.replace("output_length", "output"),
        ("t.jsonl:1", "'output_length' is None", "a whole number"),
    ),
    "prefixes: text for a number": (
        load_prefix_requests, "t.jsonl", recorded.PREFIX_TEXT.replace(" 27", ' "27"'),
        ("t.jsonl:2", "'timestamp' is '27'"),
    ),
    "prefixes: back in time": (
        load_prefix_requests, "t.jsonl", recorded.PREFIX_TEXT.replace(" 0,", " 30,", 1),
        ("t.jsonl:2", "no earlier than 30"),
    ),
    "prefixes: blocks as text": (
        load_prefix_requests, "t.jsonl", recorded.PREFIX_TEXT.replace("[0]", '"0"'),
        ("t.jsonl:2", "'hash_ids' must be a list"),
    ),
    "clients: other folder": (
        lambda path: load_client_rates(path.parent), "t.csv", "", ("chunk-*-trace.csv", "give a"),
    ),
    "clients: five fields": (
        lambda path: load_client_rates(path.parent), "chunk-3-trace.csv", "0,1,1,Gamma,1\n",
        ("chunk-3-trace.csv:1", "has 5 fields"),
    ),
    "clients: unknown law": (
        lambda path: load_client_rates(path.parent), "chunk-3-trace.csv", "0,1,1,Pareto,1,1\n",
        ("chunk-3-trace.csv:1", "'pattern' holds 'Pareto'"),
    ),
    "clients: back in time": (
        lambda path: load_client_rates(path.parent), "chunk-3-trace.csv",
        "600,1,1,Gamma,1,1\n0,1,1,Gamma,1,1\n", ("chunk-3-trace.csv:2", "no earlier than '600'"),
    ),
    "histograms: cut short": (
        lambda path: load_token_histograms(path.parent), "chunk-3-dataset.json",
        json.dumps(recorded.HISTOGRAM)[:-9], ("chunk-3-dataset.json", "not valid JSON"),
    ),
    "histograms: shares sum to 0.5": (
        lambda path: load_token_histograms(path.parent), "chunk-3-dataset.json",
        '{"600": {"output_tokens": "{1: 0.25, 2: 0.25}"}}',
        ("chunk-3-dataset.json", "'output_tokens' at 600 s", "sum to 1"),
    ),
    "histograms: a word": (
        lambda path: load_token_histograms(path.parent), "chunk-3-dataset.json",
        '{"0": {"input_tokens": "{one: 1}"}}', ("chunk-3-dataset.json", "'input_tokens' at 0 s"),
    ),
    "histograms: key no time": (
        lambda path: load_token_histograms(path.parent), "chunk-3-dataset.json",
        '{"noon": {}}', ("chunk-3-dataset.json", "'noon'", "seconds"),
    ),
    "places: off the map": (
        load_places, "users-x.csv", "Latitude,Longitude\n-37.8,144.9\n-95,144.9\n",
        ("users-x.csv:3", "'Latitude' holds '-95'", "from -90 to 90"),
    ),
    "places: other columns": (
        load_places, "site-x.csv", recorded.USERS_TEXT, ("site-x.csv:1", "'LATITUDE' is missing"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_file_says_where_and_what_to_do(name: str, tmp_path: Path) -> None:
    load, file, content, parts = MALFORMED[name]
    with pytest.raises(DataError) as caught:
        load(write(tmp_path, {file: content}) / file)
    check_message(caught.value, str(tmp_path), *parts)


@pytest.mark.parametrize("load", [load_image_requests, load_metric, load_prefix_requests])
def test_missing_file(load: Callable[[Path], object], tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        load(tmp_path / "none.csv")
    check_message(caught.value, "none.csv", "no such file", "check the name")


# The real files


@needs_traces
def test_rows_of_the_real_files() -> None:
    """Numbers of rows as the publishers, or who fitted figures to them, counted."""
    images = load_image_requests(TRACES / "alibaba-gentd26" / "lora_request_trace.csv")
    assert len(images.arrival_ms) == 26_823
    assert len(images.models) == 86
    assert len(np.unique(images.user)) == 4_247
    loads = load_metric(TRACES / "alibaba-gentd26" / "basemodel_update_latency_anon.tar.gz")
    assert np.median(loads.value) == pytest.approx(22_720, abs=10)  # ms
    azure = TRACES / "azure-llm-2023"
    code = load_llm_requests(azure / "AzureLLMInferenceTrace_code.csv")
    conv = load_llm_requests(azure / "AzureLLMInferenceTrace_conv.csv")
    assert (len(code.arrival_ms), len(conv.arrival_ms)) == (8_819, 19_366)
    mooncake = load_prefix_requests(TRACES / "mooncake-fast25" / "conversation_trace.jsonl")
    assert len(mooncake.arrival_ms) == 12_031
    assert mooncake.context_tokens.mean() == pytest.approx(12_035, abs=1)
    # A request has a block of 512 for each begun 512 tokens of its prompt.
    blocks = np.diff(mooncake.block_start)
    assert np.mean(blocks == -(-mooncake.context_tokens // 512)) > 0.99
    rates = load_client_rates(TRACES / "servegen" / "data" / "multimodal" / "mm-image")
    sizes = load_token_histograms(TRACES / "servegen" / "data" / "multimodal" / "mm-image")
    assert rates.client.max() + 1 == len(np.unique(sizes.client)) == 35
    melbourne = TRACES / "eua-melbourne"
    sites = load_places(melbourne / "edge-servers" / "site-optus-melbCBD.csv")
    users = load_places(melbourne / "users" / "users-melbcbd-generated.csv")
    assert (len(sites.latitude), len(users.latitude)) == (125, 816)


def test_arrays_cannot_be_swapped(tmp_path: Path) -> None:
    found = load_llm_requests(write(tmp_path, {"t.csv": recorded.LLM_TEXT}) / "t.csv")
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.arrival_ms = found.context_tokens  # type: ignore[misc]
