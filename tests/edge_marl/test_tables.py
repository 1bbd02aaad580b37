"""What prints as a table does so in a terminal and in a notebook."""

from __future__ import annotations

from typing import Any

import pytest

from edge_marl import EdgeAIGCEnv, ObservationLayout, draw_workload, load_scenario
from edge_marl.tables import Table

SMOKE = load_scenario("smoke")


def some_log() -> Any:
    env = EdgeAIGCEnv("smoke")
    env.reset(options={"workload": draw_workload(SMOKE, 0)})
    for _ in range(9):
        env.step(0)
    return env.log()


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: SMOKE, ["scenario smoke", "3, of 2 services each", SMOKE.digest]),
        (
            lambda: ObservationLayout(load_scenario("campus")),
            ["feature", "deadline left", "server backlog", "service quality at 50 %"],
        ),
        (lambda: draw_workload(SMOKE, 0), ["tasks", "arrivals", draw_workload(SMOKE, 0).digest]),
        (some_log, ["made a server crash", "to be decided on so far", "return"]),
    ],
)
def test_what_prints_as_a_table(make: Any, told: list[str]) -> None:
    shown = make()
    text, page = str(shown), shown._repr_html_()
    for part in told:
        assert part in text
        assert part.replace("'", "&#x27;") in page
    assert len(text.splitlines()) == 1 + page.count("<tr>")


def test_features_are_where_the_table_says() -> None:
    layout = ObservationLayout(load_scenario("campus"))
    (_, *rows) = layout.as_table().rows
    last = max(int(row[1]) + (int(row[2]) - 1) * int(row[3]) for row in rows)
    assert last == layout.size - 1


def test_a_table_is_in_columns_and_html_is_escaped() -> None:
    table = Table("a < b", [("name", "n"), ("x", "<1>")], has_names=True)
    assert table.as_text() == "a < b\nname  n\nx     <1>"
    assert table.as_html() == (
        '<table><caption>a &lt; b</caption><tr><th style="text-align: left">name</th>'
        '<th style="text-align: left">n</th></tr><tr><td style="text-align: left">x</td>'
        '<td style="text-align: left">&lt;1&gt;</td></tr></table>'
    )
