"""The report from disk in a browser, by mouse and by keyboard."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Locator, Page, expect

from tests.report.browser.conftest import Open, open_with
from tests.support.report_run import AMONG, HOSTILE, SPELT

ROW = AMONG + len(HOSTILE)
"""The song of `SPELT`."""


def scroll_through(page: Page) -> None:
    """Scroll through the report, so that every chart is drawn."""
    boxes = page.locator("[data-chart]")
    for place in range(boxes.count()):
        boxes.nth(place).scroll_into_view_if_needed()
        expect(boxes.nth(place).locator(".main-svg").first).to_be_visible()


def neighbours_of(page: Page, row: int) -> list[int]:
    """Return the rows of a song's neighbours in the report's data."""
    pairs: list[list[Any]] = page.evaluate("(row) => msd.songs.details(row).then(({ neighbours }) => neighbours)", row)
    return [neighbour for neighbour, _ in pairs]


def name_of(page: Page, row: int, part: str = "title") -> str:
    """Return the title, artist or id of a song."""
    return str(page.evaluate("([row, part]) => msd.songs.load([row]).then(() => msd.songs[part](row))", [row, part]))


def place_of(page: Page, row: int) -> tuple[float, float]:
    """Return the position of a song on the screen."""
    page.locator("#map").scroll_into_view_if_needed()
    box = page.locator("#map").bounding_box()
    assert box is not None
    x, y = page.evaluate("(row) => msd.map.toPixels(row)", row)
    return box["x"] + x, box["y"] + y


def options_of(page: Page) -> Locator:
    """Return the suggestions of the search."""
    return page.get_by_role("listbox", name="Songs found").get_by_role("option")


def lonely_row(page: Page) -> int:
    """Return the song with the greatest distance to all others on the screen."""
    return int(
        page.evaluate(
            """() => {
                const all = Array.from({length: msd.songs.n}, (_, row) => msd.map.toPixels(row));
                const room = all.map(([x, y], row) =>
                    Math.min(...all.map(([a, b], other) => (other === row ? Infinity : Math.hypot(a - x, b - y)))));
                return room.indexOf(Math.max(...room));
            }"""
        )
    )


def until(page: Page, script: str, value: object) -> None:
    """Wait for the value of a script; Playwright's own way needs eval, which the report forbids."""
    for _ in range(600):
        if page.evaluate(script) == value:
            return
        page.wait_for_timeout(100)
    raise AssertionError(f"{script} is {page.evaluate(script)}, not {value}")


def test_every_chart_is_drawn_without_problems_or_network(page: Page, report_folder: Path) -> None:
    scroll_through(page)
    names = page.locator("[data-chart]").evaluate_all("(boxes) => boxes.map((box) => box.dataset.chart)")
    assert {"results", "calibration", "confusion_counts", "confusion_shares", "precision_recall"} <= set(names)
    assert {"training_loss", "training_metrics", "genres_train", "genres_by_split", "funnel"} <= set(names)
    expect(page.locator("svg.diagram rect")).to_have_count(6)
    for link in page.locator("main a[href]").evaluate_all("(links) => links.map((a) => a.getAttribute('href'))"):
        assert link.startswith("#") or (report_folder / link).is_file(), link
    assert "maps/tiny is missing (run msd-spark maps)" in page.locator("#map-note").inner_text()
    assert "Embedding quality: neighbours/tiny/_quality.json is missing" in page.locator("#files").inner_text()
    summary = page.locator("#summary")
    expect(summary).to_contain_text("120 songs")
    expect(summary).to_contain_text("cnn (inputs: both), target: genre, 1,234 parameters, 3 epochs")
    expect(summary.get_by_role("row", name="test model")).to_contain_text(".750 [.500, .875]")
    expect(summary.get_by_role("row", name="test majority")).to_contain_text(".250")


