import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from edge_marl import __version__
from edge_marl.agents.centralised import trainers
from edge_marl.cli import app
from edge_marl.console import run_app
from edge_marl.scenario import list_games, list_tiers, load_scenario
from edge_marl.scenario.ablation import parts_of
from tests.worlds import fakes
from tests.worlds.made_up_evidence import evidence, learner

ROOT = Path(__file__).parents[3]


def run(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as end:
        run_app(app, list(args))
    said = capsys.readouterr()
    return int(end.value.code or 0), said.out, said.err


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "--version") == (0, f"edge-marl {__version__}\n", "")


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys\nfrom edge_marl.console import run_app\n"
        "from edge_marl.cli import app\n"
        "try:\n    run_app(app, ['--help'])\n"
        "finally:\n    print([m for m in ('torch', 'tianshou', 'pandas', 'matplotlib', 'numba', "
        "'scipy') if m in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"
    told = " ".join(done.stdout.split())
    for word in ("run", "report", "scenarios", "agents", "130 interrupted"):
        assert word in told


def test_the_script_in_the_clone_is_the_same_command() -> None:
    done = subprocess.run(
        [sys.executable, "benchmarks/run_benchmark.py", "--help"],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    for option in (
        *("--scenario", "--world", "--agents", "--seeds", "--episodes", "--jobs", "--out"),
        *("--budget", "--api", "--gateways", "--slot-s", "--hold", "--quiet"),
    ):
        assert option in done.stdout


def test_the_installed_command_is_this_one() -> None:
    facts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    assert facts["project"]["scripts"]["edge-marl"] == "edge_marl.cli:main"


def test_scenarios_list(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "scenarios", "list")
    assert code == 0
    newest, _, rest = out.partition("Games of gateways, in slots:")
    games, _, earlier = rest.partition("Earlier versions:")
    blocks = [
        [line.split()[0] for line in block.splitlines() if line[:1].strip()]
        for block in (newest, earlier, games)
    ]
    assert sorted(blocks[2]) == list_games(newest=True)
    assert sorted(blocks[0]) == list_tiers(newest=True)
    assert sorted([*blocks[0], *blocks[1]]) == list_tiers()
    assert blocks[0][0] == "smoke"  # the base model first, then by size
    assert blocks[0][-1] == load_scenario("planet").label


def test_scenarios_export_and_validate(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    own = tmp_path / "mine.toml"
    assert run(capsys, "scenarios", "export", "campus@1", str(own))[0] == 0
    code, out, _ = run(capsys, "scenarios", "validate", str(own))
    assert code == 0
    assert load_scenario("campus@1").digest in out
    code, _, said = run(capsys, "scenarios", "export", "campus@1", str(own))
    assert code == 2
    assert "is there already" in said
    own.write_text(own.read_text().replace("refund = true", "refnd = true"))
    code, out, said = run(capsys, "scenarios", "validate", str(own))
    assert (code, out) == (2, "")
    assert "did you mean 'refund'" in said.replace("\n", " ")
    assert "Traceback" not in said
    code, _, said = run(capsys, "scenarios", "export", "campos", str(own))
    assert code == 2
    assert "unknown tier 'campos': did you mean 'campus'?" in " ".join(said.split())


def test_scenarios_export_without_a_part(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    own, on = str(tmp_path / "own.toml"), parts_of(load_scenario("campus"))
    assert run(capsys, "scenarios", "export", "campus", own, "--without", on[0].name)[0] == 0
    assert load_scenario(own).name == f"campus-without-{on[0].name}"
    assert parts_of(load_scenario(own)) == on[1:]
    code, _, said = run(capsys, "scenarios", "export", "campus", own, "--without", "all")
    assert code == 2
    assert f"has on: {', '.join(part.name for part in on)}" in " ".join(said.split())


def test_scenarios_show_the_parts_that_are_on(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "scenarios", "show", "metro@1")
    assert code == 0
    for part in ("cloud", "telemetry every 5 s", "1.48% of tasks fail", "of 12 neighbours each"):
        assert part in " ".join(out.split())


def test_scenarios_show_what_is_left_without_each_part(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = evidence() | {"learner": learner(0.9)}
    monkeypatch.setattr("edge_marl.scenario.evidence.read_evidence", lambda scenario: found)
    code, out, _ = run(capsys, "scenarios", "show", "metro")
    assert code == 0
    before, table = out.split("Without each part:")
    assert "A learner: ppo network=pairs, 1,000,000 decisions, 5 seeds: 0.900 [" in before
    assert [line.split()[0] for line in table.split("\n")[1:7]] == [
        *("without", "-", "telemetry", "cloud", "network", "neighbourhood"),
    ]


@pytest.mark.parametrize(("name", "load"), [("agod", "0.41"), ("paper", "0.70")])
def test_scenarios_show(capsys: pytest.CaptureFixture[str], name: str, load: str) -> None:
    code, out, _ = run(capsys, "scenarios", "show", name)
    assert code == 0
    assert f"{load} of capacity" in out
    assert load_scenario(name).digest in out.replace("\n", "")


def test_scenarios_show_of_another_world(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capsys, "scenarios", "show", "paper", "--world", "3")
    assert "paper-w3" in out


def test_agents(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "agents", "list")
    assert code == 0
    for name in ("random", "round-robin", "crash-avoid", "crash-avoid-best", "prophet", "adsac"):
        assert name in out


def test_agents_are_listed_where_their_library_is_missing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, everything, _ = run(capsys, "agents", "list")
    monkeypatch.setattr(trainers, "find_spec", lambda module: None)
    assert run(capsys, "agents", "list") == (0, everything, "")


def test_a_plan_leaves_out_what_is_not_installed_and_says_so(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(trainers, "find_spec", lambda module: None)
    code, told, said = run(capsys, "plan", "--scenario", "smoke", "--agents", "mappo,random")
    assert code == 0
    assert "smoke / random" in told
    assert "mappo" not in told
    assert "not planned: agent 'mappo' needs TorchRL" in " ".join(said.split())
    code, _, said = run(capsys, "plan", "--scenario", "smoke", "--agents", "mappo")
    assert code == 2
    assert "pip install 'edge-marl[torchrl]'" in " ".join(said.split())


def test_table_is_made_from_records_alone(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    fakes.make_run(tmp_path, fakes.plan(), {"greedy": 20.0, "student": 50.0})
    code, out, _ = run(capsys, "report", str(tmp_path))
    assert code == 0
    assert "student" in out
    assert {"table.md", "table.csv", "report.json", "report.html"} <= {
        path.name for path in tmp_path.iterdir()
    }


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["run", "--scenario", "papr"], "did you mean 'paper'"),
        (["run", "--scenario", "nowhere.toml"], "no such scenario file"),
        (["run", "--scenario", "smoke", "--agents", "profet"], "did you mean 'prophet'"),
        (["run", "--scenario", "smoke", "--agents", "none.py:Agent"], "no such file"),
        (["run", "--scenario", ","], "no scenario"),
        (["run", "--gateways", "10"], "gateways = 10: the single environment"),
        (["run", "--slot-s", "60", "--no-hold"], "slot_s = 60.0, hold = False: the single"),
        (["run", "--hold"], "add --api parallel"),
        (["run", "--api", "parallel", "--gateways", "all"], "gateways = 'all': must be a whole"),
        (["run", "--api", "parallel", "--gateways", "0"], "gateways = 0: must be at least 1"),
        (["run", "--api", "parallel", "--hold"], "hold = true needs slots"),
        (["run", "--api", "parallel", "--slot-s", "-1"], "slot_s = -1.0"),
        (["report", "."], "holds no run"),
        (["scenarios", "show", "papr"], "did you mean 'paper'"),
    ],
)
def test_bad_input_is_one_message_and_exit_code_2(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    args: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = run(capsys, *args)
    assert code == 2
    assert out == ""
    assert err.startswith("error: ")
    assert message in err
    assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "args",
    [
        ["run", "--seeds", "0"],
        ["run", "--episodes", "101"],
        ["run", "--jobs", "x"],
        ["run", "--unknown"],
        ["nothing"],
    ],
)
def test_wrong_usage_exits_with_code_2(capsys: pytest.CaptureFixture[str], args: list[str]) -> None:
    code, _, err = run(capsys, *args)
    assert code == 2
    assert "Traceback" not in err


@pytest.mark.parametrize("command", ["plan", "run"])
def test_a_folder_whose_name_is_too_long_is_bad_input(
    capsys: pytest.CaptureFixture[str], command: str
) -> None:
    code, _, said = run(capsys, command, "--agents", "random", "--out", "a" * 300)
    assert code == 2
    assert "no run can be there (File name too long): give another folder with --out" in " ".join(
        said.split()
    )


def test_paths_may_hold_commas_and_blanks(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    example = (ROOT / "docs" / "examples" / "my_agent.py").read_text()
    for name in ("a,b.py", "my  agent.py", "run lr=1.py"):
        Path(name).write_text(example)
    run(capsys, "scenarios", "export", "smoke", "my,world.toml")
    agents = "a,b.py:MostRoom,my  agent.py:MostRoom,random,run lr=1.py:MostRoom,sac hidden=[8,8]"
    code, told, said = run(capsys, "plan", "--scenario", "my,world.toml", "--agents", agents)
    assert (code, said) == (0, "")
    for name in ("a,b.py", "my  agent.py", "run lr=1.py"):
        assert f"smoke / {name}:MostRoom" in told
    assert "smoke / sac hidden=[8,8]" in told
