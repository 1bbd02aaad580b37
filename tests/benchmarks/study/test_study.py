"""The search, the study and its report: what is run, what is kept, and what is made of it."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest

from edge_marl.agents import make
from edge_marl.agents.training.presets import PRESETS_FILE, preset
from edge_marl.agents.training.trainer import LearningTrainer
from edge_marl.benchmarks.study import runs as study
from edge_marl.benchmarks.study.replication import report
from edge_marl.benchmarks.study.runs import BUDGETS, EPISODES, GROUPS, KEPT, Run, do_runs, read_runs
from edge_marl.benchmarks.study.search import (
    SEARCH,
    SPACES,
    TRIAL_BUDGET,
    TRIALS,
    Tier,
    adopted,
    candidates,
    drawn,
    trial,
)
from edge_marl.errors import AgentError
from edge_marl.scenario import load_scenario
from edge_marl.workload.parts import Split

VALIDATION: tuple[Split, range] = ("validation", range(1))


def outcome(run: Run, utility: float, **facts: Any) -> dict[str, Any]:
    """What is kept of a run whose test episodes all paid the same per task."""
    test = {name: [utility] * EPISODES for name in KEPT}
    test["server_crash_rate"] = [0.01] * EPISODES
    row = {"key": run.key, **vars(run), "test": test, "distinct_actions": 3, **facts}
    return row | {"curve": [{"utility_per_task": utility, "distinct_actions": 3}]}


def test_trials_are_the_same_each_time_and_differ() -> None:
    for agent in SPACES:
        assert drawn(agent, 0) == {}
        settings = [drawn(agent, number) for number in range(1, TRIALS)]
        assert settings == [drawn(agent, number) for number in range(1, TRIALS)]
        assert len({str(one) for one in settings}) > TRIALS // 2  # drawn independently
        for one in settings:
            assert all(one[name] in values for name, values in SPACES[agent].items())


def test_every_trial_can_be_made_and_has_its_settings() -> None:
    for agent in SPACES:
        for number in range(TRIALS):
            run = trial(agent, "paper", number)
            made = run.make()
            assert isinstance(made, LearningTrainer)
            expected = type(made.config)(**drawn(agent, number))
            assert made.config == expected


def test_only_what_is_clearly_better_replaces_the_defaults() -> None:
    figures = {0: 1.0, 1: 1.009, 2: 0.5}
    kept = [outcome(trial("ppo", "paper", k), figure) for k, figure in figures.items()]
    assert candidates(kept, "paper") == {}
    assert adopted(kept, "paper") == {}
    kept.append(outcome(trial("ppo", "paper", 3), 1.02))
    kept.append(outcome(trial("ppo", "paper", 4), 1.011))
    assert candidates(kept, "paper") == {"ppo": 3}
    assert candidates(kept, "campus") == {}
    below = [outcome(trial("dqn", "paper", k), figure) for k, figure in ((0, -1.0), (1, -0.995))]
    assert candidates(below, "paper") == {}


def test_what_is_ahead_has_to_stay_so_on_the_whole_budget() -> None:
    kept = [outcome(trial("ppo", "paper", k), 1.0 + k) for k in (0, 3)]
    whole = BUDGETS["paper"]
    with pytest.raises(AgentError, match=r"trial 3 of ppo on paper .* search paper --confirm"):
        adopted(kept, "paper")
    kept.append(outcome(trial("ppo", "paper", 0, whole), 3.0))
    assert adopted([*kept, outcome(trial("ppo", "paper", 3, whole), 2.9)], "paper") == {}
    better = [*kept, outcome(trial("ppo", "paper", 3, whole), 3.1)]
    assert adopted(better, "paper") == {"ppo": drawn("ppo", 3)}


def test_presets_are_what_the_kept_trials_say() -> None:
    kept = read_runs(SEARCH)
    assert json.loads(PRESETS_FILE.read_text("utf-8")) == {
        tier: adopted(kept, tier) for tier in get_args(Tier)
    }


def test_every_agent_had_the_same_number_of_trials() -> None:
    kept = [
        (row["scenario"], row["agent"])
        for row in read_runs(SEARCH)
        if row["budget"] == TRIAL_BUDGET
    ]
    for tier in get_args(Tier):
        assert {kept.count((tier, agent)) for agent in SPACES} == {TRIALS}


def test_trainers_take_their_presets() -> None:
    for name in SPACES:
        for tier, other in (("paper", "agod"), ("campus", "nation")):
            made, same = make(name, load_scenario(tier)), make(name, load_scenario(other))
            assert isinstance(made, LearningTrainer)
            assert isinstance(same, LearningTrainer)
            settings = preset(name, load_scenario(tier))
            assert made.config == replace(type(made.config)(), **settings) == same.config


def test_runs_of_all_groups_can_be_made_and_differ() -> None:
    for group in GROUPS.values():
        runs = list(group())
        assert len({run.key for run in runs}) == len(runs)
        for settings in {str(run.settings): run for run in runs}.values():
            settings.make()


def test_a_run_is_done_once_and_its_agent_plays_elsewhere_too(tmp_path: Path) -> None:
    home = Run("adsac", "campus", None, 64, 0)
    away = replace(home, scenario="metro", trained_on="campus")
    kept = tmp_path / "runs.jsonl"
    do_runs([home, away], kept, 1, tmp_path / "work", VALIDATION)
    rows = read_runs(kept)
    assert [row["key"] for row in rows] == [home.key, away.key]
    assert len(list((tmp_path / "work").iterdir())) == 1  # trained once
    assert rows[0]["digest"] == load_scenario("campus").digest
    assert rows[1]["digest"] == load_scenario("metro").digest
    before = kept.read_bytes()
    do_runs([home, away], kept, 1, tmp_path / "work", VALIDATION)
    assert kept.read_bytes() == before


def test_results_of_other_settings_are_dropped(tmp_path: Path) -> None:
    run, kept = Run("ppo", "smoke", None, 64, 0), tmp_path / "runs.jsonl"
    made = run.make()
    assert isinstance(made, LearningTrainer)
    rows = [outcome(run, 1.0, settings_used=made.settings | {"gamma": 0.123})]
    kept.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    assert study._missing([run], kept) == [run]
    assert read_runs(kept) == []


def test_kept_runs_are_of_todays_settings() -> None:
    kept = {row["key"]: row for row in read_runs()}
    runs = {run.key: run for group in GROUPS.values() for run in group()}
    assert kept.keys() <= runs.keys()
    for key, row in kept.items():
        used = json.loads(json.dumps(runs[key].make().settings))
        assert row["settings_used"] == used, (row["agent"], row["scenario"], row["seed"])


def test_a_training_of_other_settings_is_not_gone_on_with(tmp_path: Path) -> None:
    run = Run("ppo", "smoke", None, 64, 0)
    for gamma in (0.5, 0.9):  # as when a search has changed the tier's settings
        made = run.make()
        assert isinstance(made, LearningTrainer)
        made.config = replace(made.config, gamma=gamma)
        study._train(run, made, tmp_path)
    assert len(list(tmp_path.iterdir())) == 2


def test_the_report_says_who_is_better() -> None:
    heuristics = [
        outcome(Run(name, "paper", 0), figure)
        for name, figure in (("prophet", 1.0), ("crash-avoid", 0.5), ("random", 0.1))
    ]
    learners = [
        outcome(Run(name, "paper", 0, 96_000, seed), figure)
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
        outcome(Run(name, "paper", world, 96_000, seed), figure)
        for world, agents in figures.items()
        for name, figure in agents.items()
        for seed in range(2)
    ]
    text = report([*rows, outcome(Run("crash-avoid", "paper", 1), 0.1)])
    assert "| 1 | adsac 1.400 [2], rainbow 1.000 [2], sac 0.900 [2] | rainbow | +40.0 %" in text
    assert "the claim on utility holds in 1 of\n2 worlds (+0.0 to +40.0 %)" in text


def test_the_report_averages_over_worlds_how_often_adsac_is_better() -> None:
    rows = [
        outcome(Run(name, "paper", world, 96_000, seed), figure)
        for world in range(1, 10)
        for name, figure in (("adsac", 1.0), ("sac", 0.9 if world <= 6 else 1.1))
        for seed in range(2)
    ]
    line = "| paper, worlds 1 to 9 | sac | 2, 2 | 0.667 ["
    assert line in report(rows)
    assert line[:30] not in report(rows[:-4])  # one world is missing


def test_the_report_says_who_is_above_adsac_in_a_tier() -> None:
    rows = [outcome(Run("nearest", "metro"), 0.8), outcome(Run("random", "metro"), 0.1)]
    rows.append(outcome(Run("adsac", "metro", None, 48_000, 0), 0.7))
    assert "Above `adsac` trained here: `nearest`.\n" in report(rows)


def test_the_report_names_the_agents_that_collapsed() -> None:
    runs = [Run("sac", "metro", None, 48_000, seed) for seed in range(2)]
    rows = [outcome(run, 0.3, distinct_actions=1 + run.seed) for run in runs]
    text = report([*rows, outcome(Run("cloud-only", "metro"), 0.5, distinct_actions=1)])
    assert "1 of the 2 trained agents end in a single action: `sac` on metro, seed 0." in text


def test_the_report_keeps_budgets_and_homes_apart() -> None:
    rows = [
        outcome(Run("dqn", "paper", 0, budget, seed, "published"), 0.3)
        for budget in (2_000, 20_000)
        for seed in range(5)
    ]
    own = Run("adsac", "nation", None, 48_000, 0)
    rows += [outcome(own, 0.7), outcome(replace(own, trained_on="campus"), 0.6)]
    text = report(rows)
    assert "| dqn, published | 2,000 | 5 |" in text
    assert "| dqn, published | 20,000 | 5 |" in text
    assert text.index("| adsac | 48,000 | 1 | 0.700") < text.index("| adsac, trained on campus |")


def test_the_committed_report_is_that_of_the_kept_runs() -> None:
    page = Path(study.__file__).parent / "replication.md"
    assert page.read_text("utf-8") == report(read_runs())
