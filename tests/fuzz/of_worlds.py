"""Readers of scenarios, workloads and recordings."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import fields
from functools import lru_cache, partial
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode

from edge_marl import data
from edge_marl.data import replay
from edge_marl.draw import draw_workload
from edge_marl.envs import EdgeAIGCEnv, EdgeAIGCRows
from edge_marl.scenario import Scenario, load_scenario, parse_scenario, read_tier
from edge_marl.workload import Workload, load_workload
from edge_marl.workload.sampling import Streams
from edge_marl.workload.workload import FORMAT, PARTS
from tests.fuzz.containers import Arrays, change_archive, change_arrays, change_npz
from tests.fuzz.mutators import change
from tests.fuzz.property import Entry
from tests.worlds import recorded
from tests.worlds.every_part import world

__all__ = ["ENTRIES", "SMOKE"]

SMOKE = load_scenario("smoke")
EVERY_PART = world()
SLEEPERS = load_scenario("smoke-game").with_sleep(20_000.0, 5_000.0)
DECISIONS = 5
"""That are taken of an episode: a file that fits has been read by then."""


def play(scenario: Scenario, workload: Workload | None = None) -> None:
    """Start an episode and take some decisions, each seen as the space says.

    A workload that is given may hold more than its scenario states, and is then seen above 1.
    """
    env = EdgeAIGCEnv(scenario)
    seen, info = env.reset(seed=0, options={"workload": workload} if workload else None)
    for _ in range(DECISIONS):
        shown = np.isfinite(seen).all() if workload else env.observation_space.contains(seen)
        assert shown, "an observation outside of its space"
        seen, reward, terminated, truncated, info = env.step(int(info["action_mask"].argmax()))
        assert np.isfinite(reward), "a reward that is no number"
        if terminated or truncated:
            break


def play_game(scenario: Scenario, workload: Workload) -> None:
    """Start a game on a workload, and do nothing in some slots."""
    rows = EdgeAIGCRows(1, scenario, autoreset_mode=AutoresetMode.DISABLED)
    rows.reset(options={"workloads": [workload]})
    for _ in range(DECISIONS):
        seen, rewards, *_ = rows.step(np.full((1, rows.num_gateways), scenario.num_actions))
        assert np.isfinite(seen).all(), "an observation that is no number"
        assert np.isfinite(rewards).all(), "a reward that is no number"


def play_if_small(scenario: Scenario) -> None:
    """Play a scenario; a large one, which may ask for all that this machine has, is only hashed."""
    assert scenario == Scenario.model_validate_json(scenario.model_dump_json())
    tasks = scenario.arrivals.rate_per_s * scenario.arrivals.horizon_s
    qualities = scenario.num_servers * scenario.num_services * (scenario.num_types + 4)
    drawn = scenario.replay is None
    if drawn and tasks < 1000 and qualities < 20_000 and scenario.gateways.count < 300:
        play(scenario)


def scenario_seeds() -> Sequence[bytes]:
    released = [read_tier(name).encode() for name in ("smoke", "studio@1")]
    return (*released, recorded.PRODUCTION.encode(), recorded.EXTENDED.encode())


@lru_cache(maxsize=1)
def workload_seeds() -> Sequence[bytes]:
    """Of the base model, of the extended one, with gateways that sleep, and as the published
    environments record them."""
    worlds = (SMOKE, EVERY_PART, SLEEPERS)
    own = [_packed(_own_arrays(draw_workload(one, seed=0))) for one in worlds]
    topology = draw_workload(SMOKE, seed=0).topology
    reference: Arrays = {
        "cap": topology.capacity,
        "base": topology.baseline,
        "coef": topology.curve,
        "arrival": np.arange(5) * 60,
        "ttype": np.arange(5) % 4,
        "t": np.array([100, 150, 200, 100, 240]),
    }
    return (*own, _packed(reference))


def _own_arrays(workload: Workload) -> Arrays:
    """Return the arrays of a file of ours."""
    parts = {name: getattr(workload, name) for name in ("tasks", *PARTS)}
    given: Arrays = {name: array for name, array in parts.items() if array is not None}
    stated = {"format": np.array(FORMAT), "digest": np.array(workload.digest)}
    return {**workload.topology.arrays(), **given, **stated}


def _packed(arrays: Arrays) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays)  # type: ignore[arg-type]  # NumPy's stubs
    return file.getvalue()


def digest_of(arrays: Arrays) -> str:
    """Return the digest that a workload of any arrays would have, were it one."""
    digest: Any = vars(Workload)["digest"]
    return str(digest.func(SimpleNamespace(_arrays=lambda: arrays)))


def change_workload(rng: Random, content: bytes) -> bytes:
    """Change the file, or the arrays and the digest with them."""
    if rng.random() < 0.3:
        return change_npz(rng, content)
    with np.load(io.BytesIO(content)) as file:
        arrays = {name: file[name] for name in file.files}
    own = {name: array for name, array in arrays.items() if name not in ("format", "digest")}
    changed = change_arrays(rng, own)
    if "digest" in arrays:
        changed |= {"format": arrays["format"], "digest": np.array(digest_of(changed))}
    return _packed(changed)


def play_workload(workload: Workload) -> None:
    """Play a workload in the scenario of its kind."""
    if workload.sleeps is not None:
        play_game(SLEEPERS, workload)
        return
    play(SMOKE if workload.topology.neighbours is None else EVERY_PART, workload)


@lru_cache(maxsize=4)
def _own_scenario(path: Path) -> Scenario:
    scenario = parse_scenario(recorded.EXTENDED, "mine.toml")
    assert scenario.replay is not None
    own = scenario.replay.model_copy(update={"csv": str(path)})
    return scenario.model_copy(update={"replay": own})


def read_own(path: Path) -> tuple[Scenario, Workload]:
    """Return an episode of requests of one's own."""
    replay._read_tape.cache_clear()  # it tells files by their times, which are too coarse here
    scenario = _own_scenario(path)
    return scenario, replay.replay_workload(scenario, Streams(0, 0, 0))


