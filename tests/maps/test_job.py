from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from msd_spark.core.errors import UserError
from msd_spark.core.schemas import EMBEDDINGS, MAPS
from msd_spark.core.summary import Summary
from msd_spark.core.warehouse import Warehouse
from msd_spark.maps.job import make_map, read_songs
from msd_spark.maps.job import run as run_maps
from msd_spark.maps.settings import FITTED_FILE, MAP_FILE, PROJECTOR, VECTORS_FILE, ExportSettings, MapSettings
from tests.support.embedded_songs import write_embedded_songs

SONGS, SAMPLE = 200, 80


def read_map(warehouse: Warehouse, run: str = "tiny") -> dict[str, tuple[float, float, bool]]:
    table = warehouse.read_table(None, "maps", run)
    assert table.schema.equals(MAPS)
    rows = table.to_pylist()
    assert [row["track_id"] for row in rows] == sorted(row["track_id"] for row in rows)
    return {row["track_id"]: (row["x"], row["y"], row["fitted"]) for row in rows}


def embeddings(warehouse: Warehouse) -> pa.Table:
    return warehouse.read_table(None, "embeddings", "tiny").sort_by("track_id")


def with_vectors(table: pa.Table, vectors: list[np.ndarray | None]) -> pa.Table:
    """Return embeddings with other vectors; null violates the schema, but another tool might write it."""
    place = table.schema.get_field_index("embedding")
    column = pa.array([None if vector is None else vector.tolist() for vector in vectors], pa.list_(pa.float32()))
    return table.set_column(place, "embedding", column)


def run(warehouse: Warehouse, **settings: object) -> Summary:
    options: dict[str, Any] = {"sample": SAMPLE, **settings}
    return make_map(warehouse, *read_songs(warehouse, "tiny"), MapSettings(warehouse.root, **options), "tiny")[1]


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    return write_embedded_songs(tmp_path_factory.mktemp("maps"), n=SONGS)


@pytest.fixture(scope="module")
def mapped(everything: Warehouse) -> tuple[Warehouse, Summary]:
    return everything, run(everything, perplexity=15.0)


@pytest.fixture
def growing(mapped: tuple[Warehouse, Summary], tmp_path: Path) -> tuple[Warehouse, pa.Table]:
    """A map of the first 160 songs, and the embeddings of all songs."""
    whole = embeddings(mapped[0])
    warehouse = Warehouse(str(tmp_path))
    warehouse.write_arrow(whole.slice(0, 160), "embeddings", "tiny")
    run(warehouse, perplexity=15.0)
    return warehouse, whole


def test_every_song_has_a_place_and_fitted_songs_are_marked(mapped: tuple[Warehouse, Summary]) -> None:
    warehouse, summary = mapped
    places = read_map(warehouse)
    assert len(places) == SONGS
    assert sum(fitted for _, _, fitted in places.values()) == SAMPLE
    facts = summary.facts
    assert (facts["songs"], facts["songs fitted"], facts["placed"], facts["map"]) == (SONGS, SAMPLE, 120, "new")


def test_fitted_and_placed_songs_are_near_their_genre(mapped: tuple[Warehouse, Summary]) -> None:
    warehouse, _ = mapped
    places = read_map(warehouse)
    genre = np.array(embeddings(warehouse)["predicted_genre"].to_pylist())
    xy = np.array([place[:2] for place in places.values()])
    fitted = np.array([place[2] for place in places.values()])
    distances = np.linalg.norm(xy[:, None] - xy[fitted][None], axis=2)
    distances[np.flatnonzero(fitted), np.arange(fitted.sum())] = np.inf
    same = genre == genre[fitted][distances.argmin(axis=1)]
    # Four well separated clusters; chance is one in four.
    assert same[fitted].mean() > 0.95
    assert same[~fitted].mean() > 0.95