def test_charts_and_the_map_are_saved_as_files(opened: Open) -> None:
    page = opened().page
    figure = page.locator("figure", has=page.locator('[data-chart="confusion_counts"]'))
    figure.scroll_into_view_if_needed()
    for label, name, start in (("SVG", "confusion_counts.svg", b"<svg"), ("PNG", "confusion_counts.png", b"\x89PNG")):
        with page.expect_download() as download:
            figure.get_by_role("button", name=f"Save as {label}").click()
        assert download.value.suggested_filename == name
        assert Path(download.value.path()).read_bytes().startswith(start)
    with page.expect_download() as download:
        page.get_by_role("button", name="Save the map as PNG").click()
    assert Path(download.value.path()).read_bytes().startswith(b"\x89PNG")


def test_search_finds_a_song_by_its_ascii_spelling_and_shows_its_neighbours_by_keyboard_alone(page: Page) -> None:
    page.locator("body").press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    search = page.get_by_role("combobox", name="Search by title or artist")
    search.focus()
    page.keyboard.type("AGAETIS hoppipolla thyding sigur")
    options = options_of(page)
    expect(options).to_have_count(1)
    expect(search).to_have_attribute("aria-expanded", "true")
    page.keyboard.press("ArrowDown")
    expect(search).to_have_attribute("aria-activedescendant", "found-0")
    expect(options.first).to_have_attribute("aria-selected", "true")
    page.keyboard.press("Enter")
    expect(page.locator("#song h2")).to_have_text(SPELT[1])
    expect(page.locator("#song .artist")).to_have_text(SPELT[0])
    expect(options).to_have_count(0)
    shown = page.locator("#song .neighbours button")
    expect(shown).to_have_count(10)
    rows = shown.evaluate_all("(buttons) => buttons.map((button) => Number(button.dataset.row))")
    assert rows == neighbours_of(page, ROW)
    expect(page.locator("#song .heat .main-svg").first).to_be_visible()  # --show has it
    shown.nth(2).focus()
    page.keyboard.press("Enter")
    expect(page.locator("#song dl")).to_contain_text(name_of(page, rows[2], "id"))


def test_search_counts_matches_and_clears_on_escape(page: Page) -> None:
    search = page.locator("#search")
    search.fill("title 1")
    expect(page.locator("#search-status")).to_contain_text("of")
    assert options_of(page).count() == 12
    search.fill("no such song")
    expect(page.locator("#search-status")).to_have_text("no songs")
    search.fill("tr000007aaaaaaaaaa")
    expect(options_of(page)).to_have_count(1)
    page.keyboard.press("Escape")
    expect(options_of(page)).to_have_count(0)


def test_a_click_on_the_map_shows_the_song_and_its_address_opens_it_again(page: Page, opened: Open) -> None:
    row = lonely_row(page)
    x, y = place_of(page, row)
    page.mouse.move(x, y)
    title = name_of(page, row)
    expect(page.locator("#tip strong")).to_have_text(title)
    page.mouse.click(x, y)
    expect(page.locator("#song h2")).to_have_text(title)
    assert page.evaluate("msd.map.state.neighbours") == neighbours_of(page, row)
    address = page.evaluate("location.hash")
    again = opened(after=address).page
    expect(again.locator("#song h2")).to_have_text(title)


def test_the_page_of_the_run_opens_the_song_in_the_current_report(browser: Browser, report_folder: Path) -> None:
    report = open_with(browser, report_folder.parent, after="#song=TR000007AAAAAAAAAA")
    assert report.page.url == (report_folder / "index.html").as_uri() + "#song=TR000007AAAAAAAAAA"
    expect(report.page.locator("#song h2")).to_have_text("Title 7")
    assert report.problems == []
    report.page.context.close()


