"""Inputs of an attack on the readers: links, pipes, columns in another order, archives with a wrong name."""

from __future__ import annotations

import io
import os
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from pyarrow import fs

from msd_spark.core.command_line import read_toml
from msd_spark.core.data_folder import _tags
from msd_spark.core.errors import UserError
from msd_spark.core.filesystems import open_location
from msd_spark.core.song_layout import TABLES
from msd_spark.core.warehouse import Warehouse
from msd_spark.formats.lastfm import EntryError
from msd_spark.ingest.listing import read_track_ids
from msd_spark.io.folders import File, list_folder, walk
from msd_spark.io.lines import read_lines
from msd_spark.io.zip_directory import members, slice_directory
from msd_spark.labels.lastfm_archives import _content, _tasks_of
from msd_spark.songfile.aggregate import describe, read_songs
from msd_spark.songfile.song import SongFileError
from tests.support.song_images import TRACK_ID, refusal, song_image

LOCAL = fs.LocalFileSystem()


def test_a_group_that_is_a_link_is_not_opened(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)  # to open it would block for ever

    def link(file: h5py.File) -> None:
        del file["metadata"]
        file["metadata"] = h5py.ExternalLink(str(pipe), "/metadata")

    image = song_image(link)
    assert refusal(image) == ("wrong_layout", "metadata/songs is a soft or external link")
    (tmp_path / "song.h5").write_bytes(image)
    assert describe(str(tmp_path / "song.h5")) is None


def reordered(file: h5py.File, *, drop: str = "", add: str = "") -> None:
    """Reverse the columns of every table; leave one out, or add one."""
    for table in TABLES:
        row = file[table.path][:]
        names = [name for name in reversed(row.dtype.names) if name != drop]
        kinds = [(name, row.dtype[name]) for name in names] + ([(add, "f8")] if add else [])
        other = np.zeros(len(row), kinds)
        for name in names:
            other[name] = row[name]
        del file[table.path]
        file[table.path] = other


def test_columns_of_an_aggregate_are_matched_by_name(tmp_path: Path) -> None:
    path = tmp_path / "aggregate.h5"
    scalars: dict[str, Any] = {"artist_name": b"artist", "title": b"title", "tempo": 120.5, "loudness": -7.5}
    path.write_bytes(song_image(lambda file: reordered(file, add="more"), **scalars))
    ((_, song),) = read_songs(str(path), 0, 1)
    assert not isinstance(song, SongFileError)
    assert [song[name] for name in scalars] == ["artist", "title", 120.5, -7.5]
    path.write_bytes(song_image(lambda file: reordered(file, drop="tempo"), **scalars))
    ((_, refused),) = read_songs(str(path), 0, 1)
    assert isinstance(refused, SongFileError)
    assert (refused.reason, refused.detail) == ("wrong_layout", "analysis/songs lacks tempo")


def test_a_tar_named_as_a_song_is_not_read_as_its_first_member() -> None:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        member = tarfile.TarInfo(f"{TRACK_ID}.h5")
        member.size = len(song_image())
        tar.addfile(member, io.BytesIO(song_image()))
    assert refusal(content.getvalue()) == ("not_hdf5", "it is a tar archive; rename it to .tar")


def test_a_link_to_itself_is_a_file_of_unknown_size(tmp_path: Path) -> None:
    (tmp_path / "self.h5").symlink_to("self.h5")
    assert list(walk(LOCAL, str(tmp_path))) == [File(f"{tmp_path}/self.h5", -1, 0)]
    assert list_folder(LOCAL, str(tmp_path)) == [("self.h5", False)]


def test_a_pipe_among_the_tags_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "TRAAAAA12903CAAAAA.json")
    read = _content(LOCAL, str(tmp_path / "TRAAAAA12903CAAAAA.json"))
    assert isinstance(read, EntryError)
    assert (read.reason, read.detail) == ("cannot_be_read", "it is a named pipe; name a regular file")


@pytest.mark.parametrize("line", [f'"{TRACK_ID}","x"', f"  {TRACK_ID}<SEP>SO<SEP>a", f"{TRACK_ID}\tx", TRACK_ID])
def test_track_ids_may_be_quoted_and_indented(tmp_path: Path, line: str) -> None:
    (tmp_path / "ids.txt").write_text(f"# ids\n\n{line}\n")
    assert read_track_ids(str(tmp_path / "ids.txt")) == [TRACK_ID]


