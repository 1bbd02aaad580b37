"""The search, the study and its report: what is run, what is kept, and what is made of it."""

import json
from typing import Any, get_args

import pytest

from edge_marl.agents import make
from edge_marl.agents.training.presets import PRESETS_FILE, preset
from edge_marl.agents.training.selection import WORKLOADS
from edge_marl.agents.training.settings_text import configure, parse_spec
from edge_marl.agents.training.trainer import LearningTrainer
from edge_marl.benchmarks.plan.cells import Cell, Plan
from edge_marl.benchmarks.plan.make_plan import make_plan
from edge_marl.benchmarks.records.records import Record
from edge_marl.benchmarks.study.keep import BUDGETS, METRICS, Line, line_of, read_lines, which
from edge_marl.benchmarks.study.replication import REPORT, report
from edge_marl.benchmarks.study.search import (
    SEARCH,
    SPACES,
    TRIAL_BUDGET,
    TRIALS,
    Tier,
    adopted,
    candidates,
    confirmation,
    drawn,
    trials,
)
from edge_marl.benchmarks.suites import list_suites, load_suite
from edge_marl.errors import AgentError, SuiteError
from edge_marl.scenario import load_scenario
from tests.worlds import fakes

STUDY = ["paper", *(name for name in list_suites() if name.startswith("study-"))]


def line(
    utility: float,
    agent: str,
    scenario: str,
    world: int | None = None,
    budget: int | None = None,
    seed: int = 0,
    variant: str = "default",
    **facts: Any,
) -> Line:
    """What is kept of a cell whose test episodes all paid the same per task."""
    test = {name: [utility] * 100 for name in METRICS}
    test["server_crash_rate"] = [0.01] * 100
    told: Line = {
        "agent": agent,
        "scenario": scenario,
        "world": world,
        "budget": budget,
        "seed": seed,
    }
    told |= {"variant": variant, "test": test, "distinct_actions": 3}
    return told | {"curve": [{"utility_per_task": utility, "distinct_actions": 3}]} | facts


def trial(utility: float, agent: str, number: int, budget: int = TRIAL_BUDGET) -> Line:
    return line(utility, agent, "paper", None, budget, variant=f"trial {number}")


def cells(plan: Plan) -> list[Cell]:
    return [job for job in plan.jobs() if isinstance(job, Cell)]


def done(cell: Cell) -> Record:
    return fakes.cell_record(cell, 1.0)


def settings_of(cell: Cell) -> Any:
    """Settings of a cell's agent as they are resolved, as JSON has them."""
    name, settings = parse_spec(cell.agent)
    made = make(name, cell.train_on or cell.scenario)
    configure(made, settings)
    return json.loads(json.dumps(made.settings))


def test_trials_are_the_same_each_time_and_differ() -> None:
    for agent in SPACES:
        assert drawn(agent, 0) == {}
        settings = [drawn(agent, number) for number in range(1, TRIALS)]
        assert settings == [drawn(agent, number) for number in range(1, TRIALS)]
        assert len({str(one) for one in settings}) > TRIALS // 2  # drawn independently
        for one in settings:
            assert all(one[name] in values for name, values in SPACES[agent].items())


@pytest.mark.parametrize("tier", get_args(Tier))
def test_trials_are_those_that_are_kept(tier: Tier) -> None:
    """Agents, settings and budgets: what was searched with is what a search would do today."""
    planned = {cell.name: cell for cell in cells(make_plan(trials(tier)))}
    assert len(planned) == TRIALS * len(SPACES)
    kept = [row for row in read_lines(SEARCH) if row["scenario"] == tier]
    for row in kept:
        cell = planned[f"{row['agent']}, {row['variant']}"]
        assert settings_of(cell) == row["settings_used"]
        assert cell.scenario.digest == row["digest"]
        assert row["budget"] in (cell.budget, BUDGETS[tier])
    assert sum(row["budget"] == TRIAL_BUDGET for row in kept) == len(planned)


@pytest.mark.parametrize("tier", get_args(Tier))
def test_the_search_sees_no_test_workload_and_none_that_trainings_select_on(tier: Tier) -> None:
    kept = [trial(1.0, "ppo", 0), trial(1.1, "ppo", 3)]
    suites = [trials(tier), confirmation([row | {"scenario": tier} for row in kept], tier)]
    for job in (job for suite in suites for job in make_plan(suite).jobs()):
        assert job.split == "validation"
        assert job.first >= WORKLOADS


def test_only_what_is_clearly_better_replaces_the_defaults() -> None:
    figures = {0: 1.0, 1: 1.009, 2: 0.5}
    kept = [trial(figure, "ppo", k) for k, figure in figures.items()]
    assert candidates(kept, "paper") == {}
    assert adopted(kept, "paper") == {}
    with pytest.raises(SuiteError, match="no trial on paper is clearly ahead"):
        confirmation(kept, "paper")
    kept.append(trial(1.02, "ppo", 3))
    kept.append(trial(1.011, "ppo", 4))
    assert candidates(kept, "paper") == {"ppo": 3}
    assert candidates(kept, "campus@1") == {}
    below = [trial(figure, "dqn", k) for k, figure in ((0, -1.0), (1, -0.995))]
    assert candidates(below, "paper") == {}


def test_what_is_ahead_has_to_stay_so_on_the_whole_budget() -> None:
    kept = [trial(1.0 + k, "ppo", k) for k in (0, 3)]
    whole = BUDGETS["paper"]
    longer = cells(make_plan(confirmation(kept, "paper")))
    assert [(cell.name, cell.budget) for cell in longer] == [
        ("ppo, trial 0", whole),
        ("ppo, trial 3", whole),
    ]
    with pytest.raises(AgentError, match=r"trial 3 of ppo on paper .* search paper --confirm"):
        adopted(kept, "paper")
    kept.append(trial(3.0, "ppo", 0, whole))
    assert adopted([*kept, trial(2.9, "ppo", 3, whole)], "paper") == {}
    better = [*kept, trial(3.1, "ppo", 3, whole)]
    assert adopted(better, "paper") == {"ppo": drawn("ppo", 3)}


