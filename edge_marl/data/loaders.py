"""Loaders of the published formats of the recorded data sets: files in, flat arrays out.

Each loader takes a path, so that it also reads another copy or another trace of the same format;
`edge_marl.data.file_of(name, path)` gives the path of a registered file. Rows are in the order of
the file, which is that of time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edge_marl.data.csv_tables import FIX, read_archive, read_table, read_text, show
from edge_marl.data.fields import parse_number
from edge_marl.data.json_fields import MOST, parse_count, parse_object
from edge_marl.errors import DataError
from edge_marl.kernel.world import Floats, Ints

__all__ = [
    "ClientRates",
    "ImageRequests",
    "LlmRequests",
    "Metric",
    "Places",
    "TokenHistograms",
    "load_client_rates",
    "load_image_requests",
    "load_llm_requests",
    "load_metric",
    "load_places",
    "load_prefix_requests",
    "load_token_histograms",
]

KINDS = ("TXT_2_IMG", "IMG_2_IMG", "INPAINTING")
STATES = ("SUCCEED", "FAILED", "PENDING", "PROCESSING")
PATTERNS = ("", "Gamma", "Weibull")

WHOLE = re.compile(r"[0-9]{1,9}")
"""A whole number in a name; `str.isdigit` would also take superscripts."""


@dataclass(frozen=True, eq=False)
class ImageRequests:
    """Requests to a text-to-image service (alibaba-gentd26, `lora_request_trace.csv`)."""

    origin: np.datetime64
    """Time of the first request (datetime64[ns]; shifted by the publishers)."""
    arrival_ms: Ints
    """(N,) after the origin; recorded in whole seconds."""
    kind: Ints
    """(N,) place in `KINDS`: from text, from an image, inpainting."""
    state: Ints
    """(N,) place in `STATES`."""
    exec_s: Floats
    """(N,) seconds that it took; 0 where it never started."""
    user: Ints
    """(N,) who asked: a user or a group, from 0 in order of first request."""
    prompt_chars: Ints
    """(N,) length of the prompt in characters; -1 is unknown."""
    negative_chars: Ints
    """(N,) length of the negative prompt in characters; -1 is none or unknown."""
    images: Ints
    """(N,) images asked for; -1 is unknown."""
    steps: Ints
    """(N,) denoising steps of each image; -1 is unknown."""
    model: Ints
    """(N,) the checkpoint asked for, a place in `models`; -1 is unknown."""
    loras: Ints
    """(N,) LoRA add-ons."""
    models: tuple[str, ...]
    """Names of the checkpoints, as published (hashed)."""


def load_image_requests(path: str | Path) -> ImageRequests:
    """Return the requests of `lora_request_trace.csv` of alibaba-gentd26.

    Raises:
        DataError: unreadable file, another header, or a wrong value (with its line and column).
    """
    names = (
        *("gmt_create", "predict_type", "predict_status", "exec_time_seconds", "groupId"),
        *("prompt_length", "negative_prompt_length", "num_images_per_prompt"),
        *("num_inference_steps", "checkpoint_model_version_id", "num_lora"),
    )
    table = read_table(path, names)
    origin, arrival_ms = _since_first(table.times("gmt_create"))
    count = partial(table.whole, low=0, high=MOST, missing=-1)
    model, models = table.names("checkpoint_model_version_id")
    return ImageRequests(
        origin=origin,
        arrival_ms=arrival_ms,
        kind=table.choices("predict_type", KINDS),
        state=table.choices("predict_status", STATES),
        exec_s=table.numbers("exec_time_seconds", 0, 1e7),
        user=table.names("groupId")[0],
        prompt_chars=count("prompt_length"),
        negative_chars=count("negative_prompt_length"),
        images=count("num_images_per_prompt"),
        steps=count("num_inference_steps"),
        model=model,
        loras=table.whole("num_lora", 0, MOST),
        models=models,
    )


@dataclass(frozen=True, eq=False)
class Metric:
    """Samples of one figure of a service's containers (alibaba-gentd26, the other archives)."""

    time_s: Floats
    """(N,) when, in seconds; shifted by the publishers, and another day than the requests."""
    value: Floats
    """(N,) milliseconds of a latency or of queueing, tasks in a queue, percent, bytes, or 1/s."""
    container: Ints
    """(N,) which container, from 0 in order of first sample; -1 is unknown."""


def load_metric(path: str | Path) -> Metric:
    """Return the samples in a `.tar.gz` of alibaba-gentd26, such as model-load times (ms).

    Raises:
        DataError: a damaged archive, another header, or a wrong value (with line and column).
    """
    place, text = read_archive(Path(path))
    table = read_table(place, ("timestamp_anon", "value", "container_ip"), text=text)
    columns = table.columns
    columns["container_ip"] = ["" if ip == "NULL" else ip for ip in columns["container_ip"]]
    return Metric(
        time_s=table.numbers("timestamp_anon", 0, 1e11),
        value=table.numbers("value", -1, 1e15),  # memory shares are recorded as low as -1e-5
        container=table.names("container_ip")[0],
    )


