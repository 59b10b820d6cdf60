"""The mapped catalogue: its files are written once per version of the tables, whatever happens to them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from msd_spark.core import cache
from msd_spark.core.errors import UserError
from msd_spark.core.schemas import POPULARITY
from msd_spark.core.warehouse import Warehouse
from msd_spark.neighbours.exact import nearest_of_all
from msd_spark.neighbours.exclusions import Exclusions
from msd_spark.neighbours.space import Space
from msd_spark.similar import catalogue_files
from msd_spark.similar.catalogue import Catalogue
from msd_spark.similar.command import search
from msd_spark.similar.naming import named_song
from msd_spark.similar.settings import SONGS_FILE, VECTORS_FILE
from tests.support.embedded_songs import write_embedded_songs
from tests.support.object_store import ObjectStore


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def songs(tmp_path: Path) -> Warehouse:
    return write_embedded_songs(tmp_path / "w", 60)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the functions that wrote files."""
    names: list[str] = []
    for name in ("write_catalogue", "write_names"):
        function = getattr(catalogue_files, name)

        def counted(*arguments: object, name: str = name, function: object = function) -> None:
            names.append(name)
            function(*arguments)  # type: ignore[operator]

        monkeypatch.setattr(catalogue_files, name, counted)
    return names


def track_of(warehouse: Warehouse, text: str, run: str = "tiny") -> str:
    """Return the track that a text names."""
    return str(named_song(Catalogue.open(warehouse, run), text).song["track_id"])


def test_files_are_written_once_per_version_of_the_tables(songs: Warehouse, calls: list[str], own_cache: Path) -> None:
    assert track_of(songs, "title 10") == track_of(songs, "artist 3 title 10") == f"TR000010{'A' * 10}"
    assert calls == ["write_catalogue", "write_names"]
    table = songs.read_table(None, "songs")
    titles = pa.array([title.replace("Title 10", "Another") for title in table["title"].to_pylist()])
    songs.write_arrow(table.set_column(table.schema.get_field_index("title"), "title", titles), "songs")
    assert track_of(songs, "another") == f"TR000010{'A' * 10}"
    assert calls == ["write_catalogue", "write_names"] * 2
    assert len(list(own_cache.rglob("names.sqlite"))) == 1


def test_runs_with_the_same_tracks_share_the_index_of_names(songs: Warehouse, calls: list[str]) -> None:
    songs.write_arrow(songs.read_table(None, "embeddings", "tiny"), "embeddings", "second")
    assert track_of(songs, "title 10") == track_of(songs, "title 10", "second")
    assert calls == ["write_catalogue", "write_names", "write_catalogue"]


