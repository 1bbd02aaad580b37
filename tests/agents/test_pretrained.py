"""Trained agents of the leaderboards: in a checkout, and where only the package is installed."""

import shutil
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from edge_marl.agents import fetch_pretrained, load_pretrained, pretrained
from edge_marl.agents.play import play
from edge_marl.benchmarks.run.evaluation import draw_test_workloads
from edge_marl.cli import app
from edge_marl.console import run_app
from edge_marl.errors import AgentError
from edge_marl.leaderboards.submission.files import read_submission
from edge_marl.scenario import load_scenario

CHECKOUT = pretrained.HERE
PPO = next(one for one in pretrained.pretrained() if (one.agent, one.scenario) == ("ppo", "paper"))
PLACE = f"{pretrained.SUBMISSIONS}/{PPO.submission}/policy/seed-1"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A checkout that holds one policy."""
    shutil.copytree(CHECKOUT / PLACE, tmp_path / "checkout" / PLACE)
    return tmp_path / "checkout"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed package, without the repository around it, and an empty cache."""
    monkeypatch.setattr(pretrained, "HERE", tmp_path / "site-packages")
    monkeypatch.setenv("EDGE_MARL_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "pretrained" / PPO.submission / "policy" / "seed-1"


@pytest.fixture
def address(source: Path) -> Iterator[str]:
    """Where that checkout is served."""

    class Silent(SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Silent, directory=source)) as server:
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def fetch(source: object = None) -> Path:
    return fetch_pretrained("ppo", "paper", seed=1, source=None if source is None else str(source))


@pytest.mark.parametrize("one", pretrained.pretrained(), ids=lambda one: one.submission)
def test_a_trained_agent_gets_what_its_entry_says(one: pretrained.Pretrained) -> None:
    scenario = load_scenario(one.scenario)
    agent = load_pretrained(one.agent, one.scenario)
    entry = read_submission(CHECKOUT / pretrained.SUBMISSIONS / one.submission)
    workloads = draw_test_workloads(scenario, 1)
    (found,) = play(agent, scenario, workloads, seed=0, api=scenario.api).metrics
    assert found["utility"] == pytest.approx(entry.runs[0].metrics["utility"][0])
    assert one.seeds == list(entry.policy_seeds)


def test_a_package_alone_takes_it_from_a_checkout_once(source: Path, cache: Path) -> None:
    with pytest.raises(AgentError, match=r"is not here .* agents fetch ppo paper --from PLACE"):
        fetch()
    assert fetch(source) == cache
    shutil.rmtree(source)
    assert fetch() == cache
    assert load_pretrained("ppo", "paper", seed=1).name == "ppo"


def test_a_package_alone_takes_it_from_an_address(address: str, cache: Path) -> None:
    assert fetch(address) == cache
    assert {path.name for path in cache.iterdir()} == {"config.json", "weights.safetensors"}
    with pytest.raises(AgentError, match=r"cannot be downloaded .* the folder of a checkout"):
        fetch_pretrained("ppo", "paper", seed=0, source=address)


def test_a_damaged_copy_is_brought_again(source: Path, cache: Path) -> None:
    weights = fetch(source) / "weights.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1])
    with pytest.raises(AgentError, match="is not here"):
        fetch()
    assert (fetch(source) / weights.name).read_bytes() == whole


@pytest.mark.parametrize("remote", [False, True])
def test_other_files_than_those_listed_are_refused(
    remote: bool, source: Path, address: str, cache: Path
) -> None:
    (source / PLACE / "weights.safetensors").write_bytes(b"others")
    with pytest.raises(AgentError, match=r"weights.safetensors: .* SHA-256 .* another version"):
        fetch(address if remote else source)
    assert not cache.exists()


def test_a_place_that_is_named_is_used_where_the_files_are_here_too(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pretrained, "HERE", CHECKOUT)
    assert fetch() == CHECKOUT / PLACE
    assert fetch(CHECKOUT) == cache
    with pytest.raises(AgentError, match="nowhere: there is no such folder"):
        fetch(tmp_path / "nowhere")


def test_a_source_that_is_none(source: Path, cache: Path, tmp_path: Path) -> None:
    with pytest.raises(AgentError, match=r"nowhere: there is no such folder: give a checkout"):
        fetch(tmp_path / "nowhere")
    with pytest.raises(AgentError, match=r"config.json: there is no such file: .* is no checkout"):
        fetch(tmp_path)


@pytest.mark.parametrize(
    ("agent", "scenario", "seed", "said"),
    [
        ("prophet", "paper", 0, r"learns nothing: edge_marl.agents.make\('prophet', scenario\)"),
        ("qrdqn", "paper", 0, r"no re-executed 'qrdqn' for 'paper', only .*ppo.*--pretrained"),
        ("ppo", "smoke", 0, r"no re-executed 'ppo' for 'smoke', nor any other learner"),
        ("ppo", "paper", 40, r"seed 40: 'ppo' was trained on 'paper' with seeds 0, 1"),
        ("pppo", "paper", 0, "did you mean 'ppo'"),
    ],
)
def test_what_there_is_not(agent: str, scenario: str, seed: int, said: str) -> None:
    with pytest.raises(AgentError, match=said):
        load_pretrained(agent, scenario, seed=seed)


def test_commands(source: Path, cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command in (["list", "--pretrained"], ["fetch", "ppo", "paper", "--seed", "1"]):
        args = ["agents", *command, *(["--from", str(source)] if command[0] == "fetch" else [])]
        with pytest.raises(SystemExit) as end:
            run_app(app, args)
        assert not end.value.code
    listed = capsys.readouterr().out.splitlines()
    assert len(listed) == 1 + len(pretrained.pretrained()) + 1
    assert listed[0].split() == ["agent", "scenario", "score", "decisions", "seeds", "entry"]
    assert any(line.split()[:2] == ["ppo", "paper"] for line in listed)
    assert listed[-1] == str(cache)