@pytest.mark.parametrize("line", [f"{TRACK_ID}9", TRACK_ID.lower(), "track"])
def test_a_line_without_a_track_id_is_named(tmp_path: Path, line: str) -> None:
    (tmp_path / "ids.txt").write_text(f"{TRACK_ID}\n{line}\n")
    with pytest.raises(UserError, match=f"ids.txt, line 2: '{line}' does not begin with a track id; remove it"):
        read_track_ids(str(tmp_path / "ids.txt"))


@pytest.mark.parametrize(
    ("location", "message"),
    [
        ("s3:/bucket/w", r"'s3:/bucket/w' has one slash after its scheme; write s3://…, or ./s3:/bucket/w"),
        ("~/w", "'~/w' begins with ~"),
        ("~", "'~' begins with ~, which a shell replaces only without quotes; write \\$HOME, or ./~"),
        ("~me/w", "'~me/w' begins with ~"),
        ("file:~/w", "'file:~/w' begins with ~"),
        ("s3:///w", r"s3:///w has no bucket; write s3://BUCKET/PATH \(is a shell variable unset\?\)"),
        ("s3://", "s3:// has no bucket"),
    ],
)
def test_locations_that_a_slip_of_the_pen_makes_are_refused(location: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        open_location(location)


def test_a_scheme_may_be_in_upper_case(tmp_path: Path) -> None:
    assert open_location(f"FILE://{tmp_path}/w")[1] == f"{tmp_path}/w"


def zipped(**members: bytes) -> bytes:
    """Return a zip; ``__`` in a name is a backslash."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, data in members.items():
            archive.writestr(name.replace("__", "\\"), data)
    return content.getvalue()


def test_backslashes_in_the_names_of_a_zip_are_slashes() -> None:
    file = io.BytesIO(zipped(a__b=b"x"))
    (part,) = slice_directory(file, 10)
    assert [member.name for member in members(file, part)] == ["a/b"]


def test_noise_in_a_zip_is_noise_behind_a_backslash_too(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "labels.zip", "w") as archive:
        for name, content in (("a\\", ""), ("a\\labels.cls", "text"), ("__MACOSX\\a\\x", "noise")):
            archive.writestr(name, content)
    assert [line.text for line in read_lines(str(tmp_path / "labels.zip"))] == ["text"]


def test_a_label_file_of_two_zips_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "labels.cls.zip"
    path.write_bytes(zipped(a=b"1") + zipped(b=b"2"))
    with pytest.raises(UserError, match="holds several zip archives, one after the other; unpack it"):
        list(read_lines(str(path)))


def test_all_of_several_zips_of_tags_are_listed(tmp_path: Path) -> None:
    path = tmp_path / "TAGS.ZIP"
    path.write_bytes(zipped(a=b"1") + zipped(b=b"2"))
    assert len(_tasks_of(str(path))) == 2


def test_a_zip_of_tags_in_upper_case_is_found(tmp_path: Path) -> None:
    (tmp_path / "LASTFM.ZIP").touch()
    assert _tags(str(tmp_path)) == (f"{tmp_path}/LASTFM.ZIP",)


@pytest.mark.parametrize("text", ["x = " + "[" * 20_000, f"x = {'9' * 5_000}"], ids=["nested", "number"])
def test_odd_toml_names_the_file(tmp_path: Path, text: str) -> None:
    (tmp_path / "odd.toml").write_text(text)
    with pytest.raises(UserError, match=r"odd\.toml is not a readable TOML file: "):
        read_toml(tmp_path / "odd.toml")


def test_a_broken_log_of_a_table_is_named_with_a_remedy(tmp_path: Path) -> None:
    log = tmp_path / "labels" / "_delta_log"
    log.mkdir(parents=True)
    (log / "00000000000000000000.json").write_text('{"x":')
    with pytest.raises(UserError) as refused:
        Warehouse(str(tmp_path)).snapshot("labels")
    message = str(refused.value)
    assert message.startswith(f"table {tmp_path}/labels cannot be read: ")
    assert message.endswith("; copy it again, or delete this folder and run the command that writes it")
    assert len(message) < 400
    assert "\x1b" not in message
