"""What `edge-marl bench` measures and writes; not how fast anything is."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numba
import numpy as np
import pytest

from edge_marl import draw_workload
from edge_marl.benchmarks.speed import peers
from edge_marl.benchmarks.speed.bench import Wishes, bench
from edge_marl.benchmarks.speed.drives import APIS, NATIVE, Oracle, game_of, on_threads, rows_of
from edge_marl.benchmarks.speed.findings import Findings, PeerRow, Spread, read, write
from edge_marl.benchmarks.speed.learners import learners, training_speed
from edge_marl.benchmarks.speed.parts import blind_rows
from edge_marl.benchmarks.speed.peer_script import PEERS, Peer
from edge_marl.benchmarks.speed.peer_script import main as run_peers
from edge_marl.benchmarks.speed.tables import COUNTING, markdown, number
from edge_marl.cli import app
from edge_marl.console import run_app
from edge_marl.errors import AgentError, RecordError, SuiteError
from edge_marl.scenario import load_scenario
from edge_marl.simulator import Simulator
from edge_marl.simulator.crew import alone


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Findings:
    """A short bench of `smoke`, by the command."""
    out = tmp_path_factory.mktemp("bench")
    with pytest.raises(SystemExit) as done:
        run_app(app, ["bench", "--quick", "--tiers", "smoke", "--out", str(out)])
    assert done.value.code == 0
    assert {path.name for path in out.iterdir()} == {
        *("speed.json", "speed.md", "speed.png", "speed.svg")
    }
    assert (out / "speed.md").read_text("utf-8") == markdown(read(out / "speed.json")) + "\n"
    return read(out / "speed.json")


def test_every_api_is_measured_with_resets_and_without(found: Findings) -> None:
    assert {row.api for row in found.apis} == {api.name for api in APIS}
    assert Oracle in {api.drive for api in APIS}  # this is a checkout
    for row in found.apis:
        assert 0 < row.with_resets.median <= row.without_resets.median
    turns = {row.api: row.turns for row in found.apis}
    assert turns["gym.make"] == turns[NATIVE] == 1
    assert turns["parallel_env"] == turns["AEC env"] == turns["EdgeAIGCRows"] == 2  # gateways


def test_a_decision_is_taken_apart(found: Findings) -> None:
    (row,) = found.tiers
    assert row.transition_ns > 0
    assert row.floor_ns > 0
    assert min(row.observation_ns, row.api_ns, row.reset_ns) >= 0
    world = Simulator(load_scenario("smoke"))
    reward = 8
    assert row.observation_bytes == world.observations.nbytes + world.feasible.nbytes + reward


def test_new_processes_get_to_their_first_step(found: Findings) -> None:
    (row,) = found.starts
    assert 0 < row.import_s < row.warm_s
    assert row.cold_s is None  # that would take long


def test_the_tables_say_how_things_are_counted(found: Findings) -> None:
    text = markdown(found)
    assert COUNTING in text
    assert found.machine.hardware.cpu in text
    assert "| smoke | gym.make_vec | 1 |" in text
    assert "Other suites" not in text
    rows = (
        PeerRow(name="one", what="a step", steps_per_s=Spread(median=1234, low=1000, high=2000)),
        PeerRow(name="two", what="a move", failed="ImportError: no"),
    )
    text = markdown(found.model_copy(update={"peers": rows}))
    assert "| one |  | a step | 1,230 | 1,000 to 2,000 |" in text
    assert "| two |  | a move | failed | ImportError: no |" in text


def test_findings_are_kept(found: Findings, tmp_path: Path) -> None:
    write(found, tmp_path / "a" / "speed.json")
    assert read(tmp_path / "a" / "speed.json") == found
    with pytest.raises(RecordError, match="cannot be read"):
        read(tmp_path / "none.json")
    (tmp_path / "odd.json").write_text(json.dumps({"apis": 3}), "utf-8")
    with pytest.raises(RecordError, match="not what `edge-marl bench` writes"):
        read(tmp_path / "odd.json")


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--tiers", "metropolis"], "did you mean 'metro'"),
        (["--tiers", ","], "--tiers ',': names none"),
        (["--repeat", "0"], "--repeat 0: must be from 1 to 100"),
        (["--repeat", "101"], "--repeat 101: must be from 1 to 100"),
        (["--tiers", "smoke", "--out", "/proc/none"], "/proc/none: cannot be written to"),
        (["--tiers", "smoke", "--json", "/proc/none/x.json"], "/proc/none: cannot be written to"),
    ],
)
def test_bad_input_is_one_message(
    args: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as done:
        run_app(app, ["bench", *args])
    assert done.value.code == 2
    said = " ".join(capsys.readouterr().err.split())
    assert message in said
    assert "Traceback" not in said


def test_batches_are_smaller_where_episodes_are_long() -> None:
    rows = [rows_of(load_scenario(tier), 1, False) for tier in ("paper", "metro@1", "nation@1")]
    assert rows == [1024, 256, 32]
    assert rows_of(load_scenario("metro@1"), 20, False) < rows[1]
    assert rows_of(load_scenario("paper"), 1, True) < rows[0]


def test_games_have_gateways() -> None:
    assert game_of(load_scenario("paper")).gateways.count == 10
    assert game_of(load_scenario("metro@1")).gateways.count == 20


def test_threads_are_those_that_are_asked_for() -> None:
    for threads in (1, 2):
        with on_threads(threads):
            assert Simulator(load_scenario("smoke"), 256).stepper._num_threads == threads


def test_learners_are_those_that_train() -> None:
    assert {"adsac", "ppo", "dqn", "mappo", "adsac network=pairs"} <= set(learners())
    assert not {"random", "prophet"} & set(learners())
    assert training_speed("ppo", load_scenario("smoke"), 0.0) > 0
    with pytest.raises(AgentError, match="does not learn"):
        training_speed("random", load_scenario("smoke"), 0.0)


def test_a_peer_that_fails_is_told_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PEERS, "odd", Peer("numpy", "a step", lambda: 1 // 0))  # type: ignore[arg-type, return-value]
    monkeypatch.setitem(PEERS, "even", Peer("numpy", "a step", lambda: (lambda: None, 10)))
    odd, even = run_peers(0.0, 2, ["odd", "even"])
    assert odd["failed"].startswith("ZeroDivisionError")
    assert len(even["per_s"]) == 2


def test_peers_without_a_python_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "PEERS", dict(list(PEERS.items())[:2]))
    rows = list(peers.measure(Path(sys.executable), 0.0, 1))  # none of them is installed here
    assert [row.failed.partition(":")[0] for row in rows] == ["PackageNotFoundError"] * 2
    rows = list(peers.measure(Path("/none/python"), 0.0, 1))
    assert [row.failed.partition(":")[0] for row in rows] == ["FileNotFoundError"] * 2


def test_peers_that_cannot_be_installed_are_one_message(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "executable", "/none/python")
    with pytest.raises(SuiteError, match="cannot install"):
        peers.install(tmp_path / "peers")


def test_the_pins_are_of_all_peers() -> None:
    pins = (peers.HERE / peers.PINS).read_text("utf-8").splitlines()
    pinned = {line.partition("==")[0] for line in pins if "==" in line}
    assert {peer.package for peer in PEERS.values()} <= pinned


def test_nothing_is_measured_that_was_not_asked_for() -> None:
    said: list[str] = []
    quick = Wishes(scenarios=(load_scenario("smoke"),), repeat=1, quick=True)
    found = bench(quick, said.append)
    assert (found.learners, found.peers) == ((), ())
    assert not [line for line in said if "trains" in line or "peers" in line]
    assert number(1234567) == "1,230,000"


@pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="plain Python has no pointers")
def test_the_kernel_without_observations_makes_none_and_goes_the_same_way() -> None:
    scenario, rows = load_scenario("smoke"), 2
    whole, blind = Simulator(scenario, rows), Simulator(scenario, rows)
    for simulator in (whole, blind):
        for row in range(rows):
            simulator.load(row, draw_workload(scenario, row))
    before = blind.observations.copy()
    for action in range(5):
        actions, rewards, own = np.full(rows, action), np.empty(rows), np.empty(rows)
        whole.step(actions, rewards)
        alone(blind_rows(scenario.model), blind.stepper.job, rows, actions, own)
        np.testing.assert_array_equal(rewards, own)
    np.testing.assert_array_equal(blind.observations, before)
    assert (whole.observations != before).any()
