"""Reports of 1,000 and 50,000 songs: several files, points and density, filters, labels, and links to a view."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

from msd_spark.core.warehouse import Warehouse
from msd_spark.report.data.details import CHUNK
from msd_spark.report.job import make_report
from msd_spark.report.settings import ReportSettings
from tests.report.browser.conftest import Opened, open_with
from tests.report.browser.test_map import name_of, neighbours_of, options_of, until
from tests.support.large_report import RUN, write_large_run
from tests.support.report_data import current_report

SIZES = (1_000, 50_000)


@pytest.fixture(scope="module", params=SIZES, ids="{:,} songs".format)
def large(
    request: pytest.FixtureRequest, browser: Browser, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Opened]:
    """A report of a size, opened once; problems fail the last test."""
    warehouse = Warehouse(str(tmp_path_factory.mktemp("large")))
    write_large_run(warehouse, request.param)
    make_report(ReportSettings(warehouse.root, RUN, heatmaps=0))
    report = open_with(browser, current_report(warehouse, RUN))
    yield report
    report.page.context.close()
    assert report.problems == []


@pytest.fixture
def page(large: Opened) -> Page:
    """The report without filters, showing the whole map."""
    large.page.evaluate(
        """async () => {
            for (const key of [...msd.map.state.filters.keys()]) await msd.map.filter(key, new Set());
            await msd.map.colourBy('genre');
            msd.map.reset();
        }"""
    )
    return large.page


def size_of(page: Page) -> int:
    return int(page.evaluate("msd.songs.n"))


def test_a_song_in_any_file_is_searched_opened_and_has_its_neighbours(page: Page) -> None:
    n = size_of(page)
    row = n - 1  # of the last file
    title, artist, track = (name_of(page, row, part) for part in ("title", "artist", "id"))
    page.fill("#search", track.lower())
    expect(options_of(page)).to_have_count(1)
    page.keyboard.press("Enter")
    expect(page.locator("#song h2")).to_have_text(title)
    expect(page.locator("#song .artist")).to_have_text(artist)
    expect(page.locator("#song dl")).to_contain_text(track)
    near = neighbours_of(page, row)
    expect(page.locator("#song .neighbours button")).to_have_count(len(near))
    assert len({other // CHUNK for other in near}) == 1 or n > CHUNK
    for place, other in enumerate(near):
        expect(page.locator("#song .neighbours button").nth(place)).to_contain_text(name_of(page, other))


def test_the_search_counts_all_matches_and_lists_the_most_played_of_the_best_first(page: Page) -> None:
    n = size_of(page)
    everything = "Promise.all([msd.songs.load(Array(msd.songs.n).keys()), msd.songs.loadTraits()])"
    page.evaluate(f"{everything}.then(() => 0)")
    names = page.evaluate("Array.from(Array(msd.songs.n), (_, row) => [msd.songs.title(row), msd.songs.artist(row)])")
    deciles = page.evaluate("Array.from(msd.songs.trait('popularity').codes)")
    word = names[n // 2][0].split()[0].lower()
    accents = str.maketrans("éüøãõ", "euoao")

    def fold(text: str) -> str:
        return text.lower().translate(accents)

    needle = fold(word)
    matches = {}
    for row, (title, artist) in enumerate(names):
        texts = [fold(title), fold(artist)]
        if any(needle in text for text in texts):
            starts = any(part.startswith(needle) for text in texts for part in text.split())
            start = any(text.startswith(needle) for text in texts)
            matches[row] = 0 if needle in texts else 1 if start else 2 if starts else 3
    ordered = sorted(matches, key=lambda row: (matches[row], -deciles[row], row))
    found = page.evaluate("(text) => msd.search.find(text)", word.upper())
    assert found == {"rows": ordered[:12], "all": len(matches)}


def test_many_songs_are_painted_as_density_and_few_as_points(page: Page) -> None:
    assert page.evaluate("msd.map.paint(); msd.map.state.radius") > 0
    if size_of(page) == SIZES[0]:
        return
    # Pixels of the same songs, as points and as density: both cover the same places in the same colours.
    painted = page.evaluate(
        """() => {
            const canvas = document.getElementById('map'), { songs } = msd, trait = songs.trait('genre');
            const other = document.createElement('canvas');
            [other.width, other.height] = [canvas.width, canvas.height];
            const painter = msd.points.painter(other, songs.x, songs.y);
            painter.size(other.width, other.height, 12);
            const { left, right, bottom, top } = songs.bounds;
            const scale = Math.min(other.width / (right - left), other.height / (top - bottom));
            const passing = trait.codes.map((code) => (code === 3 ? 1 : 0));
            const style = { codes: trait.codes, looks: trait.looks, shown: passing, only: null };
            Object.assign(style, { paper: '#ffffff', line: '#dddddd' });
            return [0, 1].map((radius) => {
                const context = painter.paint([0, songs.n], style, { x0: left, y0: top, scale }, radius);
                const { data } = context.getImageData(0, 0, other.width, other.height);
                const sums = { coloured: 0, x: 0, y: 0 };
                for (let at = 0; at < data.length; at += 4) {
                    const colour = [data[at], data[at + 1], data[at + 2]];
                    if (Math.max(...colour) - Math.min(...colour) < 30) continue;
                    sums.coloured += 1;
                    sums.x += (at / 4) % other.width;
                    sums.y += Math.floor(at / 4 / other.width);
                }
                return [sums.x / sums.coloured, sums.y / sums.coloured, sums.coloured];
            });
        }"""
    )
    (x, y, coloured), (px, py, pixels) = painted
    assert 500 < coloured <= pixels
    assert (x, y) == pytest.approx((px, py), abs=6)


def test_filters_of_several_traits_combine_and_only_their_songs_are_found_on_the_map(page: Page) -> None:
    page.evaluate("msd.songs.loadTraits().then(() => 0)")
    codes = {
        key: np.array(page.evaluate(f"Array.from(msd.songs.trait('{key}').codes)"))
        for key in ("genre", "decade", "year")
    }
    legend = page.locator("#legend button")
    legend.nth(1).click()
    legend.nth(2).click()
    passing = np.isin(codes["genre"], [1, 2])
    status = page.locator("#filters [role=status]")
    expect(status).to_have_text(f"{passing.sum():,} of {len(passing):,} songs")
    page.select_option("#colour-by", "decade")
    expect(legend.first).to_contain_text("1950s")
    legend.nth(3).click()
    passing &= codes["decade"] == 3
    expect(status).to_have_text(f"{passing.sum():,} of {len(passing):,} songs")
    page.get_by_label("year from").fill("1985")
    page.get_by_label("year from").press("Enter")
    names = page.evaluate("msd.songs.trait('year').names")
    passing &= np.array([int(name) >= 1985 for name in names])[codes["year"]]
    expect(status).to_have_text(f"{passing.sum():,} of {len(passing):,} songs")
    assert page.evaluate("Array.from(msd.map.state.passing)") == passing.astype(int).tolist()
    hidden = int(np.flatnonzero(~passing)[0])
    assert page.evaluate("(row) => msd.map.at(...msd.map.toPixels(row))", hidden) != hidden
    for left in (2, 1, 0):
        page.locator("#filters .chips button").first.click()
        expect(page.locator("#filters .chips button")).to_have_count(left)
    expect(status).to_have_text("")
    assert page.evaluate("msd.map.state.passing") is None


def test_labels_are_those_of_the_regions_in_view_and_follow_the_zoom(page: Page) -> None:
    page.evaluate("msd.map.paint()")
    whole = page.evaluate("msd.map.state.labelled")
    assert len(whole) > 2
    assert len(set(whole)) > 2
    # At the mean place of a genre's songs, most of the labels near are of that genre or of its artists.
    genre = page.evaluate("msd.songs.trait('genre').names[4]")
    page.evaluate(
        """() => {
            const { codes } = msd.songs.trait('genre');
            const rows = Array.from(codes.keys()).filter((row) => codes[row] === 4);
            const mean = (values) => rows.reduce((sum, row) => sum + values[row], 0) / rows.length;
            msd.map.setView({ x: mean(msd.songs.x), y: mean(msd.songs.y), zoom: 3 });
            msd.map.paint();
        }"""
    )
    near = page.evaluate("msd.map.state.labelled")
    assert near != whole
    assert genre in near


def test_a_link_opens_the_same_view_with_song_colours_and_filters(browser: Browser, page: Page) -> None:
    page.evaluate("msd.songs.load([7]).then(() => msd.show(7))")
    title = name_of(page, 7)
    expect(page.locator("#song h2")).to_have_text(title)
    page.select_option("#colour-by", "predicted")
    page.evaluate("msd.map.filter('genre', new Set([2, 5]))")
    page.evaluate("msd.map.filter('year', new Set([10, 11, 12]))")
    page.evaluate("msd.map.zoom(2.5, 200, 150)")
    until(page, "location.hash.includes('zoom=2.5') && location.hash.includes('year=1960-1962')", True)
    expected = page.evaluate("[msd.map.getView(), Array.from(msd.map.state.passing)]")
    address = page.url.split("#")[1]
    assert "song=TR" in address
    assert "colour=predicted" in address
    assert "genre=Genre+02&genre=Genre+05" in address
    again = open_with(browser, Path(page.evaluate("decodeURIComponent(location.pathname)")).parent, after=f"#{address}")
    expect(again.page.locator("#song h2")).to_have_text(title)
    expect(again.page.locator("#colour-by")).to_have_value("predicted")
    view, passing = again.page.evaluate("[msd.map.getView(), Array.from(msd.map.state.passing)]")
    assert passing == expected[1]
    assert view["zoom"] == pytest.approx(expected[0]["zoom"], rel=1e-3)
    assert (view["x"], view["y"]) == pytest.approx((expected[0]["x"], expected[0]["y"]), abs=0.01)
    again.page.evaluate("location.hash = '#colour=decade&genre=No+such&zoom=x'")
    expect(again.page.locator("#colour-by")).to_have_value("decade")
    until(again.page, "msd.map.state.filters.size", 0)
    assert again.problems == []
    again.page.context.close()
