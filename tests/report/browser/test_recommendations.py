"""Recommendations in a browser: for a sampled user, and from selected songs."""

from __future__ import annotations

import numpy as np
from playwright.sync_api import Locator, Page, expect

from msd_spark.factors.mixed import fuse
from msd_spark.report.data.listeners import DEPTH, LENGTH
from tests.support.report_data import restored, unpacked
from tests.support.report_listens import ELSEWHERE, N_USERS, PARAMETERS, UNKNOWN
from tests.support.report_run import AMONG, HOSTILE

NAMES = {"als": "By plays (ALS)", "content": "By content", "mixed": "Mixed"}


def shown(part: Locator, key: str) -> list[int]:
    """Return the rows of a list's songs; -1 for those outside the report."""
    items = part.get_by_role("group", name=NAMES.get(key, "Most played")).locator("li > *")
    expect(items.first).to_be_visible()
    return [int(row or -1) for row in items.evaluate_all("(items) => items.map((item) => item.dataset.row || -1)")]


def expected(page: Page, chosen: list[int]) -> dict[str, list[int]]:
    """Return the lists that NumPy computes from the report's data."""
    content = page.evaluate("msd.load('recommender')")
    (part,) = page.evaluate("msd.load('recommend-vectors-0').then((part) => [part])")
    vectors, known = {}, {}
    for name in ("factors", "directions"):
        vectors[name] = restored(part[name])
        known[name] = np.isfinite(vectors[name]).all(axis=1)
    rated = vectors["factors"][[row for row in chosen if known["factors"][row]]]
    beyond = PARAMETERS.alpha * np.log(1 + 1 / PARAMETERS.epsilon)
    left = unpacked(content["gram"]).reshape(PARAMETERS.rank, -1).astype(float) + beyond * rated.T @ rated
    left += PARAMETERS.regularisation * len(rated) * np.eye(PARAMETERS.rank)
    listener = np.linalg.solve(left, (1 + beyond) * rated.sum(axis=0))
    against = {"factors": listener, "directions": np.nansum(vectors["directions"][chosen], axis=0)}
    lists = []
    for name in ("factors", "directions"):
        scores = np.where(known[name], vectors[name] @ against[name], -np.inf)
        scores[chosen] = -np.inf
        order = np.argsort(-scores, kind="stable")
        lists.append(order[np.isfinite(scores[order])][:DEPTH].tolist())
    mixed = [item for item, _ in fuse(lists, LENGTH)]
    return {"als": lists[0][:LENGTH], "content": lists[1][:LENGTH], "mixed": mixed}


def test_a_user_has_three_lists_beside_the_most_played_songs(page: Page) -> None:
    page.locator("#recommend").scroll_into_view_if_needed()
    part = page.locator("#for-user")
    expect(part.locator("option")).to_have_count(N_USERS)
    data = page.evaluate("msd.load('recommend-users')")
    elsewhere = set()
    for place, user in enumerate(data["users"]):
        part.get_by_label("User").select_option(str(place))
        assert part.locator("option").nth(place).text_content() == f"{user['id']} (8 songs)"
        assert shown(part, "played") == [ref for ref, _ in user["played"]]
        for key in ("als", "content"):
            assert shown(part, key) == [max(ref, -1) for ref in user[key]]
        assert shown(part, "mixed") == [max(ref, -1) for ref, *_ in user["mixed"]]
        elsewhere |= {*part.locator(".elsewhere .name").all_inner_texts()}
    assert elsewhere == {HOSTILE[1], UNKNOWN}
    assert [one[0] for one in sorted(data["others"])] == [ELSEWHERE, UNKNOWN]
    assert page.evaluate("window.hit") is None
    assert part.locator("img, script, b").count() == 0
    first = part.get_by_role("group", name="By content").get_by_role("button").first
    row = int(first.get_attribute("data-row") or -1)
    first.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#song h2")).to_have_text(
        page.evaluate("(row) => msd.songs.load([row]).then(() => msd.songs.title(row))", row)
    )
    expect(page.locator("#song h2")).to_be_in_viewport()


def test_lists_from_songs_are_those_that_numpy_computes(page: Page) -> None:
    page.evaluate("(row) => msd.show(row)", AMONG)
    page.get_by_role("button", name="Recommend from this song").click()
    part = page.locator("#from-songs")
    expect(part).to_be_in_viewport()
    assert {key: shown(part, key) for key in NAMES} == expected(page, [AMONG])
    chosen = [AMONG]
    for title in HOSTILE[1:3]:
        search = part.get_by_role("combobox", name="Add a song")
        search.fill(title)
        expect(part.get_by_role("option")).to_have_count(1)
        search.press("Enter")
        chosen.append(AMONG + HOSTILE.index(title))
        expect(part.get_by_role("button", name="Remove")).to_have_count(len(chosen) + 1)
    assert {key: shown(part, key) for key in NAMES} == expected(page, chosen)
    named = part.get_by_role("list", name="Recommended from").locator("button > span:first-child").all_inner_texts()
    assert named == [HOSTILE[0], HOSTILE[1], HOSTILE[2]]
    known = [row for row in chosen if row % 3 != 2]  # every third song has no factors
    expect(part.locator(".lists > p")).to_have_text(f"{len(known)} of the 3 songs have ALS factors.")
    part.get_by_role("button", name="Remove").nth(0).click()
    expect(part.get_by_role("button", name="Remove")).to_have_count(len(chosen))
    assert {key: shown(part, key) for key in NAMES} == expected(page, chosen[1:])
    assert page.evaluate("window.hit") is None
    assert part.locator("img, script, b").count() == 0
    part.get_by_role("button", name="Remove all").click()
    expect(part.locator(".lists > *")).to_have_count(0)


def test_a_song_without_plays_has_content_only_and_a_lasso_adds_all_its_songs(page: Page) -> None:
    page.evaluate("msd.show(2)")
    page.get_by_role("button", name="Recommend from this song").click()
    part = page.locator("#from-songs")
    expect(part.get_by_role("group", name=NAMES["als"])).to_contain_text("these songs have no ALS factors")
    assert shown(part, "mixed") == shown(part, "content")
    part.get_by_role("button", name="Remove all").click()
    page.evaluate(
        """() => {
            const { width, height } = document.getElementById('map').getBoundingClientRect();
            msd.map.state.lasso = [[0, 0], [width / 2, 0], [width / 2, height], [0, height]];
            msd.map.endLasso();
        }"""
    )
    rows = page.evaluate("Array.from(msd.map.state.lassoed)")
    page.get_by_role("button", name="Recommend from these").click()
    expect(part.get_by_role("list", name="Recommended from")).to_contain_text(f"and {len(rows) - 30} more")
    assert {key: shown(part, key) for key in NAMES} == expected(page, rows)
    part.get_by_role("button", name="Remove all").click()
