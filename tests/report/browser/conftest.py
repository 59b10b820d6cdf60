"""One page and one browser for all tests of this folder. Without a browser on the machine they skip, and say so."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Dialog, Page, expect, sync_playwright

from msd_spark.report.job import make_report
from msd_spark.report.settings import ReportSettings
from tests.support.report_run import RUN, write_report_run

expect.set_options(timeout=60_000)  # a busy machine is slow, not wrong

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@pytest.fixture(scope="session")
def page_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a page, away from its warehouse, in a folder whose name has a space and an accent."""
    warehouse = write_report_run(tmp_path_factory.mktemp("page"))
    make_report(ReportSettings(warehouse.root, RUN, heatmaps=20, show=("TR000015AAAAAAAAAA",)))
    folder = tmp_path_factory.mktemp("elsewhere") / "some whére"
    shutil.copytree(warehouse.path("reports", RUN), folder)
    return folder


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A headless Chromium of the machine."""
    found = next(filter(None, map(shutil.which, (os.environ.get("MSD_SPARK_BROWSER", ""), *BROWSERS))), None)
    if found is None:
        pytest.skip(f"no browser on this machine ({', '.join(BROWSERS)}); apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()


@dataclass
class Opened:
    """A page in a browser, and what it did that it should not.

    Attributes
    ----------
    page : Page
    complaints : list of str
        Console errors and warnings, exceptions, dialogs, requests that left the disk or failed.
    """

    page: Page
    complaints: list[str] = field(default_factory=list)

    def watch(self) -> None:
        """Note from now on what goes wrong."""
        on: Any = self.page.on
        on("console", lambda said: self._note(said.text, said.type in ("error", "warning")))
        on("pageerror", lambda error: self._note(f"exception: {error}"))
        on("dialog", lambda dialog: self._dismiss(dialog))
        on("requestfailed", lambda request: self._note(f"failed: {request.url}"))
        local = ("file://", "data:", "blob:")
        on("request", lambda request: self._note(f"left the disk: {request.url}", not request.url.startswith(local)))

    def _dismiss(self, dialog: Dialog) -> None:
        self._note("dialog")
        dialog.dismiss()

    def _note(self, complaint: str, is_one: bool = True) -> None:
        if is_one:
            self.complaints.append(complaint)


Open = Callable[..., Opened]


def open_with(browser: Browser, page_folder: Path, *, after: str = "", width: int = 1280, **options: Any) -> Opened:
    """Open the page from disk and wait until it is ready."""
    context = browser.new_context(
        viewport={"width": width, "height": options.pop("height", 800)}, reduced_motion="reduce", **options
    )
    one = Opened(context.new_page())
    one.watch()
    one.page.set_default_timeout(120_000)
    one.page.goto((page_folder / "index.html").as_uri() + after)
    one.page.wait_for_selector("html[data-page=ready]")
    return one


@pytest.fixture
def opened(browser: Browser, page_folder: Path) -> Iterator[Open]:
    """Opens the page anew; what went wrong by the end of the test fails it."""
    pages: list[Opened] = []

    def open_page(**options: Any) -> Opened:
        pages.append(open_with(browser, page_folder, **options))
        return pages[-1]

    yield open_page
    for one in pages:
        one.page.context.close()
    assert [complaint for one in pages for complaint in one.complaints] == []


@pytest.fixture(scope="session")
def desktop(browser: Browser, page_folder: Path) -> Opened:
    return open_with(browser, page_folder)


@pytest.fixture
def page(desktop: Opened) -> Iterator[Page]:
    """The page on a desktop, opened once; as it is when nobody has touched it. Complaints fail the test."""
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
    desktop.complaints.clear()
    yield page
    assert desktop.complaints == []
