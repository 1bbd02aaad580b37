"""Write what of the docs the code already knows: `python docs/make_tables.py`.

These are tables of pages, and the JSON Schema of submissions.
"""

from __future__ import annotations

import json
import re
from functools import partial
from pathlib import Path

from edge_marl import METRICS, ObservationLayout, list_tiers, load_scenario
from edge_marl.benchmarks.speed.findings import read
from edge_marl.benchmarks.speed.tables import markdown
from edge_marl.leaderboards.submission.schema import Submission
from edge_marl.scenario.evidence import read_evidence

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


def tier_card(tier: str) -> str:
    """Digest, bound and what every heuristic reaches on a tier's test workloads."""
    scenario = load_scenario(tier)
    evidence = read_evidence(scenario)
    lines = [f"Digest `{scenario.digest[:16]}`."]
    if evidence is None:
        return lines[0]
    count, bound = evidence["workloads"], evidence["bound_per_task"]
    lines[0] += f" {count} test workloads; bound {bound:.3f} per request."
    lines += ["", "| agent | utility per request | score | use | lost | crashes | on time | cold |"]
    lines.append("|---|---:|---:|---:|---:|---:|---:|---:|")
    ranked = sorted(evidence["agents"].items(), key=lambda item: -item[1]["utility_per_task"][0])
    for name, row in ranked:
        shares = ("utilisation", "lost_fraction", "server_crash_rate", "on_time_rate")
        figures = [_interval(row["utility_per_task"]), _interval(row["score"])]
        figures += [f"{row[share]:.3f}" for share in (*shares, "cold_start_rate")]
        lines.append(f"| {name} | {' | '.join(figures)} |")
    return "\n".join(lines)


def _interval(figures: list[float]) -> str:
    value, low, high = figures
    return f"{value:.3f} [{low:.3f}, {high:.3f}]"


TABLES = {
    "observation paper": lambda: observation_table("paper"),
    "observation campus@1": lambda: observation_table("campus@1"),
    "metrics": metrics_table,
    "speed": lambda: markdown(read(DOCS / "figures" / "speed.json")),
    **{f"tier {tier}": partial(tier_card, tier) for tier in list_tiers()},
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
