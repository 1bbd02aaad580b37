"""Tiers of several versions: what names them, what they are called, and where results go.

The folder of tiers here has one version more of `campus` than the package, and two of `smoke`.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from pydantic import ValidationError

from edge_marl import list_games, list_tiers, load_scenario, tiers
from edge_marl.agents.heuristics.prices import shipped_at
from edge_marl.benchmarks.plan.cells import Arena
from edge_marl.benchmarks.plan.make_plan import make_plan
from edge_marl.benchmarks.records.records import write_plan
from edge_marl.benchmarks.suites import DEFAULT, load_suite
from edge_marl.bound.anchor_pairs import shipped_name, shipped_pairs
from edge_marl.cli import app
from edge_marl.cli.machine import bench
from edge_marl.console import run_app
from edge_marl.errors import ScenarioError, SubmissionError
from edge_marl.leaderboards.boards.board import read_boards
from edge_marl.leaderboards.boards.build import build
from edge_marl.leaderboards.submission.facts import is_released, tier_of
from edge_marl.leaderboards.submission.files import list_submissions
from edge_marl.leaderboards.submission.finished_run import arena_of
from edge_marl.leaderboards.submission.schema import ScenarioFacts
from edge_marl.scenario import find_release, parse_scenario, read_tier
from edge_marl.scenario.evidence import read_evidence
from tests.worlds import fakes, made_up_submissions

FIRST = load_scenario("campus@1")
SMOKE = load_scenario("smoke")
NEWEST = tiers.versions_of("campus")[-1] + 1


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder of tiers, in place of the package's."""
    place = tmp_path / "tiers"
    shutil.copytree(str(tiers.FOLDER), place, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    for path in [*place.rglob("smoke.*"), *place.rglob("smoke-w*")]:
        path.rename(path.with_name(path.name.replace("smoke", "smoke@1")))
    for old, new in (("campus@1", f"campus@{NEWEST}"), ("smoke@1", "smoke@2")):
        text = (place / f"{old}.toml").read_text("utf-8")
        text = text.replace("version = 1\n", f"version = {new.partition('@')[2]}\n")
        (place / f"{new}.toml").write_text(text.replace("penalty = ", "penalty = 1"), "utf-8")
    monkeypatch.setattr(tiers, "FOLDER", place)
    return place


def run(capsys: pytest.CaptureFixture[str], *args: object) -> tuple[int, str]:
    with pytest.raises(SystemExit) as end:
        run_app(app, [str(arg) for arg in args])
    said = capsys.readouterr()
    return int(end.value.code or 0), said.out + said.err


def check_names() -> None:
    """Every file is a release, every label loads it, and no tier is there with and without."""
    files = [file.name for file in tiers.FOLDER.iterdir() if file.name.endswith(".toml")]
    assert sorted(files) == [f"{label}.toml" for label in list_tiers()]
    for label in list_tiers():
        assert load_scenario(label).label == label
        assert load_scenario(label) == parse_scenario(read_tier(label), label)


def test_files_of_the_package_are_called_as_what_they_hold() -> None:
    check_names()


def test_a_name_is_the_newest_version_and_a_label_its_own(folder: Path) -> None:
    check_names()
    newest, second = load_scenario("campus"), load_scenario("smoke@2")
    assert (newest.version, newest.label) == (NEWEST, f"campus@{NEWEST}")
    assert newest == load_scenario(f"campus@{NEWEST}")
    assert not newest.superseded
    assert load_scenario("smoke") == second
    assert second.overload.penalty == 10 + SMOKE.overload.penalty
    for label, scenario in (("campus@1", FIRST), ("smoke@1", SMOKE)):
        assert load_scenario(label).digest == scenario.digest
        assert load_scenario(label).superseded
        assert scenario.label == label  # also of one that was loaded before
    assert load_scenario("smoke@1", world=3).label == "smoke@1-w3"
    assert load_scenario("paper@1") == load_scenario("paper")
    assert load_scenario("paper@1", world=3).label == "paper-w3"


def test_lists_have_every_release_or_the_newest(folder: Path) -> None:
    for label in ("smoke@1", "smoke@2", "campus@1", f"campus@{NEWEST}", "paper"):
        assert label in list_tiers()
        assert (label in list_tiers(newest=True)) == (label not in ("smoke@1", "campus@1"))
    assert list_tiers() == sorted(list_tiers())
    assert not {"smoke", "campus"} & set(list_tiers())


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("smoke@7", "tier 'smoke' has no version '7': it has smoke@1, smoke@2"),
        ("smoke@", "tier 'smoke' has no version ''"),
        ("smoke@01", "tier 'smoke' has no version '01'"),
        ("smoke@2@1", "tier 'smoke' has no version '2@1'"),
        ("paper@2", "tier 'paper' has no version '2': it has paper@1"),
        ("smoek@1", "unknown tier 'smoek@1': did you mean 'smoke@1'?"),
        ("smoek", "unknown tier 'smoek': did you mean 'smoke'?"),
        ("smoke-w3", "unknown tier 'smoke-w3': did you mean 'smoke'?"),
        ("smoke@1.toml", "smoke@1.toml: there is no such scenario file"),
    ],
)
def test_what_is_no_version_is_explained(folder: Path, name: str, message: str) -> None:
    with pytest.raises(ScenarioError) as error:
        load_scenario(name)
    assert str(error.value).startswith(message)


