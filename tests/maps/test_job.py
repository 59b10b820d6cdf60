"""Maps without Spark: the sample, placing, and what stays where it is."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from msd_spark.core.errors import UserError
from msd_spark.core.schemas import EMBEDDINGS, MAPS
from msd_spark.core.summary import Summary
from msd_spark.core.warehouse import Warehouse
from msd_spark.maps.job import make_map
from msd_spark.maps.kept import KeptMap
from msd_spark.maps.sample import FEWEST_OF_A_STRATUM, shares, stratified_sample
from msd_spark.maps.settings import Layout, MapSettings
from msd_spark.maps.tsne import GREATEST_STEP, ITERATIONS, TsnePlacer, fit_tsne
from tests.support.embedded_songs import write_embedded_songs

SONGS, SAMPLE = 200, 80


def read_map(warehouse: Warehouse, run: str = "tiny") -> dict[str, tuple[float, float, bool]]:
    table = pq.read_table(warehouse.path("maps", run), filesystem=warehouse.filesystem)
    assert table.schema.equals(MAPS)
    rows = table.to_pylist()
    assert [row["track_id"] for row in rows] == sorted(row["track_id"] for row in rows)
    return {row["track_id"]: (row["x"], row["y"], row["fitted"]) for row in rows}


def embeddings(warehouse: Warehouse) -> pa.Table:
    return pq.read_table(warehouse.path("embeddings", "tiny"), partitioning=None).sort_by("track_id")


def with_vectors(table: pa.Table, vectors: list[np.ndarray | None]) -> pa.Table:
    """Return embeddings with other vectors; a null one is against the schema, as a foreign tool might write it."""
    place = table.schema.get_field_index("embedding")
    column = pa.array([None if vector is None else vector.tolist() for vector in vectors], pa.list_(pa.float32()))
    return table.set_column(place, "embedding", column)


def run(warehouse: Warehouse, **settings: object) -> Summary:
    return make_map(MapSettings(warehouse.root, "tiny", **{"sample": SAMPLE, **settings}))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    return write_embedded_songs(tmp_path_factory.mktemp("maps"), n=SONGS)


@pytest.fixture(scope="module")
def mapped(everything: Warehouse) -> tuple[Warehouse, Summary]:
    return everything, run(everything, perplexity=15.0)


@pytest.fixture
def growing(mapped: tuple[Warehouse, Summary], tmp_path: Path) -> tuple[Warehouse, pa.Table]:
    """The map of the first 160 songs alone, placed as on the whole map, and the embeddings of all."""
    whole = embeddings(mapped[0])
    warehouse = Warehouse(str(tmp_path))
    warehouse.write_arrow(whole.slice(0, 160), "embeddings", "tiny")
    run(warehouse, perplexity=15.0)
    return warehouse, whole


def test_every_song_has_a_place_and_the_sample_is_marked(mapped: tuple[Warehouse, Summary]) -> None:
    warehouse, summary = mapped
    places = read_map(warehouse)
    assert len(places) == SONGS
    assert sum(fitted for _, _, fitted in places.values()) == SAMPLE
    facts = summary.facts
    assert (facts["songs"], facts["made of"], facts["placed now"], facts["map"]) == (SONGS, SAMPLE, 120, "new")


def test_songs_lie_among_their_genre_whether_fitted_or_placed(mapped: tuple[Warehouse, Summary]) -> None:
    warehouse, _ = mapped
    places = read_map(warehouse)
    genre = np.array(embeddings(warehouse)["predicted_genre"].to_pylist())
    xy = np.array([place[:2] for place in places.values()])
    fitted = np.array([place[2] for place in places.values()])
    distances = np.linalg.norm(xy[:, None] - xy[fitted][None], axis=2)
    distances[np.flatnonzero(fitted), np.arange(fitted.sum())] = np.inf
    same = genre == genre[fitted][distances.argmin(axis=1)]
    # Four clusters that the generator parts widely; by chance one in four would agree.
    assert same[fitted].mean() > 0.95
    assert same[~fitted].mean() > 0.95


def test_new_songs_are_placed_and_the_others_stay(growing: tuple[Warehouse, pa.Table]) -> None:
    warehouse, whole = growing
    before = read_map(warehouse)
    warehouse.write_arrow(whole.slice(0, 180), "embeddings", "tiny")
    first = run(warehouse)
    warehouse.write_arrow(whole, "embeddings", "tiny")
    run(warehouse, block=3)
    after = read_map(warehouse)
    assert {track: after[track] for track in before} == before
    assert (first.facts["map"], first.facts["stayed"], first.facts["placed now"]) == ("kept", 160, 20)
    assert len(after) == SONGS
    # Twenty and twenty one by one come to lie where forty at a time do.
    warehouse.write_arrow(whole.slice(0, 160), "embeddings", "tiny")
    assert run(warehouse).facts["gone"] == 40
    assert read_map(warehouse) == before
    warehouse.write_arrow(whole, "embeddings", "tiny")
    run(warehouse)
    assert read_map(warehouse) == after


def test_with_nothing_new_the_map_is_not_touched(mapped: tuple[Warehouse, Summary]) -> None:
    warehouse, _ = mapped
    marker = Path(warehouse.path("maps", "tiny", "_SUCCESS")).stat().st_mtime_ns
    facts = run(warehouse).facts
    assert (facts["map"], facts["stayed"], facts["placed now"]) == ("kept", SONGS, 0)
    assert Path(warehouse.path("maps", "tiny", "_SUCCESS")).stat().st_mtime_ns == marker


def test_the_same_songs_and_seed_give_the_same_bytes(
    growing: tuple[Warehouse, pa.Table], mapped: tuple[Warehouse, Summary]
) -> None:
    warehouse, whole = growing
    warehouse.write_arrow(whole, "embeddings", "tiny")
    run(warehouse, perplexity=15.0, refit=True)
    for name in ("part-0.parquet", "_fitted.parquet", "_vectors.parquet", "_map.json"):
        files = [Path(one.path("maps", "tiny", name)).read_bytes() for one in (warehouse, mapped[0])]
        assert files[0] == files[1], name


def test_a_song_whose_embedding_turned_is_placed_anew(growing: tuple[Warehouse, pa.Table]) -> None:
    warehouse, whole = growing
    table = whole.slice(0, 160)
    before = read_map(warehouse)
    ids = table["track_id"].to_pylist()
    vectors = [np.array(vector, np.float32) for vector in table["embedding"].to_pylist()]
    genre = table["predicted_genre"].to_pylist()
    other = next(place for place, name in enumerate(genre) if name != genre[0])
    turned = [vectors[other], *vectors[1:]]
    turned[5] = vectors[5] * np.float32(1.0001)  # longer, the same direction
    warehouse.write_arrow(with_vectors(table, [*turned]), "embeddings", "tiny")
    facts = run(warehouse).facts
    assert (facts["placed now"], facts["placed now, embedding turned"]) == (1, 1)
    after = read_map(warehouse)
    assert [track for track in ids if after[track] != before[track]] == [ids[0]]
    assert not after[ids[0]][2]
    near, was = (np.linalg.norm(np.subtract(after[ids[0]][:2], at[ids[other]][:2])) for at in (after, before))
    assert near == was < np.linalg.norm(np.subtract(after[ids[0]][:2], before[ids[0]][:2]))


def test_other_embeddings_get_a_new_map(growing: tuple[Warehouse, pa.Table]) -> None:
    warehouse, whole = growing
    vectors = [-np.array(vector, np.float32)[::-1] for vector in whole["embedding"].to_pylist()]
    warehouse.write_arrow(with_vectors(whole, [*vectors]), "embeddings", "tiny")
    facts = run(warehouse).facts
    assert facts["map"] == "new, as the embeddings are others"
    assert facts["perplexity"] == 15.0  # as it was asked for the first time
    assert len(read_map(warehouse)) == SONGS


def test_a_map_made_otherwise_is_not_changed_unasked(mapped: tuple[Warehouse, Summary]) -> None:
    with pytest.raises(UserError, match=r"maps/tiny was made with sample 80, not 50; .* \(--refit\)"):
        run(mapped[0], sample=50)


def test_what_is_kept_is_checked(growing: tuple[Warehouse, pa.Table]) -> None:
    warehouse, _ = growing
    path = Path(warehouse.path("maps", "tiny", "_map.json"))
    said = json.loads(path.read_text())
    path.write_text(json.dumps(said | {"fingerprint": "0"}))
    with pytest.raises(UserError, match=r"beside maps/tiny does not belong to it; make a new map \(--refit\)"):
        run(warehouse)
    path.write_text("{}")
    with pytest.raises(UserError, match=r"does not belong to it \(KeyError"):
        run(warehouse)


def test_songs_without_an_embedding_are_counted_and_listed(everything: Warehouse, tmp_path: Path) -> None:
    table = embeddings(everything).slice(0, 40)
    vectors = [np.array(vector, np.float32) for vector in table["embedding"].to_pylist()]
    vectors[3][7] = np.nan
    warehouse = Warehouse(str(tmp_path))
    warehouse.write_arrow(with_vectors(table, [None, *vectors[1:]]), "embeddings", "tiny")
    facts = run(warehouse).facts
    assert (facts["songs"], facts["without an embedding"]) == (38, 2)
    assert len(read_map(warehouse)) == 38
    rejected = pq.read_table(warehouse.path("rejected", "stage=maps"), partitioning=None).to_pylist()
    ids = table["track_id"].to_pylist()
    assert [(row["member"], row["reason"]) for row in rejected] == [(ids[0], "no_embedding"), (ids[3], "not_finite")]


@pytest.mark.parametrize("n", [4, 5, 20])
def test_few_songs_have_a_map(everything: Warehouse, tmp_path: Path, n: int) -> None:
    warehouse = Warehouse(str(tmp_path))
    warehouse.write_arrow(embeddings(everything).slice(0, n), "embeddings", "tiny")
    assert run(warehouse).facts["perplexity"] == round((n - 1) / 3, 2)
    warehouse.write_arrow(embeddings(everything).slice(0, n + 1), "embeddings", "tiny")
    run(warehouse)
    xy = np.array([place[:2] for place in read_map(warehouse).values()])
    assert xy.shape == (n + 1, 2)
    assert np.isfinite(xy).all()


@pytest.mark.parametrize("n", [0, 1, 3])
def test_fewer_are_refused(everything: Warehouse, tmp_path: Path, n: int) -> None:
    warehouse = Warehouse(str(tmp_path))
    warehouse.write_arrow(
        EMBEDDINGS.empty_table() if not n else embeddings(everything).slice(0, n), "embeddings", "tiny"
    )
    with pytest.raises(UserError, match=f"maps: embeddings/tiny has {n} songs with an embedding and 0 without"):
        run(warehouse)


def test_songs_of_one_direction_are_refused(everything: Warehouse, tmp_path: Path) -> None:
    table = embeddings(everything).slice(0, 8)
    warehouse = Warehouse(str(tmp_path))
    warehouse.write_arrow(with_vectors(table, [np.ones(50, np.float32)] * 8), "embeddings", "tiny")
    with pytest.raises(UserError, match="all point in one direction"):
        run(warehouse)


def test_missing_embeddings_are_named(tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"table .*/embeddings/tiny is missing or incomplete; run msd-spark score first"
    ):
        run(Warehouse(str(tmp_path)))


@pytest.mark.skipif(importlib.util.find_spec("umap") is not None, reason="umap-learn is installed")
def test_umap_says_what_it_needs(everything: Warehouse) -> None:
    with pytest.raises(UserError, match="pip install umap-learn, or --method tsne"):
        run(everything, method="umap", refit=True)


def test_umap_where_it_is_installed(everything: Warehouse, tmp_path: Path) -> None:
    pytest.importorskip("umap")
    table, warehouse = embeddings(everything), Warehouse(str(tmp_path))
    warehouse.write_arrow(table.slice(0, 160), "embeddings", "tiny")
    run(warehouse, method="umap")
    before = read_map(warehouse)
    warehouse.write_arrow(table, "embeddings", "tiny")
    run(warehouse)
    after = read_map(warehouse)
    assert {track: after[track] for track in before} == before
    assert np.isfinite([place[:2] for place in after.values()]).all()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"sample": 3}, "at least 4 songs, not 3"),
        ({"perplexity": 0.5}, "at least 1, not 0.5"),
        ({"perplexity": float("nan")}, "at least 1, not nan"),
        ({"method": "pca"}, "one of tsne, umap, not 'pca'"),
    ],
)
def test_layouts_that_cannot_be_are_refused(wrong: dict[str, object], said: str) -> None:
    with pytest.raises(UserError, match=said):
        Layout(**wrong)  # type: ignore[arg-type]


def test_wherever_a_song_comes_from_it_stays_within_the_grid(mapped: tuple[Warehouse, Summary]) -> None:
    kept = KeptMap.read(mapped[0], "tiny")
    assert kept is not None
    place = TsnePlacer(kept.fitted.vectors, kept.places, kept.perplexity)
    reach = ITERATIONS * GREATEST_STEP
    lower = place._map.box_x_lower_bounds
    assert lower.min() < kept.places.min() - reach
    assert lower.max() + (lower[1] - lower[0]) > kept.places.max() + reach
    strange = np.random.default_rng(0).normal(size=(50, 50)).astype(np.float32) * 1e3
    strange[0] = 0
    assert (np.abs(place(strange)) <= np.abs(kept.places).max() + reach).all()


def test_a_fitted_song_would_be_placed_where_it_lies(mapped: tuple[Warehouse, Summary]) -> None:
    kept = KeptMap.read(mapped[0], "tiny")
    assert kept is not None
    again = TsnePlacer(kept.fitted.vectors, kept.places, kept.perplexity)(kept.fitted.vectors)
    off = np.linalg.norm(again - kept.places, axis=1)
    everyone = np.linalg.norm(kept.places[:, None] - kept.places[None], axis=2)
    assert np.median(off) < 0.1 * np.median(everyone)


def test_a_map_is_the_same_with_more_threads_and_tells_its_progress(everything: Warehouse) -> None:
    vectors = np.array(embeddings(everything)["embedding"].to_pylist()[:60], np.float32)
    told: list[int] = []
    one = fit_tsne(vectors, 10.0, 3, 1, told.append)
    assert sum(told) == 750
    np.testing.assert_array_equal(one, fit_tsne(vectors, 10.0, 3, 2))
    assert np.abs(one.min(axis=0) + one.max(axis=0)).max() < 1e-4


def test_a_rare_genre_sends_a_few_songs_more_than_its_share() -> None:
    # 10, 10 and 5 at first; the other 75 by 990 to 80 left: 69.39 and 5.61, the last one to the larger remainder.
    assert shares(np.array([1000, 90, 5]), 100).tolist() == [79, 16, 5]
    # Fewer songs than strata times ten: an equal part each, and two more to the largest.
    assert shares(np.array([50, 50, 100]), 8).sum() == 8


@given(st.lists(st.integers(1, 400), min_size=1, max_size=12), st.data())
def test_shares_add_up_and_ask_no_stratum_for_more_than_it_has(counts: list[int], data: st.DataObject) -> None:
    size = data.draw(st.integers(0, sum(counts)))
    drawn = shares(np.array(counts), size)
    assert drawn.sum() == size
    assert (drawn <= counts).all()
    assert (drawn >= np.minimum(counts, min(FEWEST_OF_A_STRATUM, size // len(counts)))).all()


@given(st.lists(st.sampled_from(["Rap", "Jazz", ""]), min_size=1, max_size=60), st.integers(1, 70), st.integers(0, 3))
def test_a_sample_is_of_distinct_songs_in_order_and_has_the_shares(strata: list[str], size: int, seed: int) -> None:
    names = np.array(strata)
    chosen = stratified_sample(names, size, seed)
    assert len(chosen) == min(size, len(strata))
    assert (np.diff(chosen) > 0).all()
    np.testing.assert_array_equal(chosen, stratified_sample(names, size, seed))
    if size < len(strata):
        found, counts = np.unique(names, return_counts=True)
        assert [int((names[chosen] == name).sum()) for name in found] == shares(counts, size).tolist()
