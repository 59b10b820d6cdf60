"""Tar archives, aggregates and summaries contain the song files; equal settings write equal bytes."""

from __future__ import annotations

import hashlib
import tarfile
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from msd_spark.core.song_layout import ARRAYS, TABLES
from msd_spark.synthetic.catalogue import make_catalogue
from msd_spark.synthetic.metadata import song_file
from msd_spark.synthetic.packaging import Appender
from msd_spark.synthetic.run import generate
from msd_spark.synthetic.settings import SyntheticSettings
from msd_spark.synthetic.song_image import song_image
from msd_spark.synthetic.template import create_layout


def digests(folder: Path) -> dict[str, str]:
    """Hash every file below a folder."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def loose_files(folder: Path) -> dict[str, bytes]:
    """Read the loose files by their path below ``songs``."""
    songs = folder / "songs"
    return {str(path.relative_to(songs)): path.read_bytes() for path in songs.rglob("*.h5")}


@pytest.mark.parametrize("ending", ["tar", "tar.gz"])
def test_tar_members_are_the_loose_files(packed: Path, ending: str) -> None:
    members = {}
    for path in (packed / "tar").glob(f"*.{ending}"):
        with tarfile.open(path) as archive:
            for member in archive.getmembers():
                assert member.name[0] == path.name[0]
                if member.isfile():
                    stream = archive.extractfile(member)
                    assert stream is not None
                    members[member.name] = stream.read()
    assert members == loose_files(packed)


def test_aggregates_hold_the_songs_of_the_loose_files(packed: Path, packed_settings: SyntheticSettings) -> None:
    paths = sorted((packed / "aggregate").glob("*.h5"))
    assert [path.name for path in paths] == [f"aggregate-{number:03d}.h5" for number in range(3)]
    catalogue, track = make_catalogue(packed_settings), 0
    for path in paths:
        with h5py.File(path) as many:
            rows = {table.group: many[table.path][...] for table in TABLES}
            for place in range(len(rows["analysis"])):
                name = catalogue.track_id(track)
                with h5py.File(packed / "songs" / name[2] / name[3] / name[4] / f"{name}.h5") as one:
                    for table in TABLES:
                        actual, expected = rows[table.group][place], one[table.path][0]
                        for column in table.columns.names or ():
                            if not column.startswith("idx_"):
                                assert actual[column].tobytes() == expected[column].tobytes(), column
                    for array in ARRAYS:
                        index = rows[array.group][array.index_column]
                        end = index[place + 1] if place + 1 < len(index) else len(many[array.path])
                        slice_ = many[array.path][index[place] : end]
                        np.testing.assert_array_equal(slice_, one[array.path][...], err_msg=array.path)
                track += 1
    assert track == packed_settings.songs


def test_summaries_hold_the_tables_of_the_aggregates(packed: Path) -> None:
    for path in (packed / "summary").glob("*.h5"):
        twin = packed / "aggregate" / path.name.replace("summary", "aggregate")
        with h5py.File(path) as summary, h5py.File(twin) as aggregate:
            for table in TABLES:
                for column in table.columns.names or ():
                    actual = summary[table.path][column]
                    if column.startswith("idx_"):
                        assert not actual.any()
                    else:
                        assert actual.tobytes() == aggregate[table.path][column].tobytes()


def test_song_files_are_written_only_on_request(tmp_path: Path, packed_settings: SyntheticSettings) -> None:
    generate(replace(packed_settings, songs=3, packaging=("tar",)), tmp_path)
    assert not (tmp_path / "songs").exists()


def test_same_bytes_whatever_the_number_of_processes(
    packed: Path, tmp_path: Path, packed_settings: SyntheticSettings
) -> None:
    generate(replace(packed_settings, workers=2), tmp_path)
    assert digests(tmp_path) == digests(packed)


def test_another_seed_generates_other_songs(packed: Path, tmp_path: Path, packed_settings: SyntheticSettings) -> None:
    generate(replace(packed_settings, seed=8, packaging=("files",)), tmp_path)
    assert not loose_files(tmp_path).keys() & loose_files(packed).keys()


def test_a_larger_catalogue_begins_with_the_same_songs(
    folder: Path, packed: Path, packed_settings: SyntheticSettings
) -> None:
    small, large = loose_files(packed), loose_files(folder)
    assert len(small) == packed_settings.songs
    assert {name: large[name] for name in small} == small


def test_song_image_reads_as_a_file_written_by_the_library(tmp_path: Path) -> None:
    catalogue = make_catalogue(SyntheticSettings(songs=30))
    for track in (0, 11, 17, 23):  # plain, shortest, longest, silent
        song = song_file(catalogue, track)
        path = tmp_path / f"{track}.h5"
        with h5py.File(path, "w", libver=("earliest", "latest")) as file:
            create_layout(file)
            for item, values in [(table, song.rows[table.group]) for table in TABLES] + [
                (array, song.arrays[array.path]) for array in ARRAYS if array.path in song.arrays
            ]:
                appender = Appender(file, item)
                appender.append(values)
                appender.finish()
        image_path = tmp_path / f"{track}-image_path.h5"
        image_path.write_bytes(song_image(song))
        with h5py.File(path) as library, h5py.File(image_path) as image:
            for item in (*TABLES, *ARRAYS):
                assert image[item.path][...].tobytes() == library[item.path][...].tobytes()
                assert image[item.path].id.get_num_chunks() == library[item.path].id.get_num_chunks()


def test_more_chunks_than_the_index_can_store_are_rejected() -> None:
    song = song_file(make_catalogue(SyntheticSettings(songs=1)), 0)
    song.arrays["analysis/segments_pitches"] = np.zeros((85 * 64 + 1, 12))
    with pytest.raises(ValueError, match="65 chunks"):
        song_image(song)