def test_what_is_shipped_is_found_by_the_label(folder: Path) -> None:
    old, new = load_scenario("campus@1"), load_scenario("campus")
    assert shipped_name(old) == "campus@1-w0.json"
    assert shipped_at(old).is_file()
    assert len(shipped_pairs(old)) == 100
    assert shipped_pairs(new) == {}  # its name is another, where it has none
    assert read_evidence(old) is not None
    assert read_evidence(new) is None


def test_what_was_kept_under_a_bare_name_goes_by_its_digest(folder: Path) -> None:
    for label, scenario in (("campus", FIRST), ("campus@1", FIRST), ("smoke", SMOKE)):
        assert find_release(label, scenario.digest) == scenario
    world = SMOKE.in_world(3)
    assert find_release("smoke-w3", world.digest) == world
    assert find_release("smoke@1-w3", world.digest) == world
    assert find_release("campus-w3", FIRST.digest) is None  # it has no worlds
    assert find_release("smoke", FIRST.digest) is None
    assert find_release("/etc/passwd.toml", FIRST.digest) is None


def test_labels_of_boards_are_the_releases_own(folder: Path) -> None:
    for label in (*list_tiers(), "paper-w3", "smoke@1-w3"):
        found = tier_of(label)
        assert found is not None
        assert found.label == label
        assert is_released(found)
    for label in ("campus", "smoke", "paper@1", "smoke@3", "smoke-w3", "paper-w03", "paper-w", ""):
        assert tier_of(label) is None, label


@pytest.mark.parametrize("name", ["campus@1", "campus@12", "smoke@1-w3", "paper-w3", "replay-a1"])
def test_the_schema_takes_labels(name: str) -> None:
    assert ScenarioFacts(name=name, digest="0" * 64).name == name


@pytest.mark.parametrize(
    "name", ["campus@", "campus@0", "campus@01", "@1", "a@1@2", "a@1-w", "a@1.b", "../a", "a@x"]
)
def test_the_schema_takes_nothing_else(name: str) -> None:
    with pytest.raises(ValidationError):
        ScenarioFacts(name=name, digest="0" * 64)


