"""The site in a real browser: sort, filter, open a submission, play an episode; from a file."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_marl.benchmarks.plan.budgets import BudgetClass
from edge_marl.leaderboards.boards.board import Rank, read_boards
from edge_marl.leaderboards.boards.build import build
from edge_marl.leaderboards.boards.site import make_site
from tests.worlds import made_up_submissions

CHROMIUM = shutil.which("chromium")
ARGUMENTS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="no chromium here: apt-get install chromium"
)
BOARD, ENTRY = "smoke-v0.html", "smoke-v0/2026-11-01-adsac.html"
COMPARE = "smoke-v0/compare.html"
PAGES = ["index.html", BOARD, ENTRY, COMPARE]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("site")
    made_up_submissions.write_board(folder / "submissions")
    build(folder / "submissions", folder)
    return (folder / "site").as_uri()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
    with playwright.sync_playwright() as player:
        browser = player.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """A page that may complain of nothing, and ask the network for nothing."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    said: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.set_default_timeout(15_000)
    yield page
    page.close()
    assert said == []
    assert [url for url in asked if not url.startswith(("file:", "about:"))] == []


def column(page: Any, number: int) -> list[str]:
    """Values of a column's visible rows, from the top."""
    rows = page.locator("#board tbody tr:visible")
    found: list[str] = rows.evaluate_all(
        "(rows, k) => rows.map((row) => row.cells[k].dataset.value)", number
    )
    return found


def names(page: Any) -> list[str]:
    return column(page, 1)


def number(page: Any, what: str) -> float:
    return float(page.locator(f"[data-is={what}]").inner_text())


def wait_until(page: Any, is_so: Callable[[], bool]) -> None:
    """Wait for something to come about. The pages' policy forbids Playwright's own way, eval."""
    for _ in range(600):
        if is_so():
            return
        page.wait_for_timeout(25)
    raise AssertionError("it never came about")


def test_sort_by_a_heading(site: str, page: Any) -> None:
    page.goto(f"{site}/{BOARD}")
    by_rank = names(page)
    page.get_by_role("button", name="Crashes").click()
    crashes = [float(value) for value in column(page, 6)]
    assert crashes == sorted(crashes)
    heading = page.locator("th", has=page.get_by_role("button", name="Crashes"))
    assert heading.get_attribute("aria-sort") == "ascending"
    assert page.locator("th[aria-sort=ascending], th[aria-sort=descending]").count() == 1
    page.get_by_role("button", name="Crashes").click()
    assert [float(value) for value in column(page, 6)] == sorted(crashes, reverse=True)
    assert heading.get_attribute("aria-sort") == "descending"
    page.get_by_role("button", name="Agent").click()
    assert names(page) == sorted(by_rank)
    page.get_by_role("button", name="Rank").click()
    assert names(page) == by_rank


def test_filter_and_pass_it_on(site: str, page: Any) -> None:
    page.goto(f"{site}/{BOARD}")
    everything = names(page)
    page.get_by_label("Search").fill("ADSAC")
    assert names(page) == ["adsac-plus", "adsac"]
    assert page.get_by_role("status").inner_text() == "2 of 8 shown"
    page.get_by_label("Checked at least").select_option("held-out")
    assert names(page) == ["adsac-plus"]
    address = page.url
    page.get_by_role("button", name="Show all").click()
    wait_until(page, lambda: page.get_by_role("status").inner_text() == "8 of 8 shown")
    assert names(page) == everything
    page.get_by_label("learned").uncheck()
    assert names(page) == ["prophet", "crash-avoid", "round-robin", "random"]
    page.get_by_label("Search").fill("nothing has this name")
    assert "Nothing matches" in page.get_by_role("status").inner_text()
    page.goto("about:blank")
    page.goto(address)
    assert names(page) == ["adsac-plus"]
    assert page.get_by_label("Search").input_value() == "ADSAC"


def test_open_a_submission_and_play_its_episode(site: str, page: Any) -> None:
    page.goto(f"{site}/index.html")
    page.get_by_role("navigation").get_by_role("link", name="smoke").click()
    page.get_by_role("link", name="adsac", exact=True).click()
    assert page.get_by_role("heading", level=1).inner_text().startswith("adsac")
    page.get_by_label("Speed").select_option("fast")
    page.get_by_role("button", name="Play").click()
    wait_until(page, lambda: number(page, "decided") > 3)
    page.get_by_role("button", name="Pause").click()
    stood = number(page, "decided")
    assert page.get_by_role("button", name="Play").is_visible()
    page.get_by_role("button", name="Forward one decision").click()
    assert number(page, "decided") == stood + 1
    page.get_by_role("button", name="Next crash").click()
    assert "the server crashed" in page.locator(".player .line").inner_text()
    assert number(page, "crashes") >= 1


