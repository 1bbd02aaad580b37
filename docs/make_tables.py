"""Write what of the docs the code already knows: `python docs/make_tables.py`.

These are tables of pages, and the JSON Schema of submissions.
"""

from __future__ import annotations

import json
import re
from csv import DictReader
from functools import cache, partial
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
from edge_marl.benchmarks.study.keep import read_lines
from edge_marl.data.dataset import datasets
from edge_marl.data.recordings import TRACES
from edge_marl.leaderboards.boards.board import Board, read_boards
from edge_marl.leaderboards.boards.game_table import GAME_NOTE, game_rows, game_told
from edge_marl.leaderboards.findings.page import BLOCKS
from edge_marl.leaderboards.findings.sources import Sources
from edge_marl.leaderboards.submission.schema import Submission
from edge_marl.scenario import Scenario
from edge_marl.scenario.evidence import (
    by_utility,
    learner_told,
    parts_told,
    read_evidence,
    rows_of_game,
    rows_without,
    with_interval,
)

DOCS = Path(__file__).parent
README = DOCS.parent / "README.md"


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


@cache
def sources() -> Sources:
    """Return the leaderboards and what the study has kept."""
    return Sources(read_boards(DOCS.parent / "leaderboards" / "submissions"), read_lines())


def board_of(label: str) -> Board:
    """Return the board of a tier or game."""
    return next(board for board in sources().boards if board.scenario.label == label)


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
    if scenario.clock.slot_ms:
        return "\n".join([*lines, *_in_slots(board_of(tier), evidence)])
    lines += ["", f"| agent | {' | '.join(OF_TIER)} |", f"|---|{'---:|' * len(OF_TIER)}"]
    agents = evidence["agents"]
    for name in by_utility(agents):
        figures = [agents[name][metric] for metric in OF_TIER.values()]
        told = [f"{f:.3f}" if isinstance(f, float) else with_interval(f) for f in figures]
        lines.append(f"| {name} | {' | '.join(told)} |")
    return "\n".join([*lines, *_without(tier, evidence)])


def _in_slots(board: Board, evidence: dict[str, Any]) -> list[str]:
    """What agents of a game get, and heuristics at once, on the event clock and in turn."""
    lines = ["", *_rows(game_rows(board), left=3), "", GAME_NOTE, "", game_told(board)]
    return [*lines, "", *_rows(rows_of_game(evidence))]


GLANCE = ("agent", "what", "utility per request", "lost (%)", "herding (%)")
AT_A_GLANCE = ("prophet", "crash-avoid", "random")
"""Heuristics that are shown whatever they get; before them the two best."""


def game_at_a_glance(label: str) -> str:
    """References, learners and some heuristics of a game, in few columns; and what the gap is."""
    board = board_of(label)
    head, *rows = game_rows(board)
    columns = [head.index(name) for name in GLANCE]
    best = [row[0] for row in rows if row[1] == "heuristic"][:2]
    shown = [row for row in rows if row[1] != "heuristic" or row[0] in (*best, *AT_A_GLANCE)]
    table = [tuple(row[column] for column in columns) for row in [head, *shown]]
    return "\n".join([*_rows(table, left=2), "", game_told(board)])


def _rows(rows: list[tuple[str, ...]], left: int = 1) -> list[str]:
    """A table, its head first, with so many columns of words before those of numbers."""
    head, *others = (f"| {' | '.join(row)} |" for row in rows)
    return [head, f"|{'---|' * left}{'---:|' * (len(rows[0]) - left)}", *others]


def _without(tier: str, evidence: dict[str, Any]) -> list[str]:
    """What is left without each part, and what a learner got, as far as they are measured."""
    lines = []
    if "learner" in evidence:
        lines += ["", f"A learner: {learner_told(evidence['learner'])}."]
    rows = rows_without(evidence)
    if not rows:
        return lines
    lines += ["", parts_told(evidence), "", f"| {' | '.join(rows[0])} |"]
    lines.append(f"|{'---|' * len(rows[0])}")
    lines += [f"| {' | '.join(row)} |" for row in rows[1:]]
    return [*lines, "", f"![What each part does]({figure_of(tier)})"]


BEFORE = DOCS / "figures" / "parts-version-1.csv"
"""What `prophet` got on version 1 of some tiers with one thing changed, and as they are."""