def test_the_command_lists_earlier_versions_last(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out = run(capsys, "scenarios", "list")
    newest, _, earlier = out.partition("Earlier versions:")
    assert code == 0
    for label in (f"campus@{NEWEST}", "smoke@2", "paper"):
        assert f"\n{label} " in f"\n{newest}"
        assert f"\n{label} " not in earlier
    for label in ("campus@1", "smoke@1"):
        assert f"\n{label} " not in f"\n{newest}"
        assert f"\n{label} " in earlier


def test_the_command_shows_and_exports_a_version(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out = run(capsys, "scenarios", "show", "smoke@1")
    assert code == 0
    assert "smoke@1, version 1; there is a newer one, smoke@2" in " ".join(out.split())
    code, out = run(capsys, "scenarios", "show", "smoke")
    assert "smoke@2, version 2" in out
    assert "newer" not in out
    assert "version 1" in run(capsys, "scenarios", "show", "paper")[1]
    for name, release in (("smoke", "smoke@2"), ("smoke@1", "smoke@1"), ("paper@1", "paper")):
        own = tmp_path / f"{name}-copy.toml"
        assert run(capsys, "scenarios", "export", name, own)[0] == 0
        assert own.read_bytes() == (folder / f"{release}.toml").read_bytes()
    code, out = run(capsys, "scenarios", "export", "smoke@3", tmp_path / "none.toml")
    assert code == 2
    assert "it has smoke@1, smoke@2" in " ".join(out.split())


def test_all_tiers_of_a_measurement_are_the_newest(folder: Path) -> None:
    found = [scenario.label for scenario in bench._scenarios("all")]
    assert {f"campus@{NEWEST}", "smoke@2", "paper"} < set(found)
    assert not {"campus@1", "smoke@1"} & set(found)
    labels = [scenario.label for scenario in bench._scenarios("smoke,smoke@2,smoke@1")]
    assert labels == ["smoke@2", "smoke@1"]  # each once


def test_a_suite_of_names_plans_the_newest_and_says_so(folder: Path) -> None:
    plan = make_plan(load_suite("tiers").replaced({"agents": ("nearest",)}))
    assert [arena.label for arena in plan.arenas][2] == f"campus@{NEWEST}"
    study = make_plan(load_suite("study-campus"))
    assert [arena.scenario for arena in study.arenas] == [FIRST]
    both = make_plan(DEFAULT.replaced({"scenarios": ("smoke@1", "smoke")}))
    assert [arena.label for arena in both.arenas] == ["smoke@1", "smoke@2"]
    assert both.name == "smoke@1+smoke@2"  # of its folder
    names = [job.file_name.partition("_")[0] for job in both.jobs()]
    assert set(names) == {"smoke@1", "smoke@2"}


def test_boards_of_earlier_versions_come_last(folder: Path, tmp_path: Path) -> None:
    root = tmp_path / "submissions"
    made_up_submissions.write_submission(root, "smoke@1", "prophet")
    names = [board.name for board in build(root, tmp_path / "out")]
    earlier = [f"{label}-v0" for label in list_tiers() if load_scenario(label).superseded]
    assert {"campus@1-v0", "smoke@1-v0"} <= set(earlier)
    newest = [*list_tiers(newest=True), *list_games(newest=True)]
    assert names == [*sorted(f"{label}-v0" for label in newest), *earlier]
    page = (tmp_path / "out" / "README.md").read_text("utf-8")
    first, _, last = page.partition("Earlier versions of tiers:")
    index = (tmp_path / "out" / "site" / "index.html").read_text("utf-8")
    shown, folded, rest = index.partition("<details>")
    assert folded
    for name in names:
        assert (f"[{name}]({name}.md)" in last) == (name in earlier)
        assert (f"[{name}]({name}.md)" in first) == (name not in earlier)
        assert (f'<a href="{name}.html"' in rest) == (name in earlier)
        has_entries = name == "smoke@1-v0"
        assert (f'<h2><a href="{name}.html">{name}</a></h2>' in shown + rest) == has_entries
        assert f'<a href="{name}.html"' in shown + rest
        assert (tmp_path / "out" / f"{name}.md").is_file()
        assert (tmp_path / "out" / "site" / f"{name}.html").is_file()


def test_a_name_picks_the_newest_of_a_run(folder: Path, tmp_path: Path) -> None:
    newest = load_scenario("campus")
    arenas = tuple(Arena(scenario=scenario) for scenario in (FIRST, newest))
    write_plan(tmp_path, fakes.plan().model_copy(update={"arenas": arenas}))
    assert arena_of(tmp_path, "campus").scenario == newest
    assert arena_of(tmp_path, "campus@1").scenario == FIRST
    with pytest.raises(SubmissionError, match=rf"campus@1, campus@{NEWEST}: say which"):
        arena_of(tmp_path, None)
    with pytest.raises(SubmissionError, match="has no scenario 'smoke', only campus@1"):
        arena_of(tmp_path, "smoke")


def test_a_submission_goes_to_the_board_of_its_version(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """From the run to the page, all by commands, though there is a newer version."""
    ran, root, out = tmp_path / "run", tmp_path / "submissions", tmp_path / "out"
    where = ("--scenario", "smoke@1", "--agents", "nearest", "--episodes", 100)
    code, said = run(capsys, "run", *where, "--out", ran, "--quiet")
    assert code == 0, said
    assert {path.name.partition("_")[0] for path in (ran / "cells").iterdir()} == {"smoke@1"}
    submit = ("submit", ran, "--agent", "nearest", "--author", "Ada", "--out", root)
    code, said = run(capsys, *submit, "--scenario", "smoke")  # version 2, which was not run
    assert code == 2
    assert "has no scenario 'smoke', only smoke@1" in " ".join(said.split())
    code, said = run(capsys, *submit, "--scenario", "smoke@1", "--with-policy")
    assert code == 0, said
    [entry] = list_submissions(root)
    assert entry.folder.parent.name == "smoke@1-v0"
    assert entry.submission.scenario == ScenarioFacts(name="smoke@1", digest=SMOKE.digest)
    assert entry.submission.about.training.data == "none"
    code, said = run(capsys, "verify", entry.folder, "--record")
    assert code == 0, said
    assert f"{entry.name}: re-executed" in said
    assert run(capsys, "leaderboard", "build", "--submissions", root, "--out", out)[0] == 0
    [board] = [board for board in read_boards(root) if board.rows]
    assert (board.name, board.rows[0].level) == ("smoke@1-v0", "re-executed")
    assert "**nearest**" in (out / "smoke@1-v0.md").read_text("utf-8")
    assert "No submissions yet" in (out / "smoke@2-v0.md").read_text("utf-8")
    assert (out / "site" / f"{entry.name}.html").is_file()
    moved = root / "smoke@2-v0" / entry.folder.name
    shutil.copytree(entry.folder, moved)
    code, said = run(capsys, "verify", moved)
    assert code == 1
    assert "folder of the board: expected smoke@1-v0, found smoke@2-v0" in " ".join(said.split())
