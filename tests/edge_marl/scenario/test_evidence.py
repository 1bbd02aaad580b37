"""The tables of evidence, from numbers made by hand."""

from edge_marl.scenario.evidence import (
    by_utility,
    learner_told,
    parts_told,
    rows_without,
    with_interval,
)
from tests.worlds.made_up_evidence import evidence, learner


def test_the_table_has_the_tier_first_and_then_the_largest_difference() -> None:
    head, whole, *rows = rows_without(evidence())
    assert head == (
        *("without", "best", "utility per request", "difference", "first three", "earns"),
    )
    three = "bid-price, prophet, nearest"
    assert whole == ("-", "bid-price", "0.820 [0.810, 0.830]", "-", three, "-")
    assert rows == [
        (
            *("telemetry", "bid-price", "0.880 [0.870, 0.890]", "+0.060 [+0.058, +0.062]"),
            *(three, "yes"),
        ),
        (
            *("cloud", "prophet", "0.816 [0.806, 0.826]", "-0.004 [-0.006, -0.002]"),
            *("prophet, nearest, random (without bid-price)", "yes"),
        ),
        (
            *("network", "bid-price", "0.821 [0.811, 0.831]", "+0.001 [-0.001, +0.003]"),
            *(three, "no"),
        ),
        ("neighbourhood", "-", "-", "-", "too many actions", "-"),
    ]


def test_who_came_after_the_parts_were_played_is_left_out_and_named() -> None:
    found = evidence()
    found["agents"]["hashed"] = found["agents"]["prophet"] | {"utility_per_task": [0.9, 0.89, 0.91]}
    assert parts_told(found) == "Without each part:"
    assert rows_without(found)[1][1] == "hashed"
    found["after_parts"] = ["hashed"]
    assert parts_told(found) == "Without each part, before there was hashed:"
    assert rows_without(found) == rows_without(evidence())


def test_learners_stand_beside_where_one_played_without_a_part() -> None:
    found = evidence() | {"learner": learner(0.9)}
    assert len(rows_without(found)[0]) == 6
    found["parts"]["cloud"]["learner"] = learner(0.85)
    assert [row[-1] for row in rows_without(found)] == [
        "learner",
        "ppo network=pairs 0.900 [0.890, 0.910]",
        "-",
        "ppo network=pairs 0.850 [0.840, 0.860]",
        "-",
        "-",
    ]


def test_evidence_of_a_tier_as_a_whole_has_no_such_table() -> None:
    found = evidence()
    del found["parts"]
    assert rows_without(found) == []


def test_agents_of_equal_utility_come_in_order_of_the_alphabet() -> None:
    agents = {name: {"utility_per_task": [value]} for name, value in (("b", 1), ("c", 2), ("a", 1))}
    assert by_utility(agents) == ["c", "a", "b"]


def test_figures_are_told_in_words() -> None:
    told = learner_told(learner(0.9))
    assert told == "ppo network=pairs, 1,000,000 decisions, 5 seeds: 0.900 [0.890, 0.910]"
    assert "decisions, 1 seed:" in learner_told(learner(0.9) | {"seeds": 1})
    assert with_interval(None) == "-"
