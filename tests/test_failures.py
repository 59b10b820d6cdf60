"""What each module refuses: the kind of error or the reason, and that the message names the thing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from msd_spark.core.errors import UserError
from msd_spark.core.features import example_columns, segment_features
from msd_spark.core.schemas import Geometry
from msd_spark.core.warehouse import Warehouse
from msd_spark.formats.musixmatch import BagOfWordsError, parse_bag, parse_reverse_mapping, parse_words
from msd_spark.formats.tagtraum import LabelError, parse_label
from msd_spark.io.lines import read_lines
from msd_spark.songfile.parse import SongFileError, parse_song
from tests.support.song_images import TRACK_ID, refusal, replaced, song_image
from tests.support.tiny_dataset import write_tiny_dataset
from training.data.dataset import Dataset
from training.data.plan import RankPlan, plan_epoch
from training.data.reading import batches
from training.data.targets import Target

TRACK = "TRAAAAV128F421A322"
NAN = float("nan")


# musiXmatch


@pytest.mark.parametrize(
    ("line", "reason", "named"),
    [
        ("", "bad_track_id", "''"),
        ("TRAAAAV128F421A32,1,1:1", "bad_track_id", "'TRAAAAV128F421A32'"),
        ("traaaav128f421a322,1,1:1", "bad_track_id", "'traaaav128f421a322'"),
        (f" {TRACK},1,1:1", "bad_track_id", f"' {TRACK}'"),
        ("x" * 1000, "bad_track_id", f"'{'x' * 40}'"),
        (TRACK, "bad_musixmatch_id", TRACK),
        (f"{TRACK},,1:1", "bad_musixmatch_id", TRACK),
        (f"{TRACK},-1,1:1", "bad_musixmatch_id", "'-1'"),
        (f"{TRACK},1:1,2:1", "bad_musixmatch_id", "'1:1'"),
        (f"{TRACK},\u0661,1:1", "bad_musixmatch_id", "'\u0661'"),
        (f"{TRACK},\u00b2,1:1", "bad_musixmatch_id", TRACK),
        (f"{TRACK},1", "bad_count", TRACK),
        (f"{TRACK},1,", "bad_count", TRACK),
        (f"{TRACK},1,1:1,", "bad_count", "''"),
        (f"{TRACK},1,1", "bad_count", "'1'"),
        (f"{TRACK},1,1:", "bad_count", "'1:'"),
        (f"{TRACK},1,0:1", "bad_count", "'0:1'"),
        (f"{TRACK},1,1:0", "bad_count", "'1:0'"),
        (f"{TRACK},1,1:-2", "bad_count", "'1:-2'"),
        (f"{TRACK},1,1:1.5", "bad_count", "'1:1.5'"),
        (f"{TRACK},1,1:1:1", "bad_count", "'1:1:1'"),
        (f"{TRACK},1,1: 1", "bad_count", "'1: 1'"),
        (f"{TRACK},1,1:1\r", "bad_count", "'1:1\\r'"),
        (f"{TRACK},1,01:1", "bad_count", "'01:1'"),
        (f"{TRACK},1,1:{2**31}", "bad_count", str(2**31)),
        (f"{TRACK},1,6:1", "unknown_word", "word 6 of 5"),
        (f"{TRACK},1,2:1,3:1,2:4", "repeated_word", TRACK),
    ],
)
def test_lines_that_are_no_bag_of_words(line: str, reason: str, named: str) -> None:
    with pytest.raises(BagOfWordsError) as caught:
        parse_bag(line, 5)
    assert caught.value.reason == reason
    assert named in caught.value.detail
    assert str(caught.value) == f"{reason}: {caught.value.detail}"
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 150


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        pytest.param(f"{TRACK},1,{10**30}:1", "unknown_word", id="an index beyond int64: OverflowError"),
        pytest.param(f"{TRACK},1,1:{10**30}", "bad_count", id="a count beyond int64: OverflowError"),
        pytest.param(f"{TRACK},1,1:{'9' * 5000}", "bad_count", id="more digits than int() takes: ValueError"),
        pytest.param(f"{TRACK},{'9' * 5000},1:1", "bad_musixmatch_id", id="the same in the id: ValueError"),
        pytest.param(f"{TRACK},{2**63},1:1", "bad_musixmatch_id", id="an id that the column cannot hold: accepted"),
        pytest.param(f"{TRACK},1,1\u0662:1", "bad_count", id="digits of another script: accepted as 12"),
    ],
)
def test_numbers_that_no_column_holds(line: str, reason: str) -> None:
    with pytest.raises(BagOfWordsError) as caught:
        parse_bag(line, 50)
    assert caught.value.reason == reason


@pytest.mark.parametrize("line", ["", "i,the,you", "# %i,the", " %i", "\ufeff%i"])
def test_lines_that_are_no_list_of_words(line: str) -> None:
    with pytest.raises(ValueError, match="begins with %") as caught:
        parse_words(line)
    assert repr(line[:10]) in str(caught.value)


def test_a_mapping_without_its_separator() -> None:
    with pytest.raises(ValueError, match="line 3 has no <SEP>: 'happi;happy'"):
        parse_reverse_mapping(["a<SEP>b", "", "happi;happy"])


# tagtraum


@pytest.mark.parametrize(
    ("line", "reason", "named"),
    [
        ("", "bad_track_id", "''"),
        ("\t", "bad_track_id", "''"),
        ("Rock\tTRAAAAV128F421A322", "bad_track_id", "'Rock'"),
        (f"{TRACK} Rock", "bad_track_id", f"'{TRACK} Rock'"),
        (TRACK, "no_genre", TRACK),
        (f"{TRACK}\t", "no_genre", TRACK),
        (f"{TRACK}\t \tJazz", "no_genre", TRACK),
        (f"{TRACK}\tRock\tPop\tJazz", "too_many_fields", f"{TRACK}: 3 genres"),
    ],
)
def test_lines_that_are_no_label(line: str, reason: str, named: str) -> None:
    with pytest.raises(LabelError) as caught:
        parse_label(line)
    assert caught.value.reason == reason
    assert named in caught.value.detail


# Song files


def shortened(name: str) -> Callable[[h5py.File], None]:
    return replaced(
        f"analysis/{name}", np.zeros((4, 12)) if name in ("segments_pitches", "segments_timbre") else np.zeros(4)
    )


def with_value(path: str, value: float) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        file[path][2] = value

    return change


def without_column(file: h5py.File) -> None:
    row = file["metadata/songs"][:]
    del file["metadata/songs"]
    file["metadata/songs"] = row[[name for name in row.dtype.names if name not in ("title", "artist_id")]]


def declared_huge(file: h5py.File) -> None:
    del file["analysis/bars_start"]
    file.create_dataset("analysis/bars_start", shape=(2_000_000,), dtype="f8", chunks=(1024,))


def doubled(file: h5py.File) -> None:
    rows = file["metadata/songs"][:]
    del file["metadata/songs"]
    file["metadata/songs"] = np.repeat(rows, 2)


def corrupted(file: h5py.File) -> None:
    del file["analysis/bars_start"]
    bars = file.create_dataset("analysis/bars_start", shape=(10,), dtype="f8", chunks=(10,), compression=1)
    bars.id.write_direct_chunk((0,), b"this is no deflated chunk")


def foreign(file: h5py.File) -> None:
    for group in list(file):
        del file[group]
    file["mine"] = np.arange(3)


@pytest.mark.parametrize(
    ("change", "reason", "named"),
    [
        (foreign, "missing_data", "analysis/songs"),
        (replaced("analysis/bars_start", h5py.SoftLink("/nowhere")), "wrong_layout", "analysis/bars_start"),
        (replaced("analysis/bars_start", h5py.SoftLink("/analysis/bars_start")), "wrong_layout", "analysis/bars_start"),
        (replaced("analysis/bars_start", np.dtype("f8")), "missing_data", "analysis/bars_start"),
        (replaced("analysis/bars_start", 3.0), "wrong_layout", "analysis/bars_start has shape ()"),
        (replaced("analysis/bars_start", h5py.Empty("f8")), "wrong_layout", "analysis/bars_start"),
        (replaced("analysis/bars_start", np.zeros((3, 2))), "wrong_layout", "(3, 2)"),
        (replaced("analysis/segments_pitches", np.zeros((5, 11))), "wrong_layout", "(5, 11)"),
        (replaced("analysis/segments_timbre", np.zeros(60)), "wrong_layout", "(60,)"),
        (without_column, "wrong_layout", "metadata/songs lacks artist_id, title"),
        (replaced("metadata/songs", np.zeros(1)), "wrong_layout", "metadata/songs lacks"),
        (doubled, "not_one_song", "metadata/songs has shape (2,)"),
        (replaced("analysis/songs", h5py.Empty("f8")), "not_one_song", "analysis/songs"),
        (declared_huge, "implausible_size", "2000000"),
        (corrupted, "unreadable_data", "analysis/bars_start"),
        (replaced("analysis/bars_start", np.array([b"x"])), "unreadable_data", "analysis/bars_start"),
        (shortened("segments_timbre"), "length_mismatch", "segments_timbre has 4 rows, segments_start 5"),
        (shortened("segments_loudness_max"), "length_mismatch", "segments_loudness_max has 4 rows"),
        (with_value("analysis/segments_pitches", NAN), "not_finite", "segments_pitches"),
        (with_value("analysis/segments_timbre", np.inf), "not_finite", "segments_timbre"),
        (with_value("analysis/segments_loudness_start", 1e300), "not_finite", "segments_loudness_start"),
    ],
)
def test_hdf5_files_that_are_no_song(change: Callable[[h5py.File], None], reason: str, named: str) -> None:
    seen, detail = refusal(song_image(change), TRACK_ID)
    assert seen == reason
    assert named in detail
    assert "\n" not in detail


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        (b"", "empty_file"),
        (b"hello", "not_hdf5"),
        (b"\0" * 5000, "not_hdf5"),
        (b"\x89HDF\r\n\x1a\n", "not_hdf5"),
        (b"\x89HDF\r\n\x1a\n" + b"\xff" * 5000, "not_hdf5"),
    ],
)
def test_bytes_that_are_no_hdf5(image: bytes, reason: str) -> None:
    seen, detail = refusal(image)
    assert seen == reason
    assert detail


def test_a_song_without_a_track_id() -> None:
    reason, detail = refusal(song_image(track_id=b""))
    assert reason == "no_track_id"
    assert "track_id" in detail


def test_a_song_under_another_songs_name() -> None:
    reason, detail = refusal(song_image(), TRACK)
    assert reason == "track_id_mismatch"
    assert TRACK in detail
    assert TRACK_ID in detail


def secret(folder: Path) -> Path:
    path = folder / "secret.h5"
    with h5py.File(path, "w") as file:
        file["words"] = np.array([b"a secret"], "S256")
        file.create_group("metadata")
    return path


def external_storage(path: Path) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        del file["metadata/artist_terms"]
        file.create_dataset("metadata/artist_terms", shape=(1,), dtype="S256", external=[(str(path), 0, 256)])

    return change


def virtual(path: Path) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        del file["metadata/artist_terms"]
        layout = h5py.VirtualLayout((1,), "S256")
        layout[:] = h5py.VirtualSource(str(path), "words", (1,))
        file.create_virtual_dataset("metadata/artist_terms", layout)

    return change


@pytest.mark.parametrize("make", [external_storage, virtual])
def test_a_song_file_cannot_read_other_files(
    tmp_path: Path, make: Callable[[Path], Callable[[h5py.File], None]]
) -> None:
    reason, detail = refusal(song_image(make(secret(tmp_path))))
    assert reason == "wrong_layout"
    assert detail == "metadata/artist_terms has its data in other files"


def test_a_song_file_cannot_link_to_other_files(tmp_path: Path) -> None:
    reason, detail = refusal(
        song_image(replaced("metadata/artist_terms", h5py.ExternalLink(str(secret(tmp_path)), "/words")))
    )
    assert reason in ("missing_data", "wrong_layout")
    assert "metadata/artist_terms" in detail


def test_an_error_that_is_kept_does_not_change_what_the_next_files_hold() -> None:
    with pytest.raises(SongFileError, match="wrong_layout") as kept:
        parse_song(song_image(replaced("analysis/bars_start", 3.0), track_id=TRACK.encode()))
    assert parse_song(song_image())["track_id"] == TRACK_ID
    assert refusal(b"hello")[0] == "not_hdf5"
    assert kept.value.reason == "wrong_layout"


# Features, splits, plans


@pytest.mark.parametrize(("pitches", "timbre"), [(24, 12), (12, 0), (13, 13), (0, 1)])
def test_chroma_and_timbre_that_do_not_go_together(pitches: int, timbre: int) -> None:
    with pytest.raises(ValueError, match=f"chroma has {pitches} numbers and timbre {timbre}; .* multiple of 12"):
        segment_features(np.zeros(pitches), np.zeros(timbre), Geometry())


def test_lyric_vectors_of_another_size() -> None:
    batch = pa.RecordBatch.from_pydict(
        {
            "segments_pitches": pa.array([[0.0] * 12], pa.list_(pa.float32())),
            "segments_timbre": pa.array([[0.0] * 12], pa.list_(pa.float32())),
            "lyric_vector": pa.array([[0.0] * 49], pa.list_(pa.float32())),
        }
    )
    with pytest.raises(ValueError, match="49"):
        example_columns(batch, Geometry())


@pytest.mark.parametrize(("ranks", "batch"), [(0, 1), (1, 0), (-2, 4)])
def test_plans_for_no_ranks_or_batches_of_nothing(ranks: int, batch: int) -> None:
    with pytest.raises(ValueError, match=f"at least 1, not {ranks} and {batch}"):
        plan_epoch([1], ranks=ranks, batch=batch)


# Warehouse, text files


@pytest.mark.parametrize("left", [(), ("part-0.parquet",)])
def test_tables_that_are_not_there_or_not_whole(tmp_path: Path, left: tuple[str, ...]) -> None:
    (tmp_path / "songs").mkdir()
    for name in left:
        (tmp_path / "songs" / name).touch()
    with pytest.raises(UserError) as caught:
        Warehouse(str(tmp_path)).require("songs")
    assert str(caught.value) == f"table {tmp_path}/songs is missing or incomplete; run msd-spark ingest first"


def test_json_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nowhere\.json"):
        Warehouse(str(tmp_path)).read_json("nowhere.json")


@pytest.mark.parametrize("name", ["nowhere.txt", "."])
def test_text_files_that_are_not_there(tmp_path: Path, name: str) -> None:
    location = f"{tmp_path}/{name}"
    with pytest.raises(UserError) as caught:
        list(read_lines(location))
    assert str(caught.value) == f"lyrics: no file {location}"


# Ingest


# The pipeline


# Training


def test_a_dataset_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        Dataset.open(Warehouse(str(tmp_path)), "genre")
    assert str(caught.value) == f"table {tmp_path}/dataset/genre is missing or incomplete; run msd-spark dataset first"


@pytest.mark.parametrize("planned", [4, 6, 12])
def test_other_rows_than_planned(tmp_path: Path, planned: int) -> None:
    dataset = Dataset.open(write_tiny_dataset(tmp_path, {"train": [3, 2], "validation": [], "test": []}), "tiny")
    plan = RankPlan((0, 1), planned, -(-planned // 2))
    given: list[Any] = []
    with pytest.raises(UserError, match=f"^train: {planned} rows planned and 5 read from 2 files"):
        given.extend(batches(dataset.addresses("train"), plan, 2, dataset.geometry, Target.of("genre", dataset)))
    assert len(given) <= plan.steps


def test_a_file_that_was_replaced_by_a_shorter_one(tmp_path: Path) -> None:
    dataset = Dataset.open(write_tiny_dataset(tmp_path, {"train": [3, 4], "validation": [], "test": []}), "tiny")
    path = dataset.addresses("train")[1].removeprefix("file://")
    pq.write_table(pq.read_table(path).slice(0, 3), path)
    (plan,) = plan_epoch(dataset.rows("train"), ranks=1, batch=4)
    with pytest.raises(UserError, match="7 rows planned and 6 read from 2 files; was the dataset replaced"):
        list(batches(dataset.addresses("train"), plan, 4, dataset.geometry, Target.of("genre", dataset)))
