import os
import re
import shutil
from pathlib import Path
from typing import Any

import pooch
import pytest
import requests

from edge_marl.cli import app
from edge_marl.console import run_app
from edge_marl.data import (
    copies,
    dataset,
    datasets,
)
from edge_marl.errors import DataError
from edge_marl.files import CACHE_VARIABLE
from tests.worlds.recorded import TRACES, check_message, needs_traces, write

# Registry and copies


def test_registry_is_complete() -> None:
    for name, known in datasets().items():
        assert known.name == name
        assert re.fullmatch(r"https://[\w./-]+/[0-9a-f]{40}/([\w./-]+/)?", known.url)
        assert known.title
        assert known.licence
        assert known.citation
        assert len({file.path for file in known.files}) == len(known.files) > 0
        for file in known.files:
            assert re.fullmatch(r"[0-9a-f]{64}", file.sha256)
            assert file.size > 0
            assert not file.path.startswith("/")


def test_part_of_a_name_will_do() -> None:
    assert dataset.find_dataset("gentd26").name == "alibaba-gentd26"
    with pytest.raises(DataError) as caught:
        dataset.find_dataset("mooncace")
    check_message(caught.value, "'mooncace'", "did you mean 'mooncake-fast25'?", "servegen")
    with pytest.raises(DataError, match="unknown data set 'e'"):
        dataset.find_dataset("e")


def test_add_from_a_folder(made_up: dict[str, Any], tmp_path: Path, cache: Path) -> None:
    source = write(tmp_path / "source", made_up)
    assert not copies.is_here("made-up")
    place = copies.add("made", source)
    assert place == cache / "data" / "made-up" == copies.added_folder("made-up")
    assert (place / "below" / "b.bin").read_bytes() == made_up["below/b.bin"]
    assert [path.name for path in place.parent.iterdir()] == ["made-up"]
    copies.verify("made-up")
    assert copies.file_of("made-up", "a.csv").read_text() == "x\n1\n"


def damage(kind: str, path: Path) -> tuple[str, ...]:
    """Do something to a file; return what an error about it should say."""
    content = path.read_bytes()
    if kind == "missing":
        path.unlink()
        return ("b.bin", "missing")
    if kind == "cut short":
        path.write_bytes(content[:-1])
        return ("b.bin", "cut short", "99 of 100 bytes")
    path.write_bytes(content[:-1] + b"1" + b"1" * (kind == "longer"))
    return ("b.bin", "not that of the data set", "SHA-256")


@pytest.mark.parametrize("kind", ["missing", "cut short", "changed", "longer"])
def test_a_damaged_source_is_refused_whole(
    kind: str, made_up: dict[str, Any], tmp_path: Path, cache: Path
) -> None:
    source = write(tmp_path / "source", made_up)
    parts = damage(kind, source / "below" / "b.bin")
    with pytest.raises(DataError) as caught:
        copies.add("made-up", source)
    check_message(caught.value, str(source), *parts)
    assert list((cache / "data").iterdir()) == []
    copies.add("made-up", write(tmp_path / "good", made_up))
    with pytest.raises(DataError):
        copies.add("made-up", source)
    copies.verify("made-up")  # the copy that was there stays
    assert [path.name for path in (cache / "data").iterdir()] == ["made-up"]


@pytest.mark.parametrize("kind", ["missing", "cut short", "changed", "longer"])
def test_a_damaged_copy_is_found(kind: str, made_up: dict[str, Any], tmp_path: Path) -> None:
    place = copies.add("made-up", write(tmp_path / "source", made_up))
    copies.file_of("made-up", "below/b.bin")
    parts = damage(kind, place / "below" / "b.bin")
    os.utime(place, (0, 0))
    for look in (
        lambda: copies.verify("made-up"),
        lambda: copies.file_of("made-up", "below/b.bin"),
    ):
        with pytest.raises(DataError) as caught:
            look()
        check_message(caught.value, *parts, "edge-marl data add made-up")


def test_adding_replaces_a_damaged_copy(made_up: dict[str, Any], tmp_path: Path) -> None:
    source = write(tmp_path / "source", made_up)
    damage("cut short", copies.add("made-up", source) / "below" / "b.bin")
    copies.add("made-up", source)
    copies.verify("made-up")


def test_data_that_is_not_here(made_up: dict[str, Any], tmp_path: Path) -> None:
    for look in (copies.added_folder, copies.verify, lambda name: copies.file_of(name, "a.csv")):
        with pytest.raises(DataError) as caught:
            look("made-up")
        check_message(caught.value, "is not here", "edge-marl data add made-up --from FOLDER")
    with pytest.raises(DataError) as caught:
        copies.add("made-up", tmp_path / "none")
    check_message(caught.value, "none", "no such folder")


