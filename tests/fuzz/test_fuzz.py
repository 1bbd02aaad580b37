"""A few changed files for every reader, and every file that once broke one; `python -m tests.fuzz`
reads as many as you like.
"""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from tests.fuzz.entries import ENTRIES, FOUND, found
from tests.fuzz.mutators import change
from tests.fuzz.property import Entry, Fault, check
from tests.fuzz.smaller import smaller

MOST_MEMORY = 2**30
FEW = settings(
    max_examples=40,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGE_MARL_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize("name", ENTRIES)
def test_its_own_files_are_accepted(name: str, tmp_path: Path) -> None:
    assert all(check(ENTRIES[name], tmp_path, content) for content in ENTRIES[name].seeds())


@pytest.mark.parametrize("name", ENTRIES)
def test_changed_files_are_used_or_refused(name: str, tmp_path: Path) -> None:
    @FEW
    @given(st.randoms(use_true_random=False))
    def read(rng: Random) -> None:
        content = ENTRIES[name].draw(rng)
        note(repr(content))
        check(ENTRIES[name], tmp_path, content)

    read()


@pytest.mark.parametrize("name", ENTRIES)
def test_any_bytes_are_refused_or_used(name: str, tmp_path: Path) -> None:
    @FEW
    @given(st.binary(max_size=100))
    def read(content: bytes) -> None:
        check(ENTRIES[name], tmp_path, content)

    read()


@pytest.mark.parametrize("place", found())
def test_what_once_broke_a_reader(place: str, tmp_path: Path) -> None:
    name, path = Path(place).parts[0], FOUND / place
    tracemalloc.start()
    try:
        check(ENTRIES[name], tmp_path, path.read_bytes())
        assert tracemalloc.get_traced_memory()[1] < MOST_MEMORY
    finally:
        tracemalloc.stop()


def test_an_error_that_is_not_ours_is_a_fault(tmp_path: Path) -> None:
    broken = Entry("x", "x.json", lambda: (b"{}",), change, lambda path: {"x": 1}[path.name])
    with pytest.raises(Fault, match="KeyError in the test"):
        check(broken, tmp_path, b"{}")


def test_a_file_is_made_small() -> None:
    assert smaller(b"aaaaXbbbbYcccc", lambda content: {*b"XY"} <= {*content}) == b"XY"