def test_the_map_pans_and_songs_are_selected_by_keyboard(page: Page) -> None:
    canvas = page.locator("#map")
    canvas.focus()
    before = page.evaluate("msd.map.toPixels(0)")
    page.keyboard.press("ArrowRight")
    assert page.evaluate("msd.map.toPixels(0)")[0] == before[0] - 60
    page.keyboard.press("+")
    page.keyboard.press("0")
    assert page.evaluate("msd.map.toPixels(0)") == before
    row, box = lonely_row(page), canvas.bounding_box()
    assert box is not None
    x, y = page.evaluate("(row) => msd.map.toPixels(row)", row)
    page.evaluate("([x, y]) => msd.map.pan(x, y)", [box["width"] / 2 - x, box["height"] / 2 - y])
    canvas.press("Enter")
    expect(page.locator("#song h2")).to_have_text(name_of(page, row))


def test_the_wheel_zooms_at_the_pointer_and_dragging_pans(page: Page) -> None:
    x, y = place_of(page, 5)
    page.mouse.move(x, y)
    page.mouse.wheel(0, -200)
    after = place_of(page, 5)
    assert abs(after[0] - x) < 1
    assert abs(after[1] - y) < 1
    apart = """() => {
        const [a, b] = [msd.map.toPixels(5), msd.map.toPixels(6)];
        return Math.hypot(a[0] - b[0], a[1] - b[1]);
    }"""
    wide = page.evaluate(apart)
    page.mouse.down()
    page.mouse.move(x + 50, y + 30, steps=4)
    page.mouse.up()
    moved = place_of(page, 5)
    assert abs(moved[0] - after[0] - 50) <= 1
    assert abs(moved[1] - after[1] - 30) <= 1
    page.locator("#zoom-reset").click()
    assert page.evaluate(apart) < wide


def test_a_lasso_selects_songs_to_save(page: Page) -> None:
    page.get_by_role("button", name="Lasso").click()
    box = page.locator("#map").bounding_box()
    assert box is not None
    corners = [(2, 2), (box["width"] - 60, 2), (box["width"] - 60, box["height"] - 3), (2, box["height"] - 3)]
    page.mouse.move(box["x"] + 2, box["y"] + 2)
    page.mouse.down()
    for x, y in [*corners, corners[0]]:
        page.mouse.move(box["x"] + x, box["y"] + y, steps=5)
    page.mouse.up()
    inside = page.evaluate(
        "([w, h]) => Array.from({length: msd.songs.n}, (_, i) => msd.map.toPixels(i))"
        ".filter(([x, y]) => x > 2 && x < w - 60 && y > 2 && y < h - 3).length",
        [box["width"], box["height"]],
    )
    expect(page.locator("#lassoed h3")).to_have_text(f"{inside} songs in the lasso")
    with page.expect_download() as download:
        page.get_by_role("button", name="Save as CSV").click()
    lines = Path(download.value.path()).read_text("utf-8-sig").splitlines()
    assert lines[0].startswith('"track_id","artist","title"')
    assert sum(line.startswith('"TR') for line in lines) == inside
    page.get_by_role("button", name="Clear").click()
    expect(page.locator("#lassoed")).to_be_hidden()


def test_the_map_is_coloured_by_another_trait_and_a_group_is_isolated(page: Page) -> None:
    options = page.locator("#colour-by option").evaluate_all("(options) => options.map((option) => option.value)")
    assert options == ["genre", "predicted", "artist", "decade", "language", "split"]  # no popularity without its table
    page.select_option("#colour-by", "decade")
    names = page.locator("#legend button span:first-of-type").all_inner_texts()
    assert names == sorted(names)
    button = page.locator("#legend button").first
    button.focus()
    page.keyboard.press("Enter")
    expect(button).to_have_attribute("aria-pressed", "true")
    assert page.evaluate("[...msd.map.state.filters.get('decade')]") == [0]
    page.keyboard.press("Enter")
    expect(button).to_have_attribute("aria-pressed", "false")
    assert page.evaluate("msd.map.state.filters.size") == 0