def test_new_songs_are_placed_and_others_stay(growing: tuple[Warehouse, pa.Table]) -> None:
    warehouse, whole = growing
    before = read_map(warehouse)
    warehouse.write_arrow(whole.slice(0, 180), "embeddings", "tiny")
    first = run(warehouse)
    warehouse.write_arrow(whole, "embeddings", "tiny")
    run(warehouse, block=3)
    after = read_map(warehouse)
    assert {track: after[track] for track in before} == before
    assert (first.facts["map"], first.facts["stayed"], first.facts["placed"]) == ("kept", 160, 20)
    assert len(after) == SONGS
    # Two batches of twenty songs have the same places as one of forty.
    warehouse.write_arrow(whole.slice(0, 160), "embeddings", "tiny")
    assert run(warehouse).facts["removed"] == 40
    assert read_map(warehouse) == before
    warehouse.write_arrow(whole, "embeddings", "tiny")
    run(warehouse)
    assert read_map(warehouse) == after


def test_map_without_new_songs_is_not_written(mapped: tuple[Warehouse, Summary]) -> None:
    warehouse, _ = mapped
    before = warehouse.snapshot("maps", "tiny")
    facts = run(warehouse).facts
    assert (facts["map"], facts["stayed"], facts["placed"]) == ("kept", SONGS, 0)
    assert warehouse.snapshot("maps", "tiny") == before


def test_the_same_songs_and_seed_give_the_same_bytes(
    growing: tuple[Warehouse, pa.Table], mapped: tuple[Warehouse, Summary]
) -> None:
    warehouse, whole = growing
    warehouse.write_arrow(whole, "embeddings", "tiny")
    run(warehouse, perplexity=15.0, refit=True)
    contents = []
    for one in (warehouse, mapped[0]):
        (rows,) = one.paths("maps", "tiny")
        side_files = (one.file("maps", "tiny", name) for name in (FITTED_FILE, VECTORS_FILE, MAP_FILE))
        contents.append([Path(path).read_bytes() for path in (rows, *side_files)])
    assert contents[0] == contents[1]


def test_song_with_a_changed_embedding_is_placed_again(growing: tuple[Warehouse, pa.Table]) -> None:
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
    assert (facts["placed"], facts["placed again, embedding changed"]) == (1, 1)
    after = read_map(warehouse)
    assert [track for track in ids if after[track] != before[track]] == [ids[0]]
    assert not after[ids[0]][2]
    near, was = (np.linalg.norm(np.subtract(after[ids[0]][:2], at[ids[other]][:2])) for at in (after, before))
    assert near == was < np.linalg.norm(np.subtract(after[ids[0]][:2], before[ids[0]][:2]))


def test_changed_embeddings_get_a_new_map(growing: tuple[Warehouse, pa.Table]) -> None:
    warehouse, whole = growing
    vectors = [-np.array(vector, np.float32)[::-1] for vector in whole["embedding"].to_pylist()]
    warehouse.write_arrow(with_vectors(whole, [*vectors]), "embeddings", "tiny")
    facts = run(warehouse).facts
    assert facts["map"] == "new, as the embeddings have changed"
    assert facts["perplexity"] == 15.0  # that of the existing map
    assert len(read_map(warehouse)) == SONGS


def test_options_that_differ_from_the_map_are_rejected(mapped: tuple[Warehouse, Summary]) -> None:
    with pytest.raises(UserError, match=r"maps/tiny was made with sample 80, not 50; .* by --refit"):
        run(mapped[0], sample=50)


def test_damaged_map_is_rejected(growing: tuple[Warehouse, pa.Table]) -> None:
    warehouse, _ = growing
    path = Path(warehouse.file("maps", "tiny", MAP_FILE))
    metadata = json.loads(path.read_text())
    path.write_text(json.dumps(metadata | {"fingerprint": "0"}))
    with pytest.raises(UserError, match="the files of maps/tiny do not match; make a new map by --refit"):
        run(warehouse)
    path.write_text("{}")
    with pytest.raises(UserError, match=r"do not match \(KeyError"):
        run(warehouse)


