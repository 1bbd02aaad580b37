"""Write what of the docs the code already knows: `python docs/make_tables.py`.

These are tables of pages, and the JSON Schema of submissions.
"""

from __future__ import annotations

import json
import re
from functools import partial
from pathlib import Path
from typing import Any

from edge_marl import (
    COSTS,
    METRICS,
    REWARD_PARTS,
    ObservationLayout,
    list_games,
    list_tiers,
    load_scenario,
)
from edge_marl.benchmarks.speed.findings import read
from edge_marl.benchmarks.speed.tables import markdown
from edge_marl.leaderboards.submission.schema import Submission
from edge_marl.scenario.evidence import (
    by_utility,
    gap_told,
    learner_told,
    read_evidence,
    references_of_game,
    rows_of_game,
    rows_without,
    with_interval,
)

DOCS = Path(__file__).parent


def observation_table(tier: str) -> str:
    """What is where in a tier's observation."""
    layout = ObservationLayout(load_scenario(tier))
    lines = [f"`{tier}`, {layout.size} numbers:", "", "| feature | index | unit | divided by |"]
    lines.append("|---|---|---|---|")
    for feature in layout.features:
        first, last = feature.indices[0], feature.indices[-1]
        step = f", every {feature.stride}" if feature.stride > 1 else ""
        index = f"{first}" if first == last else f"{first}..{last}{step}"
        lines.append(f"| {feature.name} | {index} | {feature.unit} | {feature.scale:,.12g} |")
    return "\n".join(lines)


def metrics_table() -> str:
    """Every metric with unit, direction and definition."""
    lines = ["| metric | unit | better | definition |", "|---|---|---|---|"]
    for metric in METRICS.values():
        lines.append(
            f"| `{metric.name}` | {metric.unit} | {metric.better} | {metric.description} |"
        )
    return "\n".join(lines)


def names_table(named: dict[str, str], what: str) -> str:
    """Names and what they mean."""
    lines = [f"| {what} | |", "|---|---|"]
    return "\n".join([*lines, *(f"| `{name}` | {meaning} |" for name, meaning in named.items())])


OF_TIER = {
    "utility per request": "utility_per_task",
    "score": "score",
    "use": "utilisation",
    "lost": "lost_fraction",
    "crashes": "server_crash_rate",
    "on time": "on_time_rate",
    "cold": "cold_start_rate",
}
"""Columns of a tier's card, and what of the evidence they show."""

OF_GAME = {
    "utility per request": "utility_per_task",
    "score": "score",
    "price": "price",
    "herding": "herding",
    "fairness": "gateway_fairness",
    "idle": "idle_share",
    "use": "utilisation",
    "lost": "lost_fraction",
    "crashes": "server_crash_rate",
    "on time": "on_time_rate",
}
"""The same of a game's."""


def tier_card(tier: str) -> str:
    """Digest, bound and what every heuristic reaches on a tier's test workloads."""
    scenario = load_scenario(tier)
    evidence = read_evidence(scenario)
    lines = [f"Digest `{scenario.digest[:16]}`."]
    if evidence is None:
        return lines[0]
    count, bound = evidence["workloads"], evidence["bound_per_task"]
    lines[0] += f" {count} test workloads"
    lines[0] += "." if bound is None else f"; bound {bound:.3f} per request."
    in_game = references_of_game(evidence)
    columns = OF_GAME if in_game else OF_TIER
    lines += ["", f"| agent | {' | '.join(columns)} |", f"|---|{'---:|' * len(columns)}"]
    agents = evidence["agents"]
    played = {name: agents[name] for name in by_utility(agents)}
    played |= {f"*{name}*": row for name, row in in_game.items()}
    for name, row in played.items():
        figures = [row[metric] for metric in columns.values()]
        told = [f"{f:.3f}" if isinstance(f, float) else with_interval(f) for f in figures]
        lines.append(f"| {name} | {' | '.join(told)} |")
    return "\n".join([*lines, *_in_slots(evidence), *_without(tier, evidence)])


def _in_slots(evidence: dict[str, Any]) -> list[str]:
    """What agents of a game get at once, on the event clock and in turn."""
    rows = rows_of_game(evidence)
    if not rows:
        return []
    lines = ["", gap_told(evidence), "", f"| {' | '.join(rows[0])} |"]
    lines.append(f"|---|{'---:|' * (len(rows[0]) - 1)}")
    return [*lines, *(f"| {' | '.join(row)} |" for row in rows[1:])]


def _without(tier: str, evidence: dict[str, Any]) -> list[str]:
    """What is left without each part, and what a learner got, as far as they are measured."""
    lines = []
    if "learner" in evidence:
        lines += ["", f"A learner: {learner_told(evidence['learner'])}."]
    rows = rows_without(evidence)
    if not rows:
        return lines
    lines += ["", "Without each part:", "", f"| {' | '.join(rows[0])} |"]
    lines.append(f"|{'---|' * len(rows[0])}")
    lines += [f"| {' | '.join(row)} |" for row in rows[1:]]
    return [*lines, "", f"![What each part does]({figure_of(tier)})"]


def figure_of(tier: str) -> str:
    """Return the path of the figure of a tier's parts, from this folder."""
    return f"figures/parts-{load_scenario(tier).label}.png"


TABLES = {
    "observation paper": lambda: observation_table("paper"),
    "observation campus@1": lambda: observation_table("campus@1"),
    "metrics": metrics_table,
    "costs": lambda: names_table(COSTS, "cost"),
    "reward parts": lambda: names_table(REWARD_PARTS, "part"),
    "speed": lambda: markdown(read(DOCS / "figures" / "speed.json")),
    **{f"tier {tier}": partial(tier_card, tier) for tier in [*list_tiers(), *list_games()]},
}


def with_tables(text: str) -> str:
    """Return the text of a page with its tables made anew."""

    def fill(match: re.Match[str]) -> str:
        return f"<!-- table: {match[1]} -->\n{TABLES[match[1]]()}\n<!-- end -->"

    return re.sub(r"<!-- table: ([\w@ -]+) -->\n.*?<!-- end -->", fill, text, flags=re.DOTALL)


SCHEMA = DOCS / "submission.schema.json"


def submission_schema() -> str:
    """Return the JSON Schema (2020-12) of `submission.json`."""
    facts = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return json.dumps(facts | Submission.model_json_schema(), indent=1, sort_keys=True) + "\n"


def main() -> None:
    """Make the tables of every page, and the schema, anew."""
    SCHEMA.write_text(submission_schema(), "utf-8")
    for page in DOCS.glob("*.md"):
        page.write_text(with_tables(page.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main()
