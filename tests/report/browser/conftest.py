"""One report and one browser for all tests of this folder; they skip without a browser."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Dialog, Page, Request, expect, sync_playwright

from msd_spark.report.draw.files import BROWSERS, find_browser
from msd_spark.report.job import make_report
from msd_spark.report.settings import ReportSettings
from tests.support.report_data import current_report
from tests.support.report_run import RUN, write_report_run

expect.set_options(timeout=60_000)  # a busy machine is slow, not wrong


@pytest.fixture(scope="session")
def report_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report outside its warehouse, in a folder whose name has a space and an accent."""
    warehouse = write_report_run(tmp_path_factory.mktemp("report"))
    make_report(ReportSettings(warehouse.root, RUN, heatmaps=20, show=("TR000015AAAAAAAAAA",)))
    folder = tmp_path_factory.mktemp("elsewhere") / "some whére"
    shutil.copytree(warehouse.path("reports", RUN), folder)
    return folder / current_report(warehouse, RUN).name


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A headless Chromium of the machine."""
    executable = find_browser()
    if executable is None:
        pytest.skip(f"browser: none of {', '.join(BROWSERS)} is installed; apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        yield browser
        browser.close()


@dataclass
class Opened:
    """A report in a browser, and its problems."""

    page: Page
    problems: list[str] = field(default_factory=list)
    """Console errors and warnings, exceptions, dialogs, failed requests, and requests to a network."""

    def watch(self) -> None:
        """Record problems from now on."""
        on: Any = self.page.on
        on("console", self._check_message)
        on("pageerror", lambda error: self.problems.append(f"exception: {error}"))
        on("dialog", self._dismiss)
        on("requestfailed", lambda request: self.problems.append(f"failed: {request.url}"))
        on("request", self._check_address)

    def _check_message(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.problems.append(message.text)

    def _dismiss(self, dialog: Dialog) -> None:
        self.problems.append("dialog")
        dialog.dismiss()

    def _check_address(self, request: Request) -> None:
        if not request.url.startswith(("file://", "data:", "blob:")):
            self.problems.append(f"left the disk: {request.url}")


Open = Callable[..., Opened]


def open_with(browser: Browser, report_folder: Path, *, after: str = "", width: int = 1280, **options: Any) -> Opened:
    """Open the report from disk and wait until it is ready."""
    context = browser.new_context(
        viewport={"width": width, "height": options.pop("height", 800)}, reduced_motion="reduce", **options
    )
    report = Opened(context.new_page())
    report.watch()
    report.page.set_default_timeout(120_000)
    report.page.goto((report_folder / "index.html").as_uri() + after)
    report.page.wait_for_selector("html[data-report=ready]")
    return report


@pytest.fixture
def opened(browser: Browser, report_folder: Path) -> Iterator[Open]:
    """Open the report again; problems fail the test."""
    reports: list[Opened] = []

    def open_report(**options: Any) -> Opened:
        reports.append(open_with(browser, report_folder, **options))
        return reports[-1]

    yield open_report
    for report in reports:
        report.page.context.close()
    assert [problem for report in reports for problem in report.problems] == []


@pytest.fixture(scope="session")
def desktop(browser: Browser, report_folder: Path) -> Opened:
    return open_with(browser, report_folder)


@pytest.fixture
def page(desktop: Opened) -> Iterator[Page]:
    """The report on a desktop, opened once and reset; problems fail the test."""
    page = desktop.page
    page.emulate_media(color_scheme="light")
    page.evaluate(
        """async () => {
            const map = msd.map;
            for (const key of [...map.state.filters.keys()]) await map.filter(key, new Set());
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