def test_presets_are_what_the_kept_trials_say() -> None:
    kept = read_lines(SEARCH)
    assert json.loads(PRESETS_FILE.read_text("utf-8")) == {
        tier: adopted(kept, tier) for tier in get_args(Tier)
    }


def test_trainers_take_their_presets() -> None:
    for name in SPACES:
        for tier, other in (("paper", "agod"), ("campus@1", "nation@1")):
            made, same = make(name, load_scenario(tier)), make(name, load_scenario(other))
            assert isinstance(made, LearningTrainer)
            assert isinstance(same, LearningTrainer)
            settings = preset(name, load_scenario(tier))
            assert made.config == type(made.config)(**settings) == same.config


def test_kept_lines_are_of_the_suites_and_of_todays_settings() -> None:
    """No line is of a run that no suite does, and every cell of the study has its line."""
    found = [cell for name in STUDY for cell in cells(make_plan(load_suite(name)))]
    planned = {which(line_of(done(cell))): cell for cell in found}
    kept = {which(row): row for row in read_lines()}
    assert len(kept) == len(read_lines())
    # Heuristics that draw at random were played once, with seed 0.
    assert kept.keys() == {key for key, cell in planned.items() if cell.budget or cell.seed == 0}
    settings: dict[str, Any] = {}
    for key, row in kept.items():
        cell = planned[key]
        place = cell.train_on or cell.scenario
        training = f"{cell.agent} {place.label}"
        used = settings.get(training) or settings.setdefault(training, settings_of(cell))
        assert row["settings_used"] == used, cell.label
        assert row["digest"] == cell.scenario.digest, cell.label


def test_the_report_says_who_is_better() -> None:
    heuristics = [
        line(figure, name, "paper", 0)
        for name, figure in (("prophet", 1.0), ("crash-avoid", 0.5), ("random", 0.1))
    ]
    learners = [
        line(figure, name, "paper", 0, 96_000, seed)
        for name, figure in (("adsac", 0.9), ("ppo", 0.8))
        for seed in range(5)
    ]
    text = report(heuristics + learners)
    assert "| paper | ppo | 5, 5 | 1.000 [1.000, 1.000] |" in text
    assert "is `ppo`. Against it `adsac` gets +12.5 % [+12.5, +12.5] utility per task" in text
    assert "+0.0 % [+0.0, +0.0] server crashes" in text
    assert "The claim on utility does not hold" in text
    assert "90.0 % of the prophet's return on world 0" not in text  # no bid-price: no such row
    assert "`adsac-published` was not run" in text


def test_the_report_names_the_best_other_learner_of_each_world() -> None:
    figures = {1: {"adsac": 1.4, "rainbow": 1.0, "sac": 0.9}, 2: {"adsac": 1.0, "sac": 1.0}}
    rows = [
        line(figure, name, "paper", world, 96_000, seed)
        for world, agents in figures.items()
        for name, figure in agents.items()
        for seed in range(2)
    ]
    text = report([*rows, line(0.1, "crash-avoid", "paper", 1)])
    assert "| 1 | adsac 1.400 [2], rainbow 1.000 [2], sac 0.900 [2] | rainbow | +40.0 %" in text
    assert "the claim on utility holds in 1 of\n2 worlds (+0.0 to +40.0 %)" in text


def test_the_report_averages_over_worlds_how_often_adsac_is_better() -> None:
    rows = [
        line(figure, name, "paper", world, 96_000, seed)
        for world in range(1, 10)
        for name, figure in (("adsac", 1.0), ("sac", 0.9 if world <= 6 else 1.1))
        for seed in range(2)
    ]
    row = "| paper, worlds 1 to 9 | sac | 2, 2 | 0.667 ["
    assert row in report(rows)
    assert row[:30] not in report(rows[:-4])  # one world is missing


def test_the_report_says_who_is_above_adsac_in_a_tier() -> None:
    rows = [line(0.8, "nearest", "metro@1"), line(0.1, "random", "metro@1")]
    rows.append(line(0.7, "adsac", "metro@1", None, 48_000, 0))
    assert "Above `adsac` trained here: `nearest`.\n" in report(rows)


def test_the_report_names_the_agents_that_collapsed() -> None:
    rows = [
        line(0.3, "sac", "metro@1", None, 48_000, seed, distinct_actions=1 + seed)
        for seed in range(2)
    ]
    text = report([*rows, line(0.5, "cloud-only", "metro@1", distinct_actions=1)])
    assert "1 of the 2 trained agents end in a single action: `sac` on metro@1, seed 0." in text


def test_the_report_keeps_budgets_and_homes_apart() -> None:
    rows = [
        line(0.3, "dqn", "paper", 0, budget, seed, "published")
        for budget in (2_000, 20_000)
        for seed in range(5)
    ]
    rows.append(line(0.7, "adsac", "nation@1", None, 48_000))
    rows.append(line(0.6, "adsac", "nation@1", None, 48_000, trained_on="campus@1"))
    text = report(rows)
    assert "| dqn, published | 2,000 | 5 |" in text
    assert "| dqn, published | 20,000 | 5 |" in text
    assert text.index("| adsac | 48,000 | 1 | 0.700") < text.index("| adsac, trained on campus@1 |")


def test_the_committed_report_is_that_of_the_kept_runs() -> None:
    assert REPORT.read_text("utf-8") == report(read_lines())
