import io

import pytest
from rich.console import Console

from edge_marl.benchmarks.run import progress
from edge_marl.benchmarks.run.progress import Bars, Events, Lines, make_display
from tests.worlds import fakes

PLAN = fakes.plan()
GOOD, BAD = PLAN.cells(fakes.ARENA, fakes.LEARNER)


def play(display: Bars | Events | Lines) -> None:
    with display:
        display.start(3, 1)
        display.message("[set] aside")
        for job in (GOOD, BAD):
            display.begin(job)
        display.progress(GOOD, "train", 400, 1000, None)
        display.progress(GOOD, "train", 800, 1000, 1.25)
        display.progress(GOOD, "evaluate", 1, 4, None)
        display.end(GOOD, fakes.cell_record(GOOD, 60.0))
        display.end(BAD, fakes.failure_record(BAD))


def test_lines_say_how_each_job_ended() -> None:
    out = io.StringIO()
    play(Lines(Console(file=out)))
    assert out.getvalue().splitlines() == [
        "3 jobs, 1 of them done before",
        "[set] aside",
        "[2/3] smoke / student / seed 0: 1.025 utility per task in 1.0 s",
        "[3/3] smoke / student / seed 1: FAILED after 1.0 s: ValueError: no luck",
    ]


def test_lines_mention_a_long_job_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "LINE_EVERY_S", 0.0)
    out = io.StringIO()
    play(Lines(Console(file=out)))
    assert "        smoke / student / seed 0: train 80%, 1.250 per task" in out.getvalue()


def test_quiet_says_only_what_went_wrong() -> None:
    out = io.StringIO()
    play(make_display(Console(file=out, force_terminal=True, color_system=None), quiet=True))
    assert [line[:11] for line in out.getvalue().splitlines()] == ["[set] aside", "[3/3] smoke"]


def test_bars_show_phase_utility_and_what_is_left() -> None:
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, color_system=None, width=120)
    display = make_display(console, quiet=False)
    assert isinstance(display, Bars)
    with display:
        display.start(3, 1)
        display.begin(GOOD)
        display.progress(GOOD, "train", 800, 1000, 1.25)
        display._progress.refresh()
        during = out.getvalue()
    assert "train 800 of 1,000, 1.250 per task" in during
    assert "1 of 3" in during
    out.truncate(0)
    play(Bars(console))
    assert "1.025 utility per task" in out.getvalue()
    assert "FAILED" in out.getvalue()
