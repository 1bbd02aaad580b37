"""How figures are told: units of times, margins of intervals."""

from __future__ import annotations

from edge_marl.benchmarks.report.columns import COLUMNS, duration, fitting
from edge_marl.benchmarks.report.intervals import Estimate


def test_times_have_a_unit_that_fits() -> None:
    seconds = next(column for column in COLUMNS if column.name == "latency_p95_s")
    for values, unit, shown in (
        ((38616.0, 37000.0), "h", "10.73"),
        ((145.0, 51.0), "min", "2.42"),
        ((9.46, 3.0), "s", "9.46"),
        ((119.9,), "s", "119.9"),
    ):
        rows = [{seconds.name: Estimate(value, value, value)} for value in values]
        crashes, column = fitting((COLUMNS[2], seconds), [*rows, {}])
        assert crashes is COLUMNS[2]
        assert (column.note, column.heading) == (unit, f"p95 latency ({unit})")
        assert column.text(values[0]) == shown
    assert fitting((seconds,), []) == (seconds,)
    told = [duration(seconds) for seconds in (0.4, 41.0, 89.9, 90.0, 724.0, 5399.0, 5400.0, 1e6)]
    assert told == ["0.4 s", "41 s", "90 s", "1.5 min", "12 min", "90 min", "1.5 h", "278 h"]


def test_an_interval_is_told_by_its_margin_where_it_has_one() -> None:
    score = COLUMNS[0]
    assert score.spread(Estimate(0.859, 0.8552, 0.8628)) == "± 0.004"
    assert score.spread(Estimate(0.606, -4.609, 1.0)) == "-4.609 to 1.000"