def parts_table() -> str:
    """What it changed to take a tier's version 1 apart, beside the parts of version 2."""
    with BEFORE.open(encoding="utf-8", newline="") as file:
        lines = list(DictReader(file))
    rows = [("tier", "without", "version 1", "difference", "version 2, difference", "earns")]
    for tier in dict.fromkeys(line["tier"] for line in lines):
        before = {x["without"]: float(x["utility"]) for x in lines if x["tier"] == tier}
        whole = before.pop("")
        rows.append((tier, "nothing", f"{whole:.3f}", *["-"] * 3))
        later = _differences(f"{tier}@2")
        for name in [*before, *(name for name in later if name not in before)]:
            was = before.get(name)
            cells = ("-", "-") if was is None else (f"{was:.3f}", f"{was - whole:+.3f}")
            rows.append((tier, name, *cells, *later.get(name, ("-", "-"))))
    return "\n".join(_rows(rows, left=2))


def _differences(tier: str) -> dict[str, tuple[str, str]]:
    """What each part of a tier changes and whether it earns its place, the largest first."""
    parts = (read_evidence(load_scenario(tier)) or {}).get("parts", {})
    played = {name: part for name, part in parts.items() if "difference" in part}
    return {
        name: (with_interval(part["difference"], "+"), "yes" if part["earns"] else "no")
        for name, part in sorted(played.items(), key=lambda p: -abs(p[1]["difference"][0]))
    }


def use_table() -> str:
    """How much of a tier's capacity the best heuristic uses in each version."""
    rows = [("tier", "version", "best heuristic", "capacity in use")]
    for label in list_tiers():
        name, _, version = label.partition("@")
        agents = (read_evidence(load_scenario(label)) or {"agents": {}})["agents"]
        if version and agents:
            best = by_utility(agents)[0]
            rows.append((name, version, best, f"{100 * agents[best]['utilisation']:.0f} %"))
    return "\n".join(_rows(rows, left=3))


def figure_of(tier: str) -> str:
    """Return the path of the figure of a tier's parts, from the tier's page."""
    return f"../figures/parts-{load_scenario(tier).label}.png"


