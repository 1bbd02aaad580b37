"""`edge-marl watch`, `replay` and `play`, in this process."""

from __future__ import annotations

import io
import json
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from edge_marl.benchmarks.plan.make_plan import make_plan
from edge_marl.benchmarks.records.records import NOBODYS, CellResult, Record, write_record
from edge_marl.benchmarks.run.task import Task
from edge_marl.benchmarks.run.worker import _run_cell
from edge_marl.benchmarks.suites import DEFAULT
from edge_marl.cli import app
from edge_marl.cli.seeing.films import Film
from edge_marl.cli.seeing.logged import seat_of_log
from edge_marl.cli.seeing.screen import KEPT, WIDTHS, view_of
from edge_marl.console import INTERRUPTED, run_app
from edge_marl.draw import draw_workload
from edge_marl.envs import EdgeAIGCEnv
from edge_marl.envs.render import scene_of
from edge_marl.scenario import load_scenario

SUBMISSIONS = Path(__file__).parents[3] / "leaderboards" / "submissions"
OF_GAME = SUBMISSIONS / "paper-game@1-v0" / "2026-11-30-power-of-two"
OF_PAPER = SUBMISSIONS / "paper-v0" / "2026-11-25-prophet"


def command(*args: object) -> int:
    with pytest.raises(SystemExit) as left:
        run_app(app, [str(arg) for arg in args])
    return int(left.value.code or 0)


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of an agent that draws lots, on three workloads."""
    axes = {"scenarios": ("smoke",), "agents": ("random",), "seeds": 1, "episodes": 3}
    plan = make_plan(DEFAULT.replaced(axes))
    (cell,) = plan.cells(plan.arenas[0], plan.agents[0])
    found = _run_cell(cell, Task(job=cell), lambda *told: None)["result"]
    record = Record(job=cell, result=CellResult.model_validate(found), provenance=NOBODYS)
    return write_record(tmp_path_factory.mktemp("run"), record)


def test_watch_tells_the_end_where_there_is_no_terminal(capsys: Any) -> None:
    assert command("watch", "--agent", "prophet", "--scenario", "smoke") == 0
    told = capsys.readouterr().out
    assert told.startswith("smoke   1 d 17 h of 1 d 17 h\ntask 57 of 57")
    assert told.count("server ") == 4  # three, and the rate of crashes
    assert "utility per task" in told


def test_a_terminal_is_shown_what_fits() -> None:
    env = EdgeAIGCEnv("smoke")
    env.reset(seed=0)
    env.step(0)
    for height, lines in ((24, 6), (8, 5)):
        console = Console(file=io.StringIO(), width=100, height=height)
        console.print(view_of(scene_of(env._simulator), console))
        assert isinstance(console.file, io.StringIO)
        assert len(console.file.getvalue().rstrip().splitlines()) == min(lines, 5)


def test_servers_are_shown_in_order_and_a_line_each() -> None:
    """Those of the fullest, where not all fit."""
    env = EdgeAIGCEnv("paper")
    env.reset(seed=0)
    for step in range(60):
        env.step(4 * (step % 7))
    scene = scene_of(env._simulator)
    console = Console(file=io.StringIO(), width=80, height=KEPT + 4)
    console.print(view_of(scene, console))
    assert isinstance(console.file, io.StringIO)
    lines = console.file.getvalue().rstrip().splitlines()
    shown = [int(line.split()[0]) for line in lines if re.match(r" +\d", line)]
    assert shown == sorted(scene.fullest(4))
    assert len(lines) == 2 + 4 + 1
    assert lines[-1].strip() == "the fullest of 10 servers"
    assert sum(WIDTHS) + 2 * (len(WIDTHS) - 1) <= 80


@pytest.mark.parametrize("suffix", [".gif", ".mp4"])
def test_an_episode_of_a_record_is_played_again(
    suffix: str, record: Path, tmp_path: Path, capsys: Any
) -> None:
    """The last one, whose lots are not those of a first one: the utility is as written down."""
    film = tmp_path / f"episode{suffix}"
    asked = ("--workload", 2, "--frames", 6, f"--{suffix[1:]}", film)
    assert command("replay", record, *asked) == 0
    said = capsys.readouterr()
    assert said.out.startswith(f"{film}: ")
    assert not said.err
    if suffix == ".gif":
        with Image.open(film) as image:
            assert getattr(image, "n_frames", 1) >= 4
            assert image.size == (800, 192)
    else:
        assert film.read_bytes()[4:8] == b"ftyp"


@pytest.mark.parametrize("folder", [OF_PAPER, OF_GAME])
def test_an_episode_of_a_submission_is_played_as_its_log_says(folder: Path, capsys: Any) -> None:
    """What comes out is what the submission claims, or standard error would say so."""
    assert command("replay", folder, "--workload", 1) == 0
    said = capsys.readouterr()
    claimed = json.loads((folder / "submission.json").read_text("utf-8"))
    assert f"{claimed['runs'][0]['metrics']['utility'][1]:.4f}" in said.out
    assert not said.err


def test_a_log_that_is_too_short_is_told() -> None:
    from edge_marl.cli.seeing.episode import show_episode
    from edge_marl.errors import SubmissionError

    smoke = load_scenario("smoke")
    seat = seat_of_log(smoke, np.zeros(3, dtype=np.uint16), "mine, run 0")
    with pytest.raises(SubmissionError, match="mine, run 0: the log ends after 3 decisions"):
        show_episode(seat, [draw_workload(smoke, 0)], 5, lambda scene: None)


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (("nothing.json",), "nothing.json: there is no such file"),
        (("{record}", "--workload", "7"), "--workload 7: .* has the episodes 0 to 2"),
        (("{record}", "--gif", "a.mp4"), "a.mp4: must end in .gif"),
        (("{record}", "--gif", "a.gif", "--mp4", "a.mp4"), "give either --gif FILE or --mp4"),
        (("{record}", "--mp4", "nowhere/a.mp4"), "there is no folder nowhere"),
        ((str(OF_PAPER), "--run", "3"), "--run 3: the log of .* has the runs 0 to 0"),
    ],
)
def test_what_cannot_be_replayed_is_said(
    args: tuple[str, ...], told: str, record: Path, capsys: Any
) -> None:
    assert command("replay", *(arg.format(record=record) for arg in args)) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert re.search(told, said), said


def test_without_ffmpeg_an_mp4_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from edge_marl.errors import DataError

    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    with pytest.raises(DataError, match=r"pip install 'edge-marl\[render\]', or take --gif"):
        Film(tmp_path / "a.mp4", 10)


def test_a_person_plays_and_is_scored_beside_the_heuristics(
    monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """Keys that mean nothing are passed over."""
    monkeypatch.setattr(sys, "stdin", io.StringIO("x 1 3 5\n" * 60))
    assert command("play") == 0
    told = capsys.readouterr().out
    assert "[1] service 0   [2] service 1" in told
    rows = [line.split() for line in told.splitlines()[-6:]]
    assert {row[0] for row in rows} >= {"you", "prophet", "random"}
    scores = [float(row[1]) for row in rows]
    assert scores == sorted(scores, reverse=True)


def test_a_person_plays_one_gateway_among_others(
    monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("1" * 100))
    assert command("play", "--scenario", "smoke-game", "--gateway", 1) == 0
    told = capsys.readouterr().out
    assert "you, among power-of-two" in told
    assert 5 < told.count("which server?") < 57  # those of one of three gateways


def test_a_person_may_stop(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("1q"))
    assert command("play") == 0
    assert "no score of half an episode" in capsys.readouterr().err


def test_ctrl_c_is_answered(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    def interrupted() -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr("edge_marl.cli.seeing.person._read_key", interrupted)
    assert command("play") == INTERRUPTED
    assert capsys.readouterr().err == "interrupted\n"


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (("--scenario", "paper"), "'paper' has 40 choices"),
        (("--scenario", "smoke-game", "--gateway", "3"), "has the gateways 0 to 2"),
        (("--scenario", "smoke-game", "--others", "sac"), "'sac' has to learn first"),
    ],
)
def test_what_nobody_can_play_is_said(args: tuple[str, ...], told: str, capsys: Any) -> None:
    assert command("play", *args) == 2
    assert told in " ".join(capsys.readouterr().err.split())
