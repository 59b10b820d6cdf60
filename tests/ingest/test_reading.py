from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pyarrow import fs

from msd_spark.core.delta import Destination
from msd_spark.core.rejections import Rejection
from msd_spark.ingest import loose, reading
from msd_spark.ingest.archives import Item
from msd_spark.ingest.loose import TEMPORARY
from msd_spark.ingest.reading import read_unit
from msd_spark.ingest.settings import IngestSettings
from msd_spark.ingest.units import Kind, SongInput, Unit
from msd_spark.ingest.work import do_unit
from msd_spark.io.folders import READS_AT_ONCE
from msd_spark.songfile.parse import LARGEST_SONG_FILE
from tests.support.without_spark import image, track, write_songs


def read(*sources: Path | str, size: int = 1) -> list[Item]:
    return list(read_unit(Unit.of(Kind.FILES, "/d", [SongInput(str(source), size, 1) for source in sources])))


def refusal(source: Path | str, size: int = 1) -> tuple[str, str]:
    (item,) = read(source, size=size)
    assert isinstance(item, Rejection)
    assert item.detail
    return item.source, item.reason


def test_loose_files_come_in_order_with_their_source(tmp_path: Path) -> None:
    paths = write_songs(tmp_path, [3, 1, 2])
    songs = [item for item in read(*paths) if isinstance(item, dict)]
    assert [song["track_id"] for song in songs] == [track(3), track(1), track(2)]
    assert [(song["source"], song["member"]) for song in songs] == [(str(path), None) for path in paths]


def test_a_track_that_is_twice_in_a_unit_is_one_song_and_one_duplicate(tmp_path: Path) -> None:
    first, other = write_songs(tmp_path / "a", [1, 2])
    (again,) = write_songs(tmp_path / "b", [1])
    unit = Unit.of(Kind.FILES, "/d", [SongInput(str(path), 1, 1) for path in (first, other, again)])
    (tmp_path / "songs").mkdir()
    outcome = do_unit(unit, IngestSettings(("/d",)), Destination(str(tmp_path / "songs"), "0" * 8))
    assert outcome.track_ids == [track(1), track(2)]
    assert [(one.source, one.reason) for one in outcome.duplicates] == [(str(again), "duplicate_track_id")]
    assert sum(file.rows for file in outcome.files) == 2
    assert outcome.n_inputs == 3


@pytest.mark.parametrize("name", ["a b", "a#b", "a%20b", "a?b", "ü", "a,b"])
def test_folders_of_any_name_are_read(tmp_path: Path, name: str) -> None:
    (path,) = write_songs(tmp_path / name, [1])
    for source in (str(path), f"file://{path}"):
        (song,) = read(source)
        assert isinstance(song, dict)
        assert song["source"] == source


def test_a_name_that_is_not_utf8_is_written_with_escapes(tmp_path: Path) -> None:
    path = tmp_path / "\udcff.h5"
    path.write_bytes(image(1))
    (song,) = read(path)
    assert isinstance(song, dict)
    assert song["source"] == f"{tmp_path}/\\udcff.h5"


def test_files_without_a_song_have_a_reason(tmp_path: Path) -> None:
    for name, content in (("1", b""), ("2", b"hello"), (track(3), image(4)), ("5", image(5)[:4000])):
        (tmp_path / f"{name}.h5").write_bytes(content)
    assert refusal(tmp_path / "1.h5") == (f"{tmp_path}/1.h5", "empty_file")
    assert refusal(tmp_path / "2.h5") == (f"{tmp_path}/2.h5", "not_hdf5")
    assert refusal(tmp_path / f"{track(3)}.h5") == (f"{tmp_path}/{track(3)}.h5", "track_id_mismatch")
    assert refusal(tmp_path / "5.h5") == (f"{tmp_path}/5.h5", "truncated")


def test_unreadable_files_are_retried_next_time(tmp_path: Path) -> None:
    (tmp_path / "link.h5").symlink_to(tmp_path / "nowhere")
    assert refusal(tmp_path / "gone.h5") == (f"{tmp_path}/gone.h5", "not_found")
    assert refusal(tmp_path / "link.h5") == (f"{tmp_path}/link.h5", "not_found")
    assert refusal(tmp_path) == (str(tmp_path), "cannot_be_read")
    assert {"not_found", "cannot_be_read"} <= TEMPORARY


def test_a_file_too_large_for_a_song_is_not_opened(tmp_path: Path) -> None:
    assert refusal(tmp_path / "gone.h5", LARGEST_SONG_FILE + 1) == (f"{tmp_path}/gone.h5", "implausible_size")


class Store:
    """A remote store that returns the song of each key, or the error of the key's first letter."""

    def open_input_stream(self, path: str, compression: str | None = "detect") -> Any:
        errors = {
            "D": OSError(f"When reading {path}: AWS Error ACCESS_DENIED during HeadObject operation"),
            "F": OSError("HTTP status Forbidden"),
            "P": PermissionError(13, "Permission denied"),
            "N": FileNotFoundError(2, f"Path does not exist '{path}'"),
            "X": OSError("AWS Error NETWORK_CONNECTION during GetObject operation: curlCode: 28, Timeout"),
        }
        if path[0] in errors:
            raise errors[path[0]]
        return fs.LocalFileSystem().open_input_stream(path, compression=compression)


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> None:
    def open_location(location: str) -> tuple[Any, str, str]:
        return Store(), location.removeprefix("s3://"), "s3://"

    monkeypatch.setattr(loose, "open_location", open_location)


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize(
    ("key", "reason"),
    [("D", "denied"), ("F", "denied"), ("P", "denied"), ("N", "not_found"), ("X", "cannot_be_read")],
)
def test_errors_of_a_store_become_temporary_reasons(key: str, reason: str) -> None:
    assert refusal(f"s3://{key}/{track(1)}.h5") == (f"s3://{key}/{track(1)}.h5", reason)
    assert reason in TEMPORARY


@pytest.mark.usefixtures("store")
def test_many_remote_files_come_in_order_despite_errors(tmp_path: Path) -> None:
    paths = write_songs(tmp_path, range(3 * READS_AT_ONCE))
    sources = [f"s3://{path}" for path in paths]
    sources[5], sources[-1] = "s3://N/5.h5", "s3://D/6.h5"
    found = [item["source"] if isinstance(item, dict) else item.reason for item in read(*sources)]
    assert found == [*sources[:5], "not_found", *sources[6:-1], "denied"]


def test_rows_of_an_unreadable_file_are_all_accounted_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def open_location(_location: str) -> tuple[Any, str, str]:
        raise PermissionError(13, "no")

    monkeypatch.setattr(reading, "open_location", open_location)
    found = list(read_unit(Unit.of(Kind.AGGREGATE, "s3://b", [SongInput("s3://b/a.h5", 1, 1)], 3, 6)))
    assert [(item.member, item.reason) for item in found if isinstance(item, Rejection)] == [
        ("row 3", "denied"),
        ("row 4", "denied"),
        ("row 5", "denied"),
    ]


def test_a_summary_file_is_one_rejection() -> None:
    (item,) = read_unit(Unit.of(Kind.SUMMARY, "/d", [SongInput("/d/summary.h5", 1, 1)], 0, 1))
    assert isinstance(item, Rejection)
    assert (item.source, item.reason) == ("/d/summary.h5", "summary_file")
    assert "--summaries rows" in item.detail