def test_the_end_of_an_episode_is_what_the_metrics_say(
    site: str, page: Any, tmp_path: Path
) -> None:
    sub = made_up_submissions.write_submission(
        tmp_path, "smoke", "adsac", kind="learner", lots=0.06
    )
    page.goto(f"{site}/{ENTRY}")
    for _ in range(2):
        facts = page.evaluate("JSON.parse(document.getElementById('episodes').textContent)")
        at = int(page.locator(".episode").input_value())
        page.locator(".seek input").focus()
        page.keyboard.press("End")
        metrics = sub.runs[0].metrics
        workload = facts[at]["workload"]
        assert number(page, "decided") == metrics["tasks"][workload]
        assert number(page, "crashes") == metrics["server_crashes"][workload]
        utility = metrics["utility"][workload]
        assert utility is not None
        assert number(page, "utility") == pytest.approx(utility, abs=0.1)
        page.locator(".episode").select_option("1")


def test_with_the_keyboard_alone(site: str, page: Any) -> None:
    page.goto(f"{site}/{BOARD}")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"

    def tab_to(test: str) -> None:
        for _ in range(60):
            page.keyboard.press("Tab")
            if page.evaluate(f"(() => {{ const at = document.activeElement; return {test}; }})()"):
                return
        raise AssertionError(f"no way by Tab to {test}")

    tab_to("at.className === 'sort' && at.textContent === 'Lost'")
    outline = "getComputedStyle(document.activeElement).outlineStyle"
    assert page.evaluate(outline) == "solid"
    page.keyboard.press("Enter")
    lost = [float(value) for value in column(page, 7)]
    assert lost == sorted(lost)
    tab_to("at.textContent === 'adsac'")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/{ENTRY}")
    tab_to("at.classList.contains('play')")
    page.keyboard.press("Space")
    wait_until(page, lambda: number(page, "decided") > 1)
    page.keyboard.press("Space")
    before = number(page, "decided")
    tab_to("at.type === 'range'")
    page.keyboard.press("PageUp")
    assert number(page, "decided") > before


def test_compare_two_entries_and_pass_it_on(site: str, page: Any) -> None:
    page.goto(f"{site}/{ENTRY}")
    page.get_by_role("link", name="Compare with another entry").click()
    first, second = page.get_by_label("First"), page.get_by_label("Second")
    wait_until(page, lambda: first.input_value() == "2026-11-01-adsac")
    assert second.input_value() == "2026-11-01-prophet"
    facts = page.evaluate("JSON.parse(document.getElementById('compared').textContent)")
    names = [entry["name"] for entry in facts["entries"]]
    second.select_option("2026-11-01-random")
    one, two = (facts["entries"][names.index(name)]["values"] for name in ("adsac", "random"))
    [value, low, high] = facts["pairs"][f"{names.index('adsac')},{names.index('random')}"]
    ahead = sum(a > b for a, b in zip(one, two, strict=True))
    told = page.get_by_role("status").inner_text()
    assert told.startswith(
        f"adsac less random: {value:.3f} (95 % interval {low:.3f} to {high:.3f})"
    )
    assert f": adsac is better. adsac is ahead on {ahead} of 100 workloads." in told
    assert page.locator(".bar").count() == 100
    address = page.url
    page.get_by_role("button", name="Exchange").press("Enter")
    told = page.get_by_role("status").inner_text()
    assert told.startswith(f"random less adsac: {-value:.3f} ")
    assert ": adsac is better. random is ahead on " in told
    page.goto("about:blank")
    page.goto(address)
    page.locator("summary").click()
    page.get_by_role("button", name="Difference").click()
    rows = page.locator("tbody tr").evaluate_all(
        "(rows) => rows.map((row) => [...row.cells].map((cell) => Number(cell.dataset.value)))"
    )
    differences = [row[3] for row in rows]
    assert differences == sorted(differences, reverse=True)
    assert [row[1] - row[2] for row in rows] == pytest.approx(differences)
    assert sorted(row[0] for row in rows) == list(range(100))