@dataclass(frozen=True, eq=False)
class LlmRequests:
    """Requests to a language model (azure-llm-2023, mooncake-fast25)."""

    origin: np.datetime64 | None
    """Time of the first request (datetime64[ns]); None where only times since are recorded."""
    arrival_ms: Ints
    """(N,) after the origin; mooncake has bundles of 3 s."""
    context_tokens: Ints
    """(N,) tokens of the prompt."""
    generated_tokens: Ints
    """(N,) tokens of the answer."""
    block: Ints
    """(B,) ids of blocks of 512 prompt tokens, request by request; equal ids have equal prefixes.
    Empty where they are not recorded."""
    block_start: Ints
    """(N + 1,) where each request's blocks start in `block`."""


def load_llm_requests(path: str | Path) -> LlmRequests:
    """Return the requests of an `AzureLLMInferenceTrace_*.csv`.

    Raises:
        DataError: unreadable file, another header, or a wrong value (with its line and column).
    """
    table = read_table(path, ("TIMESTAMP", "ContextTokens", "GeneratedTokens"))
    origin, arrival_ms = _since_first(table.times("TIMESTAMP"))
    return LlmRequests(
        origin=origin,
        arrival_ms=arrival_ms,
        context_tokens=table.whole("ContextTokens", 0, MOST),
        generated_tokens=table.whole("GeneratedTokens", 0, MOST),
        block=np.zeros(0, dtype=np.int64),
        block_start=np.zeros(len(table) + 1, dtype=np.int64),
    )


def load_prefix_requests(path: str | Path) -> LlmRequests:
    """Return the requests of a `*_trace.jsonl` of mooncake-fast25, with their prefix blocks.

    Raises:
        DataError: unreadable file, or a line that is no such object (with its line).
    """
    names = ("timestamp", "input_length", "output_length")
    rows: list[list[int]] = []
    blocks: list[int] = []
    starts = [0]
    # Not by `splitlines`: it also splits at characters that a JSON text may hold.
    for line, text in enumerate(read_text(path).split("\n"), start=1):
        if not text.strip():
            continue
        fields = parse_object(text, f"{path}:{line}")
        ids = fields.get("hash_ids")
        if not (isinstance(ids, list) and all(type(k) is int and 0 <= k < 2**63 for k in ids)):
            raise DataError(
                f"{path}:{line}: 'hash_ids' must be a list of whole numbers from 0 to 2**63 - 1: "
                f"{FIX}"
            )
        row = [parse_count(fields, name, f"{path}:{line}") for name in names]
        if rows and row[0] < rows[-1][0]:
            raise DataError(
                f"{path}:{line}: 'timestamp' is {row[0]}: must be no earlier than {rows[-1][0]} on "
                f"the line before: {FIX}"
            )
        rows.append(row)
        blocks += ids
        starts.append(len(blocks))
    if not rows:
        raise DataError(f"{path}: has no rows: the file is empty or cut short: get it again")
    arrival, context, generated = np.array(rows, dtype=np.int64).T.copy()
    return LlmRequests(
        origin=None,
        arrival_ms=arrival,
        context_tokens=context,
        generated_tokens=generated,
        block=np.array(blocks, dtype=np.int64),
        block_start=np.array(starts, dtype=np.int64),
    )


@dataclass(frozen=True, eq=False)
class ClientRates:
    """Rates of clients over time (servegen, `chunk-*-trace.csv`)."""

    client: Ints
    """(N,) number of the client: that in the file's name."""
    start_s: Floats
    """(N,) start of the window, seconds after the first; windows are of 600 s."""
    rate_per_s: Floats
    """(N,) requests per second."""
    gap_cv: Floats
    """(N,) coefficient of variation of the gaps between requests."""
    pattern: Ints
    """(N,) law fitted to the gaps, a place in `PATTERNS`: none, gamma, Weibull."""
    shape: Floats
    """(N,) its shape."""
    scale: Floats
    """(N,) its scale in seconds."""


def load_client_rates(folder: str | Path) -> ClientRates:
    """Return the rates of all clients in a folder of servegen, such as `data/reason/deepseek-r1`.

    Raises:
        DataError: no such files, or a row that is wrong (with file, line and column).
    """
    names = ("start_s", "rate_per_s", "gap_cv", "pattern", "shape", "scale")
    parts: list[tuple[npt.NDArray[np.generic], ...]] = []
    for client, path in _chunks(Path(folder), "trace.csv"):
        table = read_table(path, names, header=False)
        start = table.numbers("start_s", 0, 1e9)
        table.check_order("start_s", start)
        parts.append(
            (
                np.full(len(table), client, dtype=np.int64),
                start,
                table.numbers("rate_per_s", 0, 1e9),
                table.numbers("gap_cv", 0, 1e9),
                table.choices("pattern", PATTERNS),
                table.numbers("shape", 0, 1e12),
                table.numbers("scale", 0, 1e12),
            )
        )
    return ClientRates(*(np.concatenate(column) for column in zip(*parts, strict=True)))