def world_table(label: str) -> str:
    """How a world is made, who decides in it, and its sizes."""
    scenario = load_scenario(label)
    size = f"`Box(0, 1, ({ObservationLayout(scenario).size},), float32)`"
    if scenario.clock.slot_ms:
        make = f'`edge_aigc_v0.parallel_env("{scenario.name}")`'
        agents = f"`gateway_0` to `gateway_{scenario.gateways.count - 1}`, all at once"
        actions = scenario.num_actions + 1
    else:
        make = f'`gymnasium.make("EdgeAIGC-v0", scenario="{scenario.name}")`'
        agents, actions = "one orchestrator", scenario.num_actions
    known = {"summary", "actions", "digest"}  # the page says these elsewhere
    sizes = [row for row in scenario.as_table().rows if row[0] not in known]
    rows = [
        ("make it", make),
        ("who decides", agents),
        ("observation", size),
        ("action", f"`Discrete({actions})`"),
        *sizes,
    ]
    return "\n".join(["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows)])


def actions_table(label: str) -> str:
    """What each action of a world is."""
    scenario = load_scenario(label)
    layout = ObservationLayout(scenario)
    servers, services, levels = layout.num_servers, layout.num_services, scenario.num_levels
    place = f"server n of 0..{servers - 1}"
    if scenario.gateways.neighbourhood:
        place = f"the gateway's n-th nearest server, n of 0..{servers - 1}"
    to, number = f"send to {place}, service v of 0..{services - 1}", f"`n * {services} + v`"
    if scenario.levels is not None:
        shares = ", ".join(f"{share * 100:g} %" for share in scenario.levels.shares)
        to += f", with a share of the steps: l of 0..{levels - 1} is {shares}"
        number = f"`(n * {services} + v) * {levels} + l`"
    rows = [(number, to)]
    if layout.may_decline:
        rows.append((f"`{scenario.num_actions - 1}`", "say no"))
    if scenario.clock.slot_ms:
        rows.append(
            (f"`{scenario.num_actions}`", "nothing: all that a gateway without a task may do")
        )
    lines = ["| action | what it does |", "|---|---|"]
    return "\n".join([*lines, *(f"| {number} | {what} |" for number, what in rows)])


def versions_of(name: str) -> list[str]:
    """Return the labels of a tier's or game's versions, the newest first."""
    labels = [label for label in [*list_tiers(), *list_games()] if label.split("@")[0] == name]
    return sorted(labels, key=lambda label: -load_scenario(label).version)


def versions_table(name: str) -> str:
    """Every version of a tier or game, with its digest and board."""
    lines = ["| version | what it is | digest | board |", "|---|---|---|---|"]
    for label in versions_of(name):
        scenario = load_scenario(label)
        board = f"[{label}-v0](../../leaderboards/{label}-v0.md)"
        lines.append(f"| `{label}` | {scenario.summary} | `{scenario.digest[:16]}` | {board} |")
    return "\n".join(lines)


def cite_told(name: str) -> str:
    """What to cite with a world: this package, and whose environment or recordings it is."""
    tier = name.removesuffix("-game")
    lines = ["[CITATION.cff](../../CITATION.cff) has what to cite for edge-marl."]
    papers = re.split(r"^  - type: ", (DOCS.parent / "CITATION.cff").read_text("utf-8"), flags=re.M)
    for paper in papers[1:]:
        if f"environment is the tier `{tier}`" in paper:
            fields = dict(re.findall(r"^    (\w+): \"?(.*?)\"?$", paper, flags=re.M))
            where = f"https://doi.org/{fields['doi']}" if "doi" in fields else fields["url"]
            source = f"[{fields['title']}]({where}), {fields['journal']}, {fields['year']}"
            lines.append(f"Its environment is that of {source}: cite that paper too.")
    replay = load_scenario(name).replay
    if replay is not None:
        used = [TRACES[replay.trace][0], *([replay.places] if replay.places else [])]
        cited = "; ".join(datasets()[name].citation for name in used)
        lines.append(f"Its recordings are of others, [on their terms](../data.md): cite {cited}.")
    return "\n".join(lines)


def index_table(labels: list[str], folder: str) -> str:
    """The newest version of each tier or game, with what the best heuristic gets there."""
    lines = ["| | what it is | best heuristic | score |", "|---|---|---|---:|"]
    names = dict.fromkeys(label.split("@")[0] for label in labels)
    for name in sorted(names, key=lambda name: _size(load_scenario(name))):
        scenario = load_scenario(name)
        agents = (read_evidence(scenario) or {"agents": {}})["agents"]
        best = next(iter(by_utility(agents)), "")
        score = with_interval(agents[best]["score"]) if best else ""
        lines.append(f"| [{name}]({folder}/{name}.md) | {scenario.summary} | {best} | {score} |")
    return "\n".join(lines)


def _size(scenario: Scenario) -> tuple[bool, bool, int, int]:
    """Order by how much there is to it: recordings last, published worlds first."""
    return (
        scenario.replay is not None,
        scenario.extended,
        scenario.num_servers,
        scenario.num_actions,
    )


WORLDS = [*list_tiers(), *list_games()]
NAMES = list(dict.fromkeys(label.split("@")[0] for label in WORLDS))
TABLES = {
    "metrics": metrics_table,
    "costs": lambda: names_table(COSTS, "cost"),
    "reward parts": lambda: names_table(REWARD_PARTS, "part"),
    "speed": lambda: markdown(read(DOCS / "figures" / "speed.json")),
    "tiers": lambda: index_table(list_tiers(), "tiers"),
    "parts": parts_table,
    "use": use_table,
    "games": lambda: index_table(list_games(), "games"),
    **{f"world {label}": partial(world_table, label) for label in WORLDS},
    **{f"observation {label}": partial(observation_table, label) for label in WORLDS},
    **{f"actions {label}": partial(actions_table, label) for label in WORLDS},
    **{f"tier {label}": partial(tier_card, label) for label in WORLDS},
    **{f"glance {label}": partial(game_at_a_glance, label) for label in list_games()},
    **{f"versions {name}": partial(versions_table, name) for name in NAMES},
    **{f"finding {name}": partial(lambda block: block(sources()), b) for name, b in BLOCKS.items()},
    **{f"cite {name}": partial(cite_told, name) for name in NAMES},
}
"""What writes each table, by the name that pages call it."""


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
    for page in [README, *DOCS.rglob("*.md")]:
        page.write_text(with_tables(page.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main()