@pytest.fixture(scope="module")
def widest(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A board with every column that there is: of a game, of the repository's entries."""
    root = Path(__file__).parents[3] / "leaderboards" / "submissions"
    games = [board for board in read_boards(root) if board.is_game]
    learned = [sum(bool(row.submission.budget_class) for row in game.rows) for game in games]
    game = games[int(np.argmax(learned))]
    sizes: list[BudgetClass] = ["small", "standard", "open"]
    ranks = dict.fromkeys(sizes, Rank(17, 16, 18, 19))
    rows = []
    budgets = itertools.cycle((10**4, 10**5, 10**7))
    for row in game.rows:
        about = row.submission.about
        budget = next(budgets) if row.submission.budget_class else 0
        training = about.training.model_copy(update={"budget": budget})
        about = about.model_copy(update={"training": training})
        entry = replace(row.entry, submission=row.submission.model_copy(update={"about": about}))
        rows.append(replace(row, entry=entry, ranks=ranks, result=replace(row.result)))
    board = replace(game, rows=tuple(rows))
    folder = tmp_path_factory.mktemp("widest")
    for name, content in make_site([board]):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)
        if name == f"{board.name}.html":
            return (folder / name).as_uri()
    raise AssertionError("the board has no page")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_column_is_cut_off_on_a_screen_of_1280(widest: str, page: Any, scheme: str) -> None:
    page.emulate_media(color_scheme=scheme)
    page.goto(widest)
    headings = page.locator("table").first.locator("thead th:visible .sort").all_inner_texts()
    assert headings[:4] == ["Rank", "Rank", "Rank", "Agent"]
    assert headings[-3:] == ["Weights", "Training", "Date"]
    assert (
        page.evaluate(
            "[...document.querySelectorAll('.scroll')].map((e) => e.scrollWidth - e.clientWidth)"
        )
        == [0] * page.locator(".scroll").count()
    )


def test_a_printed_board_is_light_whole_and_without_controls(site: str, page: Any) -> None:
    page.emulate_media(color_scheme="dark", media="print")
    page.set_viewport_size({"width": 1030, "height": 720})  # A4, landscape
    page.goto(f"{site}/{BOARD}")
    ground = "getComputedStyle(document.body).backgroundColor"
    assert page.evaluate(ground) == "rgb(255, 255, 255)"
    assert not page.locator(".filter:visible, .theme:visible, nav:visible, .button:visible").count()
    assert page.locator(".notes .note").is_visible()
    scroll = page.locator(".scroll").first
    assert scroll.evaluate("(e) => getComputedStyle(e).overflowX") == "visible"
    assert scroll.evaluate("(e) => e.scrollWidth <= 1030")


@pytest.mark.parametrize("path", PAGES)
def test_on_a_phone_nothing_is_wider_than_the_screen(site: str, page: Any, path: str) -> None:
    page.set_viewport_size({"width": 360, "height": 740})
    page.goto(f"{site}/{path}")
    page.evaluate("document.querySelectorAll('details').forEach((d) => d.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_contrast(site: str, page: Any, path: str, scheme: str) -> None:
    page.emulate_media(color_scheme=scheme)
    page.goto(f"{site}/{path}")
    weak = page.evaluate(CONTRAST)
    assert weak == []
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor") != "rgb(255, 255, 255)"
    assert dark == (scheme == "dark")


CONTRAST = """() => {
  const rgb = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => {
    const part = (x) => (x /= 255) <= 0.03928 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4;
    return 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
  };
  const ground = (at) => {
    for (; at; at = at.parentElement) {
      const colour = rgb(getComputedStyle(at).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
    return rgb(getComputedStyle(document.body).backgroundColor);
  };
  const weak = new Set();
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const at = walk.currentNode.parentElement;
    if (!walk.currentNode.data.trim() || at.closest("script, noscript, svg, option")) continue;
    if (!at.checkVisibility() || at.matches(":disabled")) continue;
    const [a, b] = [light(rgb(getComputedStyle(at).color)), light(ground(at))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) weak.add(`${at.tagName}.${at.className} ${ratio.toFixed(2)}`);
  }
  return [...weak];
}"""


def test_the_readers_theme_wins(site: str, page: Any) -> None:
    page.emulate_media(color_scheme="light")
    page.goto(f"{site}/{BOARD}")
    ground = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(ground)
    theme = page.get_by_role("button", name="Theme")
    theme.click()
    theme.click()
    assert theme.inner_text() == "Theme: dark"
    assert page.evaluate(ground) != light
    page.reload()
    assert page.evaluate(ground) != light


def test_names_are_not_run(page: Any, tmp_path: Path) -> None:
    evil = "<img src=x onerror=document.title='owned'></script><script>document.title='owned'"
    about = {"authors": [evil], "description": evil, "training": {"data": evil, "budget": 1}}
    sub = made_up_submissions.write_submission(
        tmp_path / "submissions", "smoke", "prophet", about=about
    )
    build(tmp_path / "submissions", tmp_path)
    for path in (BOARD, f"{sub.entry}.html"):
        page.goto(f"{(tmp_path / 'site').as_uri()}/{path}")
        assert page.locator("img").count() == 0
        assert evil in page.locator("main").inner_text()
        assert "owned" not in page.title()


def test_without_scripts_the_tables_are_there(site: str, browser: Any) -> None:
    page = browser.new_page(java_script_enabled=False)
    page.goto(f"{site}/{BOARD}")
    assert page.locator("#board tbody tr").count() == 8
    assert not page.locator("form.filter").is_visible()
    page.close()