def own_seeds() -> Sequence[bytes]:
    head, *rows = recorded.own_text().splitlines()
    more = f"{head},deadline_s,load_s,upload_kb,download_kb,fails"
    return (
        recorded.own_text().encode(),
        "\n".join((more, *(f"{row},50.5,,0,0,{k % 2}" for k, row in enumerate(rows)))).encode(),
    )


def in_order_and_finite(found: Any) -> None:
    """Check the columns of a recording."""
    for column in fields(found):
        values = getattr(found, column.name)
        if isinstance(values, np.ndarray) and values.dtype.kind == "f":
            assert np.isfinite(values).all(), column.name
    times = getattr(found, "arrival_ms", np.zeros(1))
    assert times[0] == 0 or found.origin is None, "the first request is not at 0"
    assert (np.diff(times) >= 0).all(), "requests out of order"


recording = partial(Entry, change=change, use=in_order_and_finite)

ENTRIES = (
    Entry("scenario", "my.toml", scenario_seeds, change, load_scenario, play_if_small, lists=True),
    Entry("workload", "w.npz", workload_seeds, change_workload, load_workload, play_workload),
    Entry("own-csv", "mine.csv", own_seeds, change, read_own, lambda found: play(*found)),
    recording(
        name="image-trace",
        file="lora_request_trace.csv",
        seeds=lambda: (recorded.image_text().encode(),),
        read=data.load_image_requests,
    ),
    recording(
        name="llm-trace",
        file="trace.csv",
        seeds=lambda: (recorded.LLM_TEXT.encode(),),
        read=data.load_llm_requests,
    ),
    recording(
        name="prefix-trace",
        file="trace.jsonl",
        seeds=lambda: (recorded.PREFIX_TEXT.encode(),),
        read=data.load_prefix_requests,
    ),
    recording(
        name="metric-archive",
        file="metric.tar.gz",
        seeds=lambda: (recorded.archive({"m.csv": recorded.METRIC_TEXT}),),
        change=partial(change_archive, inside=change),
        read=data.load_metric,
    ),
    recording(
        name="client-rates",
        file="chunk-0-trace.csv",
        seeds=lambda: (recorded.RATES_TEXT.encode(),),
        read=lambda path: data.load_client_rates(path.parent),
    ),
    recording(
        name="token-histograms",
        file="chunk-0-dataset.json",
        seeds=lambda: (json.dumps(recorded.HISTOGRAM).encode(),),
        read=lambda path: data.load_token_histograms(path.parent),
    ),
    recording(
        name="places",
        file="users-x.csv",
        seeds=lambda: (recorded.USERS_TEXT.encode(),),
        read=data.load_places,
    ),
)
