"""Files and folders are there whole or not at all."""

import os
import stat
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from edge_marl import draw_workload, load_scenario
from edge_marl.errors import RecordError
from edge_marl.files import CACHE_VARIABLE, cache_folder, new_file, new_folder, write_file
from edge_marl.workload import load_workload


class Broken(Exception):
    pass


def fill_half(making: AbstractContextManager[Path]) -> None:
    with making as part:
        (part / "half" if part.is_dir() else part).write_text("half of the new")
        raise Broken


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("content", ["text \u00b5\n", b"\x00bytes"])
def test_a_file_is_written_with_its_folder(tmp_path: Path, content: str | bytes) -> None:
    path = tmp_path / "below" / "file"
    write_file(path, content, RecordError)
    write_file(path, content, RecordError)
    expected = content.encode() if isinstance(content, str) else content
    assert path.read_bytes() == expected
    assert names(path.parent) == ["file"]


def test_a_file_that_is_not_finished_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_file(path, "old", RecordError)
    with pytest.raises(Broken):
        fill_half(new_file(path, RecordError))
    assert path.read_text() == "old"
    assert names(tmp_path) == ["file"]


def test_what_the_system_refuses_is_one_message(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    with pytest.raises(RecordError, match="taken: cannot be written"):
        write_file(tmp_path / "taken", "text", RecordError)
    (tmp_path / "file").write_text("no folder")
    below = new_folder(tmp_path / "file" / "below", RecordError, "make room")
    with pytest.raises(RecordError, match=r"cannot be written .*: make room"), below:
        pass
    assert names(tmp_path) == ["file", "taken"]


def test_a_folder_replaces_the_one_before(tmp_path: Path) -> None:
    place = tmp_path / "folder"
    for text in ("old", "new"):
        with new_folder(place, RecordError) as part:
            (part / text).mkdir()
            (part / text / "file").write_text(text)
        assert names(place) == [text]
    assert names(tmp_path) == ["folder"]


def test_a_folder_that_is_not_finished_leaves_the_old_one(tmp_path: Path) -> None:
    place = tmp_path / "folder"
    with new_folder(place, RecordError) as part:
        (part / "file").write_text("old")
    with pytest.raises(Broken):
        fill_half(new_folder(place, RecordError))
    assert names(place) == ["file"]
    assert names(tmp_path) == ["folder"]


def test_a_folder_whose_last_step_fails_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "folder"
    with new_folder(place, RecordError) as part:
        (part / "file").write_text("old")
    rename = Path.rename

    def refuse(self: Path, target: Path) -> Path:
        if Path(target) == place and ".part" in self.name and (self / "other").exists():
            raise OSError(28, "No space left on device")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(RecordError, match="No space left"), new_folder(place, RecordError) as part:
        (part / "other").write_text("new")
    assert names(place) == ["file"]
    assert names(tmp_path) == ["folder"]


def test_files_have_the_mode_that_the_umask_leaves(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_file(tmp_path / "text", "text", RecordError)
        draw_workload(load_scenario("smoke"), 0).save(tmp_path / "workload.npz")
        with new_folder(tmp_path / "folder", RecordError) as part:
            (part / "file").write_text("text")
    finally:
        os.umask(before)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes == {"text": 0o640, "workload.npz": 0o640, "folder": 0o750}
    assert load_workload(tmp_path / "workload.npz").num_tasks


def test_a_tilde_in_the_cache_variable_is_the_home_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv(CACHE_VARIABLE, "~/caches")
    assert cache_folder() == tmp_path / "caches"
