"""Exports of a map, read back as their viewers do."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from msd_spark.catalogue.embeddings import read_embeddings
from msd_spark.core.schemas import NEIGHBOURS, POPULARITY
from msd_spark.core.warehouse import Warehouse
from msd_spark.maps.atlas import neighbours_column
from msd_spark.maps.export import export_map
from msd_spark.maps.projector import METADATA_COLUMNS, escape
from msd_spark.maps.saved_map import PlacedSongs, directions
from msd_spark.maps.settings import ExportSettings
from tests.support.embedded_songs import write_embedded_songs

SONGS = 30
TITLE = 'a\ttab, a\nline, a \\n that is none, "quotes"\r and <script>'


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    """Thirty songs; the neighbours of each are the next two, and one is not on the map."""
    tables = write_embedded_songs(tmp_path_factory.mktemp("export"), n=SONGS)
    ids = sorted(tables.read_table(["track_id"], "songs")["track_id"].to_pylist())
    songs = tables.read_table(None, "songs").sort_by("track_id")
    titles = [TITLE, None, *songs["title"].to_pylist()[2:]]
    songs = songs.set_column(songs.schema.get_field_index("title"), "title", pa.array(titles))
    tables.write_arrow(songs, "songs")
    near = [
        {"track_id": track, "rank": rank, "neighbour_id": ids[n + rank], "distance": rank / 8}
        for n, track in enumerate(ids)
        for rank in (2, 1)
        if n + rank < SONGS
    ]
    near.append({"track_id": ids[0], "rank": 3, "neighbour_id": "TR-elsewhere", "distance": 0.5})
    tables.write_arrow(pa.Table.from_pylist(near, NEIGHBOURS), "neighbours", "tiny")
    heard = {"track_id": ids[3], "plays": 12, "listeners": 2, "popularity_rank": 1, "popularity_decile": 9}
    tables.write_arrow(pa.Table.from_pylist([heard], POPULARITY), "popularity")
    return tables


@pytest.fixture(scope="module")
def exported(warehouse: Warehouse, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, object]]:
    folder = tmp_path_factory.mktemp("to") / "new"
    embedded = read_embeddings(warehouse, "tiny")
    numbers = np.arange(SONGS, dtype=np.float32)
    places = np.column_stack([numbers, -numbers])
    placed = PlacedSongs(embedded.track_ids, places, numbers % 2 == 0, directions(embedded.vectors))
    return folder, export_map(warehouse, "tiny", embedded, placed, ExportSettings(str(folder)))


def test_embedding_atlas_has_places_names_and_neighbours_by_row(exported: tuple[Path, dict[str, object]]) -> None:
    folder, facts = exported
    rows = pq.read_table(folder / "embedding-atlas.parquet").to_pylist()
    assert len(rows) == SONGS
    first, second = rows[:2]
    assert (first["x"], first["y"], first["fitted"], first["title"]) == (0.0, 0.0, True, TITLE)
    assert (second["title"], second["artist"]) == (None, "Ártist 0")
    assert first["neighbors"] == {"ids": [1, 2], "distances": [0.125, 0.25]}
    assert rows[-1]["neighbors"] == {"ids": [], "distances": []}
    assert rows[-2]["neighbors"] == {"ids": [SONGS - 1], "distances": [0.125]}
    assert (rows[3]["plays"], rows[3]["popularity_decile"], rows[4]["plays"]) == (12, 9, None)
    assert all(row["genre"] == row["predicted_genre"] for row in rows)
    assert 1970 <= rows[5]["year"] < 2010
    assert (facts["neighbours"], facts["neighbours not on the map"]) == (2 * SONGS - 3, 1)


def test_tensorboard_reads_the_projectors_files(exported: tuple[Path, dict[str, object]], warehouse: Warehouse) -> None:
    # These packages have no types.
    text_format = import_module("google.protobuf.text_format")
    plugin = import_module("tensorboard.plugins.projector.projector_plugin")
    configuration = import_module("tensorboard.plugins.projector.projector_config_pb2").ProjectorConfig()
    folder, _ = exported
    configured = text_format.Parse((folder / "projector_config.pbtxt").read_text(), configuration).embeddings
    assert [item.tensor_name for item in configured] == ["tiny"]
    read = plugin._read_tensor_tsv_file(str(folder / configured[0].tensor_path))
    embedded = warehouse.read_table(None, "embeddings", "tiny").sort_by("track_id")
    np.testing.assert_array_equal(read, np.array(embedded["embedding"].to_pylist(), np.float32))
    text = (folder / configured[0].metadata_path).read_bytes().decode()
    header, *lines = text.removesuffix("\n").split("\n")
    assert tuple(header.split("\t")) == METADATA_COLUMNS
    assert len(lines) == len(read)
    cells = [dict(zip(METADATA_COLUMNS, line.split("\t"), strict=True)) for line in lines]
    assert [cell["track_id"] for cell in cells] == embedded["track_id"].to_pylist()
    assert cells[0]["title"] == 'a\\ttab, a\\nline, a \\\\n that is none, "quotes"\\r and <script>'
    assert (cells[1]["title"], cells[3]["plays"], cells[4]["plays"]) == ("", "12", "")


@given(st.text(st.characters(codec="utf-8")))
def test_cell_has_no_tab_or_line_end_and_can_be_read_back(text: str) -> None:
    cell = escape(text)
    assert not set("\t\n\r") & set(cell)
    back, rest = "", iter(cell)
    for mark in rest:
        back += {"t": "\t", "n": "\n", "r": "\r", "\\": "\\"}[next(rest)] if mark == "\\" else mark
    assert back == text


def test_empty_neighbours_are_empty_lists() -> None:
    column, left_out = neighbours_column(pa.array(["A", "B"]), NEIGHBOURS.empty_table())
    assert column.to_pylist() == [{"ids": [], "distances": []}] * 2
    assert left_out == 0
