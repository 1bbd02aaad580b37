"""The page of a report in a real browser, on a desktop's and on a phone's screen."""

from pathlib import Path

import pytest

from edge_marl.benchmarks.records.records import write_record
from edge_marl.benchmarks.report.report import make_report
from tests.leaderboards.boards.test_site import ARGUMENTS, CHROMIUM
from tests.worlds import fakes


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium here: apt-get install chromium")
def test_the_page_fits_its_screen_and_its_tables_can_be_sorted(tmp_path: Path) -> None:
    playwright = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
    plan = fakes.plan()
    fakes.make_run(tmp_path, plan, {"greedy": 20.0, "student": 50.0})
    for cell in plan.cells(fakes.ARENA, fakes.LEARNER):
        write_record(tmp_path, fakes.with_lines(fakes.cell_record(cell, 50.0)))
    make_report(tmp_path, ("html",), show=False)
    with playwright.sync_playwright() as player:
        browser = player.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        for width, height in ((1280, 900), (390, 844)):
            page = browser.new_page(viewport={"width": width, "height": height})
            page.goto((tmp_path / "report.html").as_uri())
            assert page.evaluate("document.documentElement.scrollWidth") == width
            # Who a row is of stays in sight, however far its figures are scrolled.
            page.evaluate("document.querySelector('.wide').scrollLeft = 1000")
            assert page.locator("td").first.bounding_box()["x"] >= 0
            names = page.locator(".sortable td:first-child")
            assert [name.rstrip(" †") for name in names.all_inner_texts()] == ["student", "greedy"]
            page.get_by_role("button", name="agent").click()
            page.get_by_role("button", name="agent").click()
            assert names.first.inner_text() == "greedy"
        browser.close()
