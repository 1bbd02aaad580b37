"""Recorded requests in the simulator's terms: what each loader's columns mean for a task."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from pathlib import Path

import numpy as np

from edge_marl.data.copies import file_of
from edge_marl.data.csv_tables import Table, read_table
from edge_marl.data.fields import to_milliseconds
from edge_marl.data.loaders import (
    KINDS,
    STATES,
    load_image_requests,
    load_llm_requests,
    load_metric,
    load_prefix_requests,
)
from edge_marl.errors import DataError
from edge_marl.kernel.world import Ints
from edge_marl.scenario import Scenario
from edge_marl.scenario.replay import Replay, Tokens

__all__ = ["Recording", "read_recording", "source_of"]

TRACES = {
    "gentd26": ("alibaba-gentd26", "lora_request_trace.csv"),
    "azure-code": ("azure-llm-2023", "AzureLLMInferenceTrace_code.csv"),
    "azure-conv": ("azure-llm-2023", "AzureLLMInferenceTrace_conv.csv"),
    "mooncake-conversation": ("mooncake-fast25", "conversation_trace.jsonl"),
    "mooncake-synthetic": ("mooncake-fast25", "synthetic_trace.jsonl"),
}
"""Data set and file of each trace."""

LOADS = ("alibaba-gentd26", "basemodel_update_latency_anon.tar.gz")
"""The recorded times of loading a checkpoint, in ms, of another day than the requests."""

BYTES_PER_TOKEN = 4
"""Of text, about: the size of prompts and answers is recorded in tokens only."""

REQUIRED = ("arrival_s", "type", "demand", "run_time_s", "gateway")
OPTIONAL = ("deadline_s", "load_s", "upload_kb", "download_kb", "fails")


@dataclass(frozen=True, eq=False)
class Recording:
    """Requests in order of arrival; where a column is None, or -1, that was not recorded."""

    origin: np.datetime64 | None
    """When time is 0, if that is known."""
    arrival_ms: Ints
    demand: Ints
    run_time_ms: Ints
    type: Ints | None = None
    model: Ints | None = None
    """(N,) the model asked for, from 0; types are made of it by popularity."""
    user: Ints | None = None
    gateway: Ints | None = None
    deadline_ms: Ints | None = None
    load_ms: Ints | None = None
    upload_kb: Ints | None = None
    download_kb: Ints | None = None
    fails: Ints | None = None
    load_times_ms: Ints | None = None
    """(L,) recorded times of loading a model, of no request in particular."""


def source_of(replay: Replay) -> Path:
    """Return the file that a replay reads.

    Raises:
        DataError: the data set was not added or is damaged.
    """
    if replay.csv is not None:
        return Path(replay.csv)
    assert replay.trace is not None
    return file_of(*TRACES[replay.trace])


def read_recording(scenario: Scenario, path: Path) -> Recording:
    """Return the requests of a scenario's replay from its file.

    Raises:
        DataError: an unreadable file or a wrong value (with line and column).
    """
    replay = scenario.replay
    assert replay is not None
    if replay.csv is not None:
        return _read_csv(scenario, replay, path)
    if replay.trace == "gentd26":
        return _read_images(scenario, path)
    assert replay.tokens is not None
    return _read_tokens(scenario, replay.tokens, path)


def _read_images(scenario: Scenario, path: Path) -> Recording:
    """Text-to-image requests: those that ran and whose steps and images are recorded."""
    tasks, found = scenario.tasks, load_image_requests(path)
    ran = (found.exec_s > 0) & (found.steps > 0) & (found.images > 0)
    from_text = found.kind[ran] == KINDS.index("TXT_2_IMG")
    return Recording(
        origin=found.origin,
        arrival_ms=found.arrival_ms[ran],
        demand=found.steps[ran] * found.images[ran],
        run_time_ms=np.array(
            [to_milliseconds(Decimal(repr(seconds))) for seconds in found.exec_s[ran].tolist()],
            dtype=np.int64,
        ),
        model=found.model[ran],
        user=found.user[ran],
        upload_kb=np.where(from_text, *tasks.upload_kb),
        download_kb=(found.images[ran] * tasks.download_kb[0]).clip(max=tasks.download_kb[1]),
        fails=(found.state[ran] == STATES.index("FAILED")).astype(np.int64),
        load_times_ms=np.rint(load_metric(file_of(*LOADS)).value).astype(np.int64),
    )


def _read_tokens(scenario: Scenario, law: Tokens, path: Path) -> Recording:
    """Requests to a language model: prompt and answer are held in memory until the end."""
    load = load_prefix_requests if path.suffix == ".jsonl" else load_llm_requests
    found = load(path)
    prompt, answer = found.context_tokens, found.generated_tokens
    run_time_ms = 1000 * prompt / law.prefill_per_s + 1000 * answer / law.decode_per_s
    return Recording(
        origin=found.origin,
        arrival_ms=found.arrival_ms,
        demand=-(-(prompt + answer) // law.block),
        run_time_ms=np.rint(run_time_ms).astype(np.int64),
        type=np.searchsorted(np.array(law.prompt_bounds, dtype=np.int64), prompt, side="right"),
        upload_kb=_kilobytes(prompt, scenario.tasks.upload_kb),
        download_kb=_kilobytes(answer, scenario.tasks.download_kb),
    )


def _kilobytes(tokens: Ints, range_kb: tuple[int, int]) -> Ints:
    return (-(-tokens * BYTES_PER_TOKEN // 1000)).clip(*range_kb)


def _read_csv(scenario: Scenario, replay: Replay, path: Path) -> Recording:
    """A user's own requests; nothing of theirs is cut, so what is too large is an error."""
    tasks = scenario.tasks
    table = read_table(path, REQUIRED, OPTIONAL)
    if replay.sha256:
        _check_content(path, replay.sha256)
    extra = [name for name in OPTIONAL if name in table.columns]
    if extra and not scenario.extended:
        raise DataError(
            f"{path}:1: column '{extra[0]}' is of the extended model, of which scenario "
            f"'{scenario.name}' has no part on: take the column out, or add the part there"
        )
    arrival_ms = table.milliseconds("arrival_s", 0, 1e9, cut=True)
    table.check_order("arrival_s", table.numbers("arrival_s", 0, 1e9))
    most_run_s = tasks.max_run_time_ms / 1000
    return Recording(
        origin=None,
        arrival_ms=arrival_ms,
        type=table.whole("type", 0, tasks.types - 1),
        demand=table.whole("demand", 1, tasks.max_demand),
        run_time_ms=table.milliseconds("run_time_s", 0.001, most_run_s),
        gateway=table.whole("gateway", 0, scenario.gateways.count - 1),
        **_optional_columns(scenario, table),
    )


def _optional_columns(scenario: Scenario, table: Table) -> dict[str, Ints]:
    tasks = scenario.tasks
    most_s = max(tasks.deadline_s, default=0.0)
    read = {
        "deadline_s": ("deadline_ms", partial(Table.milliseconds, low=0, high=most_s)),
        "load_s": ("load_ms", partial(Table.milliseconds, low=0, high=1e6)),
        "upload_kb": ("upload_kb", partial(Table.whole, low=0, high=tasks.upload_kb[1])),
        "download_kb": ("download_kb", partial(Table.whole, low=0, high=tasks.download_kb[1])),
        "fails": ("fails", partial(Table.whole, low=0, high=1)),
    }
    return {
        field: convert(table, name, missing=-1)
        for name, (field, convert) in read.items()
        if name in table.columns
    }


def _check_content(path: Path, sha256: str) -> None:
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != sha256:
        raise DataError(
            f"{path}: has SHA-256 {found}, replay.sha256 is {sha256}: take the file that the "
            "scenario was made with, or state its new SHA-256"
        )