@dataclass(frozen=True, eq=False)
class TokenHistograms:
    """How large the requests of clients are (servegen, `chunk-*-dataset.json`)."""

    client: Ints
    """(H,) number of the client of each histogram."""
    start_s: Ints
    """(H,) start of the time that it holds for, in seconds."""
    field: Ints
    """(H,) which quantity, a place in `fields`."""
    fields: tuple[str, ...]
    """Such as input_tokens, output_tokens, image_count, reason_ratio."""
    begin: Ints
    """(H + 1,) where each histogram begins in `value` and `share`."""
    value: Floats
    """(B,) values of all histograms."""
    share: Floats
    """(B,) share of requests with that value; sums to 1 in each histogram that is not empty."""


def load_token_histograms(folder: str | Path) -> TokenHistograms:
    """Return the histograms of all clients in a folder of servegen.

    Raises:
        DataError: no such files, or a histogram that is wrong (with file and place in it).
    """
    known: dict[str, int] = {}
    heads: list[tuple[int, int, int]] = []
    bodies: list[Floats] = []
    for client, path in _chunks(Path(folder), "dataset.json"):
        for start, fields in parse_object(read_text(path), str(path)).items():
            if not (WHOLE.fullmatch(start) and isinstance(fields, dict)):
                raise DataError(
                    f"{path}: key '{show(start)}' must be seconds, of at most nine digits, with an "
                    f"object: {FIX}"
                )
            for name, text in fields.items():
                bodies.append(_parse_histogram(text, f"{path}: '{show(name)}' at {start} s"))
                heads.append((client, int(start), known.setdefault(name, len(known))))
    client_of, start_of, field = np.array(heads, dtype=np.int64).reshape(-1, 3).T.copy()
    pairs = np.concatenate([np.zeros((0, 2)), *bodies])
    return TokenHistograms(
        client=client_of,
        start_s=start_of,
        field=field,
        fields=tuple(known),
        begin=np.cumsum([0, *(len(body) for body in bodies)], dtype=np.int64),
        value=pairs[:, 0].copy(),
        share=pairs[:, 1].copy(),
    )


@dataclass(frozen=True, eq=False)
class Places:
    """Places on the map (eua-melbourne: sites of base stations, users)."""

    latitude: Floats
    """(N,) degrees north."""
    longitude: Floats
    """(N,) degrees east."""


def load_places(path: str | Path) -> Places:
    """Return the places of a file of eua-melbourne: `site-*.csv` or `users-*.csv`.

    Raises:
        DataError: unreadable file, no such columns, or a wrong value (with its line and column).
    """
    is_site = Path(path).name.startswith("site")
    names = ("LATITUDE", "LONGITUDE") if is_site else ("Latitude", "Longitude")
    table = read_table(path, names)
    return Places(table.numbers(names[0], -90, 90), table.numbers(names[1], -180, 180))


def _since_first(times: npt.NDArray[np.datetime64]) -> tuple[np.datetime64, Ints]:
    """The first of times in order, and milliseconds after it, cut down."""
    after = (times - times[0]).astype("timedelta64[ns]").astype(np.int64)
    return times[0], after // 1_000_000


def _chunks(folder: Path, ending: str) -> Iterator[tuple[int, Path]]:
    """Numbers and files of the clients in a folder of servegen, by number."""
    found: dict[int, Path] = {}
    for path in sorted(folder.glob(f"chunk-*-{ending}")):
        number = path.name.removeprefix("chunk-").removesuffix(f"-{ending}")
        if not WHOLE.fullmatch(number):
            raise DataError(
                f"{path}: 'chunk-{show(number)}' must be a client's number, of at most nine "
                "digits: rename the file, or take it out of the folder"
            )
        if int(number) in found:
            raise DataError(
                f"{path}: is of client {int(number)}, and so is {found[int(number)].name}: a "
                "client has one file: take one out of the folder"
            )
        found[int(number)] = path
    if not found:
        raise DataError(
            f"{folder}: has no files chunk-*-{ending}: give a folder of servegen such as "
            "data/reason/deepseek-r1"
        )
    yield from sorted(found.items())


def _parse_histogram(text: object, place: str) -> Floats:
    """(B, 2) values and shares of text such as `{136: 0.25, 372: 0.75}`."""
    try:
        if not (isinstance(text, str) and text[:1] == "{" and text[-1:] == "}"):
            raise ValueError
        if text == "{}":  # a client without requests in that time
            return np.zeros((0, 2))
        flat = np.array([parse_number(part.strip(" ")) for part in re.split("[:,]", text[1:-1])])
        pairs: Floats = flat.reshape(-1, 2)
        if len(np.unique(pairs[:, 0])) < len(pairs):
            raise ValueError
        if not ((flat >= 0) & (flat < np.inf)).all() or abs(pairs[:, 1].sum() - 1) > 1e-3:
            raise ValueError
    except ValueError:
        raise DataError(
            f"{place}: must be text such as '{{136: 0.25, 372: 0.75}}', of values that differ and "
            f"whose shares sum to 1: {FIX}"
        ) from None
    return pairs