def test_songs_without_an_embedding_are_rejected(everything: Warehouse, tmp_path: Path) -> None:
    table = embeddings(everything).slice(0, 40)
    vectors = [np.array(vector, np.float32) for vector in table["embedding"].to_pylist()]
    vectors[3][7] = np.nan
    warehouse = Warehouse(str(tmp_path))
    warehouse.write_arrow(with_vectors(table, [None, *vectors[1:]]), "embeddings", "tiny")
    facts = run(warehouse).facts
    assert (facts["songs"], facts["without an embedding"]) == (38, 2)
    assert len(read_map(warehouse)) == 38
    rejected = warehouse.read_table(None, "rejected", "stage=maps").to_pylist()
    ids = table["track_id"].to_pylist()
    assert [(row["member"], row["reason"]) for row in rejected] == [(ids[0], "no_embedding"), (ids[3], "not_finite")]


def test_no_map_is_written_without_its_rejections(everything: Warehouse, tmp_path: Path) -> None:
    warehouse = Warehouse(str(tmp_path))
    warehouse.write_arrow(embeddings(everything).slice(0, 5), "embeddings", "tiny")
    (tmp_path / "rejected").write_text("")
    with pytest.raises(UserError, match=r"rejected/stage=maps cannot be written: .*make it a writable folder"):
        run(warehouse)
    assert not warehouse.is_complete("maps", "tiny")


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
def test_too_few_songs_are_rejected(everything: Warehouse, tmp_path: Path, n: int) -> None:
    warehouse = Warehouse(str(tmp_path))
    warehouse.write_arrow(
        EMBEDDINGS.empty_table() if not n else embeddings(everything).slice(0, n), "embeddings", "tiny"
    )
    with pytest.raises(UserError, match=f"embeddings/tiny has {n} songs with an embedding and 0 without"):
        run(warehouse)


def test_embeddings_of_one_direction_are_rejected(everything: Warehouse, tmp_path: Path) -> None:
    table = embeddings(everything).slice(0, 8)
    warehouse = Warehouse(str(tmp_path))
    warehouse.write_arrow(with_vectors(table, [np.ones(50, np.float32)] * 8), "embeddings", "tiny")
    with pytest.raises(UserError, match="all point in one direction"):
        run(warehouse)


def test_missing_embeddings_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"table .*/embeddings/tiny is missing; run msd-spark score first"):
        run(Warehouse(str(tmp_path)))


@pytest.mark.skipif(importlib.util.find_spec("umap") is not None, reason="UMAP: umap-learn is installed")
def test_missing_umap_is_named(everything: Warehouse) -> None:
    with pytest.raises(UserError, match="run pip install umap-learn, or use --method tsne"):
        run(everything, method="umap", refit=True)


def test_umap_keeps_places(everything: Warehouse, tmp_path: Path) -> None:
    pytest.importorskip("umap", reason="UMAP: umap-learn is not installed")
    table, warehouse = embeddings(everything), Warehouse(str(tmp_path))
    warehouse.write_arrow(table.slice(0, 160), "embeddings", "tiny")
    run(warehouse, method="umap")
    before = read_map(warehouse)
    warehouse.write_arrow(table, "embeddings", "tiny")
    run(warehouse)
    after = read_map(warehouse)
    assert {track: after[track] for track in before} == before
    assert np.isfinite([place[:2] for place in after.values()]).all()


def test_an_export_to_a_file_is_refused_before_the_map_is_made(tmp_path: Path) -> None:
    warehouse = write_embedded_songs(tmp_path / "w", 8)
    (tmp_path / "file").touch()
    export = ExportSettings(folder=str(tmp_path / "file"), viewer=PROJECTOR)
    with pytest.raises(UserError, match=r"--export .*file is a file; name a folder"):
        run_maps(MapSettings(warehouse.root, run="tiny", export=export))
    assert not warehouse.is_complete("maps", "tiny")
