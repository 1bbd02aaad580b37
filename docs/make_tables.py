"""Write the tables of the docs that the code already knows: `python docs/make_tables.py`."""

from __future__ import annotations

import re
from pathlib import Path

from edge_marl import METRICS, ObservationLayout, load_scenario

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


TABLES = {
    "observation paper": lambda: observation_table("paper"),
    "metrics": metrics_table,
}


def with_tables(text: str) -> str:
    """Return the text of a page with its tables made anew."""

    def fill(match: re.Match[str]) -> str:
        return f"<!-- table: {match[1]} -->\n{TABLES[match[1]]()}\n<!-- end -->"

    return re.sub(r"<!-- table: ([\w ]+) -->\n.*?<!-- end -->", fill, text, flags=re.DOTALL)


def main() -> None:
    """Make the tables of every page anew."""
    for page in DOCS.glob("*.md"):
        page.write_text(with_tables(page.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main()