@pytest.mark.parametrize("name", [SONGS_FILE, VECTORS_FILE, "names.sqlite"])
@pytest.mark.parametrize("damage", ["truncated", "overwritten"])
def test_damaged_files_are_written_again(songs: Warehouse, own_cache: Path, name: str, damage: str) -> None:
    track_of(songs, "title 10")
    (path,) = own_cache.rglob(name)
    size = path.stat().st_size
    path.write_bytes(path.read_bytes()[: size // 2] if damage == "truncated" else b"x" * size)
    assert track_of(songs, "title 10") == f"TR000010{'A' * 10}"
    (path,) = own_cache.rglob(name)
    assert path.stat().st_size == size


def test_tracks_without_an_embedding_are_not_found(songs: Warehouse) -> None:
    embeddings = songs.read_table(None, "embeddings", "tiny")
    keep = [track != f"TR000010{'A' * 10}" for track in embeddings["track_id"].to_pylist()]
    songs.write_arrow(embeddings.filter(pa.array(keep)), "embeddings", "tiny")
    with pytest.raises(
        UserError, match=r"no song is called 'artist 3 - title 10' among the .* with an embedding; closest"
    ):
        track_of(songs, "artist 3 - title 10")


def test_plays_decide_which_version_is_the_best_known(songs: Warehouse) -> None:
    table = songs.read_table(None, "songs").to_pylist()
    for row in table[3:6]:
        row["title"], row["artist_name"] = "Same", "Same Artist"
    songs.write_arrow(pa.Table.from_pylist(table, songs.snapshot("songs").schema), "songs")
    assert track_of(songs, "same artist - same") == table[3]["track_id"]
    plays = {"track_id": [table[4]["track_id"]], "plays": [5], "listeners": [1], "popularity_rank": [1]}
    songs.write_arrow(pa.table(plays | {"popularity_decile": [9]}).cast(POPULARITY), "popularity")
    assert track_of(songs, "same artist - same") == table[4]["track_id"]


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("exclude", [(), ("same-artist",), ("duplicates",), ("same-artist", "duplicates")])
def test_neighbours_are_those_of_the_search_for_all_songs(
    songs: Warehouse, metric: str, exclude: tuple[str, ...]
) -> None:
    catalogue = Catalogue.open(songs, "tiny")
    rows = np.array([0, 10, 59])
    codes = Exclusions.of(catalogue.songs.to_pandas(), exclude)
    expected = nearest_of_all(Space.of(catalogue.vectors, metric), 5, codes, rows)
    for row, places, distances in zip(rows, expected.places, expected.distances, strict=True):
        query = catalogue.of_track(catalogue.song(int(row))["track_id"])
        assert query is not None
        assert search(catalogue, query, 5, metric, exclude) == dict(zip(places, distances, strict=True))


def test_a_song_from_outside_excludes_its_artist_and_its_duplicates(songs: Warehouse) -> None:
    catalogue = Catalogue.open(songs, "tiny")
    own = catalogue.song(10)
    outside = catalogue.of_embedded(own | {"track_id": "TRNEW", "embedding": catalogue.vectors[10], "song_id": None})
    assert outside.row == 60
    assert next(iter(search(catalogue, outside, 3))) == 10
    assert 10 not in search(catalogue, outside, 59, exclude=("duplicates",))
    assert not {9, 10, 11} & set(search(catalogue, outside, 57, exclude=("same-artist",)))
    unknown = dict.fromkeys(own, None) | {"track_id": "TRNEW", "embedding": catalogue.vectors[10]}
    assert 10 in search(catalogue, catalogue.of_embedded(unknown), 3, exclude=("same-artist", "duplicates"))


def test_a_second_call_loads_neither_pandas_nor_faiss(songs: Warehouse) -> None:
    track_of(songs, "title 10")
    code = (
        "import sys; from msd_spark.core.command_line import main; "
        f"main(['similar', 'title 10', '--run', 'tiny', '--warehouse', {songs.root!r}]); "
        "sys.exit(', '.join({'pandas', 'faiss', 'scipy', 'h5py', 'keras'} & set(sys.modules)) or 0)"
    )
    for _ in range(2):  # the first writes the scaled vectors
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")
        assert f"TR000010{'A' * 10}" in done.stdout


def test_a_warehouse_is_only_read_also_in_an_object_store(
    songs: Warehouse, store: ObjectStore, own_cache: Path
) -> None:
    files = {path: path.read_bytes() for path in Path(songs.root).rglob("*") if path.is_file()}
    store.create("similar")
    store.put_folder("similar", Path(songs.root), "w")
    keys = store.keys("similar")
    # In a process of its own: delta-rs waits for the store, which is in this one, without releasing the lock of Python.
    code = "import sys; from msd_spark.core.command_line import main; main(sys.argv[1:])"
    words = ["similar", "title 10", "--run", "tiny", "--warehouse", "s3://similar/w"]
    written = []
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", code, *words],
            env=os.environ | store.environment(),
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert f"Title 10  (TR000010{'A' * 10})" in done.stdout, done.stderr
        written.append([path.stat().st_ino for path in own_cache.rglob("names.sqlite")])
    assert written[0] == written[1]
    assert store.keys("similar") == keys
    assert track_of(songs, "title 10") == f"TR000010{'A' * 10}"
    assert {path: path.read_bytes() for path in Path(songs.root).rglob("*") if path.is_file()} == files
