import base64
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

from comparison.groups import group_trials
from comparison.programs import analyze_programs, render_program_report
from comparison.records import Misclassified, TrialRecord
from comparison.report.analysis import analyze
from comparison.report.html import render_report
from comparison.report.run_comparison import Run, render_run_html
from comparison.texts import LANGUAGES, speak
from tests.comparison.programs.program_factory import make_program_info, make_program_run
from tests.comparison.record_factory import delay, make_record, make_run, make_run_info

pytestmark = pytest.mark.browser

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
WIDTHS = (300, 490, 1430)
SCHEMES = ("light", "dark")
PAGES = [(kind, language) for kind in ("report", "runs", "program") for language in LANGUAGES]
# Half a minute, the default, is too short for a machine that does much else.
PATIENCE_MILLISECONDS = 600_000.0
# A4 less margins of a centimetre.
A4_WIDTH_PIXELS = 718


def make_long_run() -> list[TrialRecord]:
    pixels = base64.b64encode(bytes(range(256)) * 3 + bytes(16)).decode()
    images = [Misclassified(index, 0, 1, 0.9, [28, 28, 1], pixels) for index in range(12)]
    matrix = [[994 if true == predicted else 2 for predicted in range(10)] for true in range(10)]
    return [
        replace(own, misclassified=images, confusion_matrix=matrix)
        for trial in range(3)
        for own in (
            make_record("single", trial, 60.0 + trial),
            make_record("all-reduce-2w", trial, 36.0 + trial),
            make_record("all-reduce-4w", trial, 22.0 + trial),
            make_record("parameter-server-2w-1ps", trial, 50.0 + trial, contended=True),
            make_record("all-reduce-8w-weak", trial, 60.0 + trial),
        )
    ]


def render(kind: str, language: str) -> str:
    records = make_long_run()
    with speak(language):
        if kind == "program":
            trials = make_program_run()
            return render_program_report(analyze_programs(trials, make_program_info(trials)))
        if kind == "report":
            return render_report(analyze(records, make_run_info()))
        later = [delay(record, 1e7) for record in make_run()]
        after = Run(make_run_info(run_id="run-2", parameters={"workers": [4]}), group_trials(later))
        return render_run_html(Run(make_run_info(), group_trials(records)), after)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    assert path, f"A browser is needed: one of {', '.join(BROWSERS)}. `make setup-browser` installs one."
    with sync_playwright() as playwright:
        # A container's root has no sandbox of Chromium's; the pages are the project's own.
        opened = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"], timeout=PATIENCE_MILLISECONDS)
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Path]:
    folder = tmp_path_factory.mktemp("pages")
    paths = {own: folder / f"{own[0]}.{own[1]}.html" for own in PAGES}
    for own, path in paths.items():
        path.write_text(render(*own), encoding="utf-8")
    return paths


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(bypass_csp=True)
    context.set_default_timeout(PATIENCE_MILLISECONDS)
    yield context.new_page()
    context.close()


def show(page: Page, path: Path, width: int, scheme: str = "light") -> list[str]:
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    page.goto(path.as_uri())
    return requests


def unfold(page: Page) -> None:
    page.evaluate("document.querySelectorAll('details').forEach(own => { own.open = true; })")


@pytest.mark.parametrize("own", PAGES, ids=".".join)
@pytest.mark.parametrize("width", WIDTHS)
def test_a_page_is_as_wide_as_its_window_and_asks_for_nothing(
    page: Page, files: dict[tuple[str, str], Path], own: tuple[str, str], width: int
) -> None:
    requests = show(page, files[own], width)

    for _ in range(2):
        assert page.evaluate("document.documentElement.scrollWidth") == width
        unfold(page)
    assert [url for url in requests if not url.startswith("data:")] == [files[own].as_uri()]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(("kind", "number"), [("report", 2), ("program", 1)])
def test_before_anything_is_unfolded_no_table_scrolls_sideways_on_a_phone(
    page: Page, files: dict[tuple[str, str], Path], kind: str, number: int, language: str
) -> None:
    show(page, files[kind, language], 490)

    tables = page.locator(".scroll:visible")
    assert tables.count() == number
    assert tables.evaluate_all("tables => tables.filter(own => own.scrollWidth > own.clientWidth).length") == 0


@pytest.mark.parametrize("own", PAGES, ids=".".join)
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_page_is_accessible(
    page: Page, files: dict[tuple[str, str], Path], own: tuple[str, str], width: int, scheme: str
) -> None:
    show(page, files[own], width, scheme)
    unfold(page)

    # Nearly all of the time is the colours', which are the scheme's in either language: of Chinese in one width alone.
    has_colours = own[1] == "en" or width == 490
    rules = {"rules": {"color-contrast": {"enabled": has_colours}}}
    violations = Axe().run(page, options=rules).response["violations"]

    serious = [found for found in violations if found["impact"] in {"serious", "critical"}]
    assert [(found["id"], [node["html"][:200] for node in found["nodes"][:3]]) for found in serious] == []


@pytest.mark.parametrize("width", WIDTHS)
def test_no_cell_of_a_confusion_matrix_is_wider_than_its_column(
    page: Page, files: dict[tuple[str, str], Path], width: int
) -> None:
    show(page, files["report", "en"], width)
    unfold(page)

    cells = page.locator(".heat .hit")
    too_wide = "cells => cells.filter(cell => cell.scrollWidth > cell.clientWidth + 1).map(cell => cell.textContent)"
    assert set(cells.all_text_contents()) == {"2,982"}
    assert cells.evaluate_all(too_wide) == []


def test_the_check_of_accessibility_finds_what_is_wrong(page: Page, tmp_path: Path) -> None:
    (tmp_path / "bad.html").write_text('<html><img src="data:,"><p style="color:#ccc;background:#fff">pale</p></html>')
    show(page, tmp_path / "bad.html", 490)

    found = {violation["id"] for violation in Axe().run(page).response["violations"]}

    assert {"color-contrast", "html-has-lang", "image-alt"} <= found


def test_a_page_takes_less_than_a_megabyte(files: dict[tuple[str, str], Path]) -> None:
    assert max(path.stat().st_size for path in files.values()) < 2**20


@pytest.mark.parametrize("own", PAGES, ids=".".join)
def test_pictures_have_descriptions_and_headers_a_scope(
    page: Page, files: dict[tuple[str, str], Path], own: tuple[str, str]
) -> None:
    show(page, files[own], 490)

    assert page.locator("html").get_attribute("lang") == {"en": "en", "zh": "zh-CN"}[own[1]]
    assert page.locator("svg").count() >= 1
    assert page.locator("svg:not([role=img][aria-label])").count() == 0
    assert page.locator("img:not([alt])").count() == 0
    assert page.locator("th:not([scope])").count() == 0


@pytest.mark.parametrize("own", PAGES, ids=".".join)
def test_a_printed_page_cuts_nothing_off(page: Page, files: dict[tuple[str, str], Path], own: tuple[str, str]) -> None:
    show(page, files[own], A4_WIDTH_PIXELS)
    page.emulate_media(media="print")
    assert len(re.findall(rb"/Type\s*/Page\b", page.pdf(format="A4"))) <= 3
    unfold(page)

    cut = """[...document.querySelectorAll("table, svg, img, p, dl")].filter(
        element => element.getBoundingClientRect().right > document.documentElement.clientWidth + 1
    ).map(element => element.outerHTML.slice(0, 100))"""
    assert page.evaluate(cut) == []

    pages = re.findall(rb"/Type\s*/Page\b", page.pdf(format="A4"))
    assert 1 <= len(pages) <= 17
