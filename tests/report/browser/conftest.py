"""One report and one browser for all tests of this folder; they skip without a browser."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Dialog, Page, expect, sync_playwright

from msd_spark.report.draw.files import BROWSERS, find_browser
from msd_spark.report.job import make_report
from msd_spark.report.settings import ReportSettings
from tests.support.report_run import RUN, write_report_run

expect.set_options(timeout=60_000)  # a busy machine is slow, not wrong


@pytest.fixture(scope="session")
def report_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report outside its warehouse, in a folder whose name has a space and an accent."""
    warehouse = write_report_run(tmp_path_factory.mktemp("report"))
    make_report(ReportSettings(warehouse.root, RUN, heatmaps=20, show=("TR000015AAAAAAAAAA",)))
    folder = tmp_path_factory.mktemp("elsewhere") / "some whére"
    shutil.copytree(warehouse.path("reports", RUN), folder)
    return folder


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A headless Chromium of the machine."""
    executable = find_browser()
    if executable is None:
        pytest.skip(f"no browser on this machine ({', '.join(BROWSERS)}); apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        yield browser
        browser.close()


@dataclass
class Opened:
    """A report in a browser, and its problems.

    Attributes
    ----------
    page : Page
    problems : list of str
        Console errors and warnings, exceptions, dialogs, requests that left the disk or failed.
    """

    page: Page
    problems: list[str] = field(default_factory=list)

    def watch(self) -> None:
        """Record problems from now on."""
        on: Any = self.page.on
        on("console", lambda message: self._note(message.text, message.type in ("error", "warning")))
        on("pageerror", lambda error: self._note(f"exception: {error}"))
        on("dialog", lambda dialog: self._dismiss(dialog))
        on("requestfailed", lambda request: self._note(f"failed: {request.url}"))
        local = ("file://", "data:", "blob:")
        on("request", lambda request: self._note(f"left the disk: {request.url}", not request.url.startswith(local)))

    def _dismiss(self, dialog: Dialog) -> None:
        self._note("dialog")
        dialog.dismiss()

    def _note(self, problem: str, is_one: bool = True) -> None:
        if is_one:
            self.problems.append(problem)


Open = Callable[..., Opened]


def open_with(browser: Browser, report_folder: Path, *, after: str = "", width: int = 1280, **options: Any) -> Opened:
    """Open the report from disk and wait until it is ready."""
    context = browser.new_context(
        viewport={"width": width, "height": options.pop("height", 800)}, reduced_motion="reduce", **options
    )
    one = Opened(context.new_page())
    one.watch()
    one.page.set_default_timeout(120_000)
    one.page.goto((report_folder / "index.html").as_uri() + after)
    one.page.wait_for_selector("html[data-report=ready]")
    return one


@pytest.fixture
def opened(browser: Browser, report_folder: Path) -> Iterator[Open]:
    """Open the report again; problems fail the test."""
    pages: list[Opened] = []

    def open_page(**options: Any) -> Opened:
        pages.append(open_with(browser, report_folder, **options))
        return pages[-1]

    yield open_page
    for one in pages:
        one.page.context.close()
    assert [problem for one in pages for problem in one.problems] == []


@pytest.fixture(scope="session")
def desktop(browser: Browser, report_folder: Path) -> Opened:
    return open_with(browser, report_folder)


@pytest.fixture
def page(desktop: Opened) -> Iterator[Page]:
    """The report on a desktop, opened once and reset; problems fail the test."""
    page = desktop.page
    page.emulate_media(color_scheme="light")
    page.evaluate(
        """() => {
            const map = msd.map;
            if (map.state.mode === 'lasso') document.getElementById('lasso').click();
            const colours = document.getElementById('colour-by');
            colours.value = 'genre';
            colours.dispatchEvent(new Event('change'));
            document.getElementById('search').value = '';
            document.activeElement.blur();
            map.clearLasso();
            map.show(-1);
            map.reset();
            window.scrollTo({ top: 0, behavior: 'instant' });
        }"""
    )
    desktop.problems.clear()
    yield page
    assert desktop.problems == []
