"""Small files in the formats of the recorded data sets, and a registry that holds them."""

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from edge_marl.data.dataset import DataFile, Dataset
from edge_marl.data.replay import replay_workload
from edge_marl.errors import EdgeMarlError
from edge_marl.scenario import Scenario
from edge_marl.workload import Workload
from edge_marl.workload.parts import SPLITS
from edge_marl.workload.sampling import Streams

TRACES = Path(__file__).parents[3] / "shared" / "traces"
needs_traces = pytest.mark.skipif(
    not TRACES.is_dir(), reason="the recorded data sets are not at ../shared/traces"
)

IMAGE_HEADER = (
    "gmt_create,predict_type,predict_status,exec_time_seconds,groupId,prompt_length,"
    "negative_prompt_length,num_images_per_prompt,num_inference_steps,checkpoint_model_version_id,"
    "num_lora"
)
IMAGE_ROWS = (
    "2024-11-15 16:57:50,TXT_2_IMG,SUCCEED,32.0,G0000,63.0,26.0,1.0,30.0,M0000,0",
    "2024-11-15 18:16:14,IMG_2_IMG,FAILED,43.0,G0001,93.0,,4.0,40.0,M0001,1",
    "2024-11-15 18:16:14,TXT_2_IMG,PENDING,0.0,G0001,,,,,,0",
)
LLM_TEXT = (
    "TIMESTAMP,ContextTokens,GeneratedTokens\n"
    "2023-11-16 18:17:03.9799600,4808,10\n2023-11-16 18:17:04.0319600,3180,8\n"
)
PREFIX_TEXT = (
    '{"timestamp": 0, "input_length": 1100, "output_length": 5, "hash_ids": [0, 1, 2]}\n'
    '{"timestamp": 27, "input_length": 400, "output_length": 7, "hash_ids": [0]}\n'
)
METRIC_TEXT = "timestamp_anon,value,container_ip\n100.0,2639.0,aa\n157.0,31000.0,NULL\n"
RATES_TEXT = "0,0.8,0.57,Gamma,3.08,0.36\n600,0,0,,0,0\n"
HISTOGRAM = {"0": {"input_tokens": "{136: 0.25, 372: 0.75}"}, "600": {"input_tokens": "{}"}}
SITES_TEXT = (
    "SITE_ID,LATITUDE,LONGITUDE,NAME\n1,-37.81,144.95,a\n2,-37.82,144.97,b\n3,-37.815,144.96,c\n"
)
USERS_TEXT = "Latitude,Longitude\n-37.811,144.951\n-37.819,144.969\n-37.8205,144.9705\n"


def image_text(*rows: str) -> str:
    return "\n".join((IMAGE_HEADER, *(rows or IMAGE_ROWS))) + "\n"


def archive(files: Mapping[str, str]) -> bytes:
    """A .tar.gz of text files."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text.encode())
            tar.addfile(member, io.BytesIO(text.encode()))
    return packed.getvalue()


def write(folder: Path, files: Mapping[str, str | bytes]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def dataset(name: str, files: Mapping[str, str | bytes]) -> Dataset:
    """A registry entry of files that the test made."""
    entries = []
    for path, content in files.items():
        raw = content.encode() if isinstance(content, str) else content
        entries.append(DataFile(path, len(raw), hashlib.sha256(raw).hexdigest()))
    return Dataset(name, "made up", "https://data.invalid/", "none", "nobody", tuple(entries))


SERVEGEN_FILES: dict[str, str | bytes] = {
    "chunk-0-trace.csv": RATES_TEXT,
    "chunk-10-trace.csv": RATES_TEXT,
    "chunk-0-dataset.json": json.dumps(HISTOGRAM),
}
EUA_FILES: dict[str, str | bytes] = {
    "edge-servers/site-optus-melbCBD.csv": SITES_TEXT,
    "users/users-melbcbd-generated.csv": USERS_TEXT,
}


def production_day() -> dict[str, str | bytes]:
    """600 requests of 60 users for 4 checkpoints, one every 20 s, as alibaba-gentd26 has them.

    The k-th ran for 10 + k / 20 seconds, so that a task tells which request it was.
    """
    rows = []
    for k in range(600):
        second = 20 * k
        clock = f"{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}"
        model = "ABBACBDBBB"[k % 10]
        kind = "IMG_2_IMG" if k % 7 == 3 else "TXT_2_IMG"
        state = "FAILED" if k % 50 == 49 else "SUCCEED"
        images = (1, 1, 4, 2)[k % 4]
        rows.append(
            f"2024-03-01 {clock},{kind},{state},{10 + k / 20},G{k * 7 % 60},50.0,,{images}.0,30.0,"
            f"{model},0"
        )
    rows[5] = f"{rows[5].split(',')[0]},TXT_2_IMG,PENDING,0.0,G0,,,,,,0"
    loads = "".join(f"{k}.0,{1000 + 10 * k}.0,aa\n" for k in range(20))
    return {
        "lora_request_trace.csv": image_text(*rows),
        "basemodel_update_latency_anon.tar.gz": archive(
            {
                "._loads.csv": "resource fork",
                "loads.csv": f"timestamp_anon,value,container_ip\n{loads}",
            }
        ),
    }


def check_message(error: EdgeMarlError, *parts: str) -> None:
    """One paragraph that holds all parts and ends with what to do."""
    text = str(error)
    assert "\n" not in text
    assert len(text) < 700
    for part in parts:
        assert part in text
    assert ": " in text


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


def replay(scenario: Scenario, seed: int, split: str = "train", episode: int = 0) -> Workload:
    numbers = {str(name): number for name, number in SPLITS.items()}
    return replay_workload(scenario, Streams(seed, numbers[split], episode))