def test_a_cache_that_cannot_be_made(
    made_up: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write(tmp_path / "source", made_up)
    monkeypatch.setenv(CACHE_VARIABLE, str(source / "a.csv"))
    with pytest.raises(DataError) as caught:
        copies.add("made-up", source)
    check_message(caught.value, "cannot be written", CACHE_VARIABLE)


def fake_network(monkeypatch: pytest.MonkeyPatch, files: dict[str, Any]) -> list[str]:
    """Let pooch download from `files`; return the addresses that it asks for."""
    asked: list[str] = []

    def get(self: object, url: str, output: Any, *_: object, **__: object) -> None:
        asked.append(url)
        content = files.get(url.removeprefix("https://data.invalid/"))
        if content is None:
            raise requests.exceptions.ConnectionError("Name or service not known")
        Path(output).write_bytes(content.encode() if isinstance(content, str) else content)

    monkeypatch.setattr(pooch.HTTPDownloader, "__call__", get)
    return asked


def test_download(made_up: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    asked = fake_network(monkeypatch, made_up)
    copies.add("made-up")
    assert asked == ["https://data.invalid/a.csv", "https://data.invalid/below/b.bin"]
    copies.verify("made-up")


def test_download_without_network(
    made_up: dict[str, Any], monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    fake_network(monkeypatch, {"a.csv": made_up["a.csv"]})
    with pytest.raises(DataError) as caught:
        copies.add("made-up")
    check_message(
        caught.value, "below/b.bin", "ConnectionError", "network", "data add made-up --from FOLDER"
    )
    assert list((cache / "data").iterdir()) == []


def test_download_of_something_else(
    made_up: dict[str, Any], monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    fake_network(monkeypatch, made_up | {"a.csv": "<html>"})
    with pytest.raises(DataError) as caught:
        copies.add("made-up")
    check_message(caught.value, "https://data.invalid/a.csv", "another SHA-256", "try again")
    assert list((cache / "data").iterdir()) == []


# Command line


def run(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as end:
        run_app(app, ["data", *args])
    said = capsys.readouterr()
    return int(end.value.code or 0), said.out, " ".join(said.err.split())


def test_command_line_from_list_to_verify(
    made_up: dict[str, Any], tmp_path: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = write(tmp_path / "source", made_up)
    assert run(capsys, "verify") == (
        0, "no data set is here: edge-marl data add NAME brings one\n", "",
    )  # fmt: skip
    assert re.search(r"made-up +no +0\.0 +made up +none", run(capsys, "list")[1])
    code, out, err = run(capsys, "add", "made-up", "--from", str(source))
    assert (code, out) == (0, f"{cache / 'data' / 'made-up'}\n")
    assert "licence: none please cite: nobody" in err
    assert re.search(r"made-up +yes", run(capsys, "list")[1])
    assert run(capsys, "path", "made-up")[:2] == (0, f"{cache / 'data' / 'made-up'}\n")
    assert run(capsys, "verify")[:2] == (0, "made-up: all files as registered\n")
    shutil.rmtree(cache / "data" / "made-up" / "below")
    for name in ([], ["made-up"]):
        code, out, err = run(capsys, "verify", *name)
        assert (code, out) == (2, "")
        assert err.startswith("error: ")
        assert "b.bin: this file of the data set is missing" in err


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("add", "nothing"), "unknown data set 'nothing'"),
        (("path", "made-up"), "data set 'made-up' is not here"),
        (("verify", "made-up"), "data set 'made-up' is not here"),
        (("add", "made-up", "--from", "no-folder"), "no-folder: there is no such folder"),
    ],
)
def test_command_line_errors(
    args: tuple[str, ...], said: str, made_up: object, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = run(capsys, *args)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert said in err
    assert "Traceback" not in err


# The real files


@needs_traces
def test_registered_files_are_those_of_the_copies() -> None:
    """The registry's sizes and SHA-256 against the copies, file by file."""
    for known in datasets().values():
        for file in known.files:
            path = TRACES / known.name / file.path
            assert path.stat().st_size == file.size, path
            assert pooch.file_hash(str(path)) == file.sha256, path


@needs_traces
def test_a_real_file_cut_short_is_refused(tmp_path: Path) -> None:
    copy = shutil.copytree(TRACES / "azure-llm-2023", tmp_path / "azure")
    cut = copy / "AzureLLMInferenceTrace_conv.csv"
    cut.chmod(0o644)
    cut.write_bytes(cut.read_bytes()[:-7])
    with pytest.raises(DataError) as caught:
        copies.add("azure-llm-2023", copy)
    check_message(caught.value, "AzureLLMInferenceTrace_conv.csv", "cut short")
