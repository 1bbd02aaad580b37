"""The help of every command, and what a person is told who makes a typical mistake."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from edge_marl.cli import app
from tests.edge_marl.cli.test_cli import run

ROOT: Any = typer.main.get_command(app)


def commands(group: Any = ROOT, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Every command, as it is typed, that has none below it."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))
        else:
            yield " ".join((*path, name)), command


COMMANDS = dict(commands())


@pytest.mark.parametrize("name", COMMANDS)
def test_the_example_of_a_command_is_one(name: str) -> None:
    """It is the command's own, fits a line of a terminal, and asks for what there is."""
    *told, example = COMMANDS[name].help.split("\n\n")
    assert "\n" not in "".join(told)  # where lines end is the terminal's to say
    assert example.startswith(f"Example: edge-marl {name}")
    assert len(example) <= 78
    words = shlex.split(example.removeprefix("Example: edge-marl "))[len(name.split()) :]
    with COMMANDS[name].make_context(name, words):  # read, and not run
        pass


@pytest.mark.parametrize("name", ["", "plan", "data", *COMMANDS])
def test_help_fits_a_narrow_terminal(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERMINAL_WIDTH", "80")
    code, out, _ = run(capsys, *name.split(), "--help")
    assert code == 0
    assert "Exit codes: 0 all well" in out or name == "data"
    assert max(map(len, out.splitlines())) <= 80
    assert "…" not in out  # nothing is cut


MISTAKES = {
    "run --scenario campos": "unknown tier 'campos': did you mean 'campus'?",
    "run --agents profet": "unknown agent 'profet': did you mean 'prophet'?",
    "run --agents missing.py:Mine": "'missing.py': there is no such file",
    "run --suite missing.toml": "missing.toml: there is no such suite file",
    "run --seeds 0": "'--seeds': Input should be greater than or equal to 1",
    "run --scenario paper --slot-s 60": "add --api parallel",
    "report": "Missing argument 'run_dir'",
    "report missing": "'missing' holds no run; give the folder of one",
    "report . --format pdf": "--format pdf: must be one of html",
    "reproduce": "Missing argument 'record'",
    "reproduce missing.json": "missing.json: there is no such record",
    "reproduce text": "text: damaged: it is not JSON",
    "suites paper": "unexpected extra argument(s) (paper)",
    "train": "Missing option '--agent'",
    "train --agent random": "'random' does not learn",
    "train --agent adsac --set gama=1": "did you mean 'gamma'?",
    "train --agent adsac --track wanbd": "track 'wanbd': did you mean 'wandb'?",
    "evaluate": "give either --checkpoint FOLDER or --agent NAME",
    "evaluate --agent adsac": "'adsac' has to learn first",
    "evaluate --checkpoint missing": "missing holds no agent",
    "evaluate --agent random --workload missing.npz": "there is no such workload file",
    "dataset --out data": "give either --checkpoint FOLDER or --agent NAME",
    "dataset --out data --agent profet": "did you mean 'prophet'?",
    "dataset --out data --submission missing --split test": "missing",
    "robustness paper --agent random": "'paper' is on the event clock",
    "robustness papers-game --agent random": "did you mean 'paper-game'?",
    "robustness smoke-game --agent random --sheets crossplay": "did you mean 'cross-play'?",
    "watch": "give either --checkpoint FOLDER or --agent NAME",
    "watch --agent random --scenario missing.toml": "there is no such scenario file",
    "watch --agent random --seconds 0": "'--seconds': Input should be greater",
    "replay missing": "there is no such file, nor a folder of a submission",
    "replay text": "text: damaged: it is not JSON",
    "replay text --gif a.png": "a.png: must end in .gif",
    "play --scenario planet": "a person plays worlds of the base model",
    "play --scenario smoke-game --gateway 9": "has the gateways 0 to 2",
    "play --others profet --scenario smoke-game": "did you mean 'prophet'?",
    "submit .": "Missing option '--agent'",
    "submit missing --agent random": "'missing' holds no run",
    "submit text --agent random": "text",
    "verify": "Missing argument 'paths'",
    "verify missing": "missing: no folder of a submission",
    "verify missing --level full": "'full' is not one of 'claimed'",
    "serve missing.toml --agent random": "missing.toml: there is no such file",
    "serve text --agent random": "text: not readable as TOML",
    "serve text": "text",
    "backend --port 99999": "Input should be less than or equal to 65535",
    "backend --capacity 0": "Input should be greater than or equal to 1",
    "calibrate --agents profet": "did you mean 'prophet'?",
    "calibrate --lines x": "--lines",
    "calibrate --runs -1": "'--runs': Input should be greater than or equal to 0",
    "send": "Missing argument 'URL...'",
    "send ftp://x --scenario smoke": "'ftp://x': state it as http://HOST:PORT",
    "send http://127.0.0.1:9 --scenario metros": "did you mean 'metro'?",
    "doctor all": "unexpected extra argument(s) (all)",
    "bench --tiers campos": "did you mean 'campus'?",
    "bench --repeat 0": "--repeat 0: must be from 1 to 100",
    "scenarios lst": "No such command 'lst'",
    "scenarios list campus": "unexpected extra argument(s) (campus)",
    "scenarios show campos": "did you mean 'campus'?",
    "scenarios show campus --world 3": "'campus' has no worlds to choose from",
    "scenarios validate missing.toml": "there is no such scenario file",
    "scenarios validate text": "text",
    "scenarios export campus": "Missing argument 'out'",
    "scenarios export campus missing/x.toml": "cannot be written",
    "scenarios export campus x.toml --without lines": "part 'lines'",
    "agents list adsac": "unexpected extra argument(s) (adsac)",
    "agents fetch": "Missing argument 'agent'",
    "agents fetch nosuch paper": "nosuch",
    "agents fetch adsac papers": "papers",
    "agents fetch adsac paper --seed 77": "77",
    "agents fetch adsac paper --from missing": "missing: there is no such folder",
    "data list all": "unexpected extra argument(s) (all)",
    "data add nosuch": "unknown data set 'nosuch': the data sets are",
    "data add alibaba-gentd26 --from missing": "missing",
    "data path nosuch": "unknown data set 'nosuch'",
    "data verify nosuch": "unknown data set 'nosuch'",
    "data served": "Missing argument 'logs'",
    "data served missing.jsonl --scenario smoke": "missing.jsonl",
    "data served text --scenario smoke": "text",
    "season commit x.json": "Missing option '--secret-file'",
    "season commit": "Missing argument 'path'",
    "season reveal missing.json --secret-file s": "missing.json",
    "leaderboard biuld": "No such command 'biuld'",
    "leaderboard build --submissions missing --out o": "missing",
    "runn": "No such command 'runn'",
}
"""What is typed, beside a file `text` that holds a word, and what has to be in the answer."""


@pytest.mark.parametrize("typed", MISTAKES)
def test_a_mistake_is_answered_by_one_message(
    typed: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("text").write_text("hello", "utf-8")
    code, out, said = run(capsys, *typed.split())
    answer = re.sub(r"[\s│]+", " ", out + said)
    assert code == (1 if typed == "verify missing" else 2)
    assert MISTAKES[typed] in answer
    assert "Traceback" not in answer
    assert [path.name for path in tmp_path.iterdir()] == ["text"]  # nothing was begun


def test_every_command_has_its_mistakes() -> None:
    for name in COMMANDS:
        assert any(typed.startswith(name) for typed in MISTAKES), name