def test_a_print_has_every_chart_in_dark_on_white_without_scrolling(opened: Open) -> None:
    page = opened(color_scheme="dark").page
    page.evaluate("msd.run('assets/plotly.min.js')")
    content = page.pdf()
    boxes = page.locator("[data-chart]")
    assert boxes.count() > 8
    expect(page.locator("[data-chart] .main-svg:first-of-type")).to_have_count(boxes.count())
    # Plotly's texts are in the file; those of charts below the screen were not drawn before.
    assert content.startswith(b"%PDF")
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    fill = "getComputedStyle(document.querySelector('[data-chart] .xtick text')).fill"
    assert page.evaluate(fill) == "rgb(28, 28, 26)"
    page.evaluate("window.dispatchEvent(new Event('afterprint'))")
    until(page, fill, "rgb(236, 236, 234)")


def test_hostile_names_are_shown_literally(page: Page) -> None:
    for place, title in enumerate(HOSTILE):
        page.evaluate("(row) => msd.show(row)", AMONG + place)
        expect(page.locator("#song .neighbours button")).to_have_count(10)
        assert page.locator("#song h2").text_content() == title
        assert page.locator("#song .artist").text_content() == title
        page.evaluate("([row]) => msd.map.hover(...msd.map.toPixels(row))", [AMONG + place])
    page.fill("#search", "window.hit")
    assert options_of(page).count() >= 3
    page.select_option("#colour-by", "artist")
    scroll_through(page)
    cell = page.locator("#rejected td").nth(4)
    assert cell.text_content() == HOSTILE[1]
    assert page.evaluate("window.hit") is None
    assert page.locator("main img, #song b, #song i, main script").count() == 0


def test_dark_mode_changes_background_text_and_charts(page: Page) -> None:
    page.locator('[data-chart="training_loss"]').scroll_into_view_if_needed()
    label = page.locator('[data-chart="training_loss"] .xtick text').first
    corner = "(() => Array.from(document.querySelector('#map').getContext('2d').getImageData(1, 1, 1, 1).data))()"

    def look() -> tuple[str, str, list[int]]:
        ink = label.evaluate("(tick) => getComputedStyle(tick).fill")
        return page.evaluate("getComputedStyle(document.body).backgroundColor"), ink, page.evaluate(corner)

    expect(label).to_be_visible()
    light = look()
    assert light == ("rgb(255, 255, 255)", "rgb(28, 28, 26)", [255, 255, 255, 255])
    page.emulate_media(color_scheme="dark")
    tick = "document.querySelector('[data-chart=training_loss] .xtick text')"
    until(page, f"getComputedStyle({tick}).fill", "rgb(236, 236, 234)")
    until(page, f"{corner}[0]", 22)
    assert look() == ("rgb(22, 23, 26)", "rgb(236, 236, 234)", [22, 23, 26, 255])


def test_a_missing_data_file_is_named(browser: Browser, report_folder: Path, tmp_path: Path) -> None:
    incomplete = shutil.copytree(report_folder, tmp_path / "incomplete")
    for path in incomplete.glob("data/heatmap-*.js"):
        path.unlink()
    report = open_with(browser, incomplete)
    report.page.evaluate("msd.load('report').then(({ heatmaps }) => msd.show(heatmaps[0]))")
    expect(report.page.locator("#song [role=alert]")).to_contain_text("copy the whole folder of the report")
    assert not [problem for problem in report.problems if problem.startswith("exception")]
    report.page.context.close()


def test_on_a_phone_nothing_is_wider_than_the_screen(opened: Open) -> None:
    page = opened(width=390, height=844, has_touch=True, is_mobile=True, device_scale_factor=2).page
    page.evaluate("msd.show(15)")
    expect(page.locator("#song .neighbours button")).to_have_count(10)
    expect(page.locator("#to-song a")).to_contain_text(SPELT[0])
    scroll_through(page)
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    row = lonely_row(page)
    page.locator("#map").scroll_into_view_if_needed()
    page.touchscreen.tap(*place_of(page, row))
    expect(page.locator("#song h2")).to_have_text(name_of(page, row))
