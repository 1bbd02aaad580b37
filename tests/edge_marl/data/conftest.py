from collections.abc import Mapping
from pathlib import Path

import pytest

from edge_marl.data import copies, dataset
from edge_marl.files import CACHE_VARIABLE
from tests.worlds import recorded
from tests.worlds.recorded import write


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def made_up(monkeypatch: pytest.MonkeyPatch) -> dict[str, str | bytes]:
    """A registry of one small data set, `made-up`, and its files."""
    files: dict[str, str | bytes] = {"a.csv": "x\n1\n", "below/b.bin": b"\0" * 100}
    known = {"made-up": recorded.dataset("made-up", files)}
    monkeypatch.setattr(dataset, "datasets", lambda: known)
    return files


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache and a folder of one's own to be in."""
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def day(here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A made-up day of the production service, and places, as if they were the registered ones."""
    sets: dict[str, Mapping[str, str | bytes]] = {
        "alibaba-gentd26": recorded.production_day(),
        "eua-melbourne": recorded.EUA_FILES,
    }
    known = {name: recorded.dataset(name, files) for name, files in sets.items()}
    monkeypatch.setattr(dataset, "datasets", lambda: known)
    for name, files in sets.items():
        copies.add(name, write(here / name, files))
    return here / "alibaba-gentd26"
