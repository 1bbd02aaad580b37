"""A message is lines that a terminal can show, whatever was read."""

import pickle

import pytest

from edge_marl.errors import EdgeMarlError, ScenarioError, show


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        ("agent 'x': no such agent", "agent 'x': no such agent"),
        ("a\nb\tc\u2028d", "a b c d"),
        ("\x1b[31mred \ud800 \u202eback", "?[31mred ? ?back"),
        ("\u00b5s \u4e2d", "\u00b5s \u4e2d"),
    ],
)
def test_a_problem_is_one_printable_line(told: str, shown: str) -> None:
    assert str(EdgeMarlError(told)) == shown
    assert str(EdgeMarlError(told, told)) == f"{shown}\n{shown}"


def test_of_a_long_problem_the_start_and_the_end_are_told() -> None:
    text = str(EdgeMarlError("field = " + "9" * 10**6 + ": must be below 10"))
    assert text.startswith("field = 999")
    assert text.endswith("999: must be below 10")
    assert len(text) <= 900


def test_of_very_many_problems_the_first_are_told() -> None:
    lines = str(ScenarioError(*(f"problem {k}" for k in range(500)))).split("\n")
    assert len(lines) == 20
    assert lines[18:] == ["problem 18", "... and 481 more problems"]


def test_an_error_comes_through_a_pipe_as_it_was() -> None:
    error = ScenarioError(*("x" * 2000 for _ in range(30)))
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is ScenarioError
    assert str(again) == str(error)


def test_values_are_shown_short() -> None:
    assert show("a\n") == r"'a\n'"
    assert show([0] * 1000) == f"{[0] * 1000}"[:100] + "..."
    assert show(10**5000) == "a number of thousands of digits"
