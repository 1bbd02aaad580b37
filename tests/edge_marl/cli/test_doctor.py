"""`edge-marl doctor`, and what the shell is told to complete."""

import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from edge_marl.cli.machine import doctor
from edge_marl.scenario import Scenario, evidence
from tests.edge_marl.cli.test_cli import run


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(doctor, "PLAYED", {"smoke": "prophet"})
    monkeypatch.setenv("EDGE_MARL_CACHE", str(tmp_path))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:/usr/bin:/bin")


def test_doctor_says_what_is_here_and_that_numbers_are_right(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    code, told, _ = run(capsys, "doctor")
    assert code == 0
    rows = {line[:14].strip(): line[14:].strip() for line in told.splitlines()}
    assert rows["numpy"] == metadata.version("numpy")
    assert rows["cache"] == str(tmp_path)
    assert rows["recorded data"].startswith("none")
    assert "plays smoke" in told
    assert "yes, as released" in told


def test_doctor_says_what_is_missing_and_that_numbers_are_wrong(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    version, read = metadata.version, evidence.read_evidence

    def without_pyarrow(package: str) -> str:
        if package == "pyarrow":
            raise metadata.PackageNotFoundError
        return version(package)

    def of_another(scenario: Scenario) -> evidence.Evidence:
        found = read(scenario)
        assert found is not None
        found["agents"]["prophet"]["utility"] += 1e-6
        return found

    monkeypatch.setattr(metadata, "version", without_pyarrow)
    monkeypatch.setattr(evidence, "read_evidence", of_another)
    code, told, _ = run(capsys, "doctor")
    assert code == 1
    assert "without pyarrow: pip install 'edge-marl[parquet]'" in told
    assert "NO: prophet gets a utility of" in told


def test_bash_completes_commands_options_and_choices() -> None:
    script = (
        "source <(edge-marl --show-completion)\n"
        'for typed in "wa" "watch --ag" "plan --sc" "evaluate --split va"; do\n'
        "    COMP_WORDS=(edge-marl $typed); COMP_CWORD=$((${#COMP_WORDS[@]} - 1))\n"
        '    _edge_marl_completion edge-marl; echo "${COMPREPLY[@]}"\n'
        "done\n"
    )
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["watch", "--agent", "--scenario", "validation"]
