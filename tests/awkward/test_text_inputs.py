"""Text files as users have them: byte order marks, compression, CSV, other encodings, quotes, cut-off lines."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from msd_spark.core.command_line import read_toml
from msd_spark.core.data_folder import DataFolder
from msd_spark.core.errors import UserError
from msd_spark.core.split_lists import read_split_list
from msd_spark.core.summary import Summary
from msd_spark.core.warehouse import Warehouse
from msd_spark.io.lines import read_lines
from msd_spark.labels.job import common_spellings, make_labels, read_label_file
from msd_spark.labels.lastfm_archives import plan_tasks
from msd_spark.labels.settings import LabelsSettings
from msd_spark.labels.tags import make_tags
from msd_spark.lyrics.job import make_lyrics
from msd_spark.lyrics.job import read_inputs as read_lyrics
from msd_spark.lyrics.settings import LyricsSettings
from msd_spark.lyrics.vector_files import read_vectors
from msd_spark.plays.job import make_plays
from msd_spark.plays.job import read_inputs as read_plays
from msd_spark.plays.settings import PlaysSettings
from tests.conftest import REPOSITORY

MARK = "\ufeff"
AWKWARD = REPOSITORY.parent / "shared" / "awkward-inputs"


def zipped(content: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("labels.cls", content)
        for noise in ("__MACOSX/._labels.cls", "._labels.cls", ".DS_Store", "Thumbs.db"):
            archive.writestr(noise, b"noise")
    return packed.getvalue()


PACKED: dict[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zip": zipped,
    "two gzip streams": lambda content: gzip.compress(content[:5]) + gzip.compress(content[5:]),
}


@pytest.fixture
def awkward() -> Path:
    if not AWKWARD.is_dir():
        pytest.skip(f"awkward inputs: no folder {AWKWARD}")
    return AWKWARD


@pytest.mark.parametrize("pack", PACKED.values(), ids=PACKED)
@pytest.mark.parametrize("mark", ["", MARK])
def test_lines_are_read_without_a_byte_order_mark(mark: str, pack: Callable[[bytes], bytes], tmp_path: Path) -> None:
    path = tmp_path / "lines"
    path.write_bytes(pack(f"{mark}one\ntwo{MARK}\nthree".encode()))
    lines = [(line.number, line.text, line.ended) for line in read_lines(str(path))]
    assert lines == [(1, "one", True), (2, f"two{MARK}", True), (3, "three", False)]


def tarred(content: bytes) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        member = tarfile.TarInfo("labels.cls")
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
    return packed.getvalue()


@pytest.mark.parametrize(
    "pack", [tarred, lambda text: gzip.compress(tarred(text)), lambda text: gzip.compress(zipped(text))]
)
def test_an_archive_in_an_archive_is_no_text(pack: Callable[[bytes], bytes], tmp_path: Path) -> None:
    (tmp_path / "labels.cls.gz").write_bytes(pack(labels("Rock").encode()))
    with pytest.raises(UserError, match=r"/labels\.cls\.gz is not a text file: it has null bytes, .*; unpack it or"):
        read_label_file(str(tmp_path / "labels.cls.gz"))


def test_an_empty_file_has_no_lines(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    assert list(read_lines(str(tmp_path / "empty"))) == []


def test_lines_that_are_not_utf8_are_latin1(tmp_path: Path) -> None:
    (tmp_path / "lines").write_bytes("Björk\n".encode("latin-1") + "Björk\n".encode())
    lines = [(line.text, line.is_latin1) for line in read_lines(str(tmp_path / "lines"))]
    assert lines == [("Björk", True), ("Björk", False)]


def test_a_byte_order_mark_in_settings_is_ignored(tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text(f"{MARK}epochs = 3\n")
    assert read_toml(tmp_path / "settings.toml") == {"epochs": 3}


def label_file(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    return str(path)


def track(number: int) -> str:
    return f"TR{number:016}"


def labels(*lines: str) -> str:
    return "".join(f"{track(number)}\t{line}\n" for number, line in enumerate(lines, 1))


@pytest.mark.parametrize("pack", PACKED.values(), ids=PACKED)
def test_packed_labels_are_the_same(pack: Callable[[bytes], bytes], tmp_path: Path) -> None:
    read = read_label_file(label_file(tmp_path / "genres", pack((MARK + labels("Rock", "Pop\tRock")).encode())))
    assert read.labels.to_numpy().tolist() == [[track(1), "Rock", None], [track(2), "Pop", "Rock"]]
    assert (read.n_lines, read.rejections, read.changed) == (2, [], {})


def test_genres_are_decoded_unquoted_and_merged_by_a_rule_and_counted(tmp_path: Path) -> None:
    content = labels('"Rock"', "rock", "Rock", "ROCK\tPop", "Rock\trock", "Rock\tRock", 'Rock 7" mix').encode() + (
        f"{track(8)}\tRégional\n".encode("latin-1")
    )
    read = read_label_file(label_file(tmp_path / "genres.cls", content))
    assert read.labels["genre"].tolist() == ["Rock"] * 6 + ['Rock 7" mix', "Régional"]
    assert read.labels["minority_genre"].tolist() == [None, None, None, "Pop", None, None, None, None]
    assert read.changed == {"decoded as Latin-1": 1, "with quotes removed": 1, "respelled in another letter case": 3}
    summary = Summary("labels")
    options = LabelsSettings(source=(f"own={tmp_path / 'genres.cls'}",), min_examples=1, warehouse=str(tmp_path / "w"))
    make_labels(options, summary)
    assert summary.facts["labels of own respelled in another letter case"] == 3
    assert summary.facts["labels of own decoded as Latin-1"] == 1


def test_an_encrypted_zip_is_refused_in_one_line(tmp_path: Path) -> None:
    content = bytearray(zipped(b"text"))
    for header in (b"PK\x03\x04", b"PK\x01\x02"):
        at = content.index(header) + (6 if header[2] == 3 else 8)
        content[at] |= 1
    (tmp_path / "labels.zip").write_bytes(content)
    with pytest.raises(UserError, match=r"labels\.zip is encrypted; unpack it"):
        read_label_file(str(tmp_path / "labels.zip"))


def test_a_line_of_any_length_takes_little_memory(tmp_path: Path) -> None:
    (tmp_path / "zeros.xz").write_bytes(lzma.compress(b"0" * (50 << 20) + b"\nend\n", preset=0))
    long, end = read_lines(str(tmp_path / "zeros.xz"))
    assert len(long.text) <= 6 << 20
    assert end.text == "end"


def test_the_most_frequent_spelling_is_kept() -> None:
    genres = ["rock", "Rock", "Rock", "POP", "Pop"]
    assert common_spellings(genres) == {"rock": "Rock", "Rock": "Rock", "POP": "POP", "Pop": "POP"}


@pytest.mark.parametrize(("last", "kept"), [("Rock", True), ("Ro", False), ("Rock\tPo", False), ("Rock\tPop", True)])
def test_a_label_that_may_be_cut_off_is_kept_only_if_its_genres_are_known(
    last: str, kept: bool, tmp_path: Path
) -> None:
    content = labels("Rock", "Pop", last).removesuffix("\n")
    read = read_label_file(label_file(tmp_path / "genres.cls", content.encode()))
    assert len(read.labels) == 2 + kept
    assert [(one.reason, one.member) for one in read.rejections] == ([] if kept else [("truncated_line", "line 3")])


def test_labels_that_are_all_rejected_replace_nothing(tmp_path: Path) -> None:
    options = LabelsSettings(
        source=(f"own={label_file(tmp_path / 'genres', labels('Rock').encode())}",),
        min_examples=1,
        warehouse=str(tmp_path / "w"),
    )
    make_labels(options, Summary("labels"))
    label_file(tmp_path / "genres", b"TR1\tRock\nTR2\tPop\n" + f"{track(1)}\n".encode())
    reason = r"no label can be used: 2 of 3 rejected as bad_track_id, such as .*/genres line 1: 'TR1'; the table is"
    with pytest.raises(UserError, match=reason):
        make_labels(options, Summary("labels"))
    assert Warehouse(options.warehouse).read_table(["genre"], "labels")["genre"].to_pylist() == ["Rock"]


def test_split_lists_may_be_csv() -> None:
    lines = ["track_id,title", f'"{track(1)}","A, B"', f"{track(2)};x", f"{track(3)}\tx", track(4)]
    ids, refused = read_split_list(lines)
    assert ids == [track(number) for number in range(1, 5)]
    assert refused == [(1, "bad_id", "track_id,title")]


def write_vectors(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


@pytest.mark.parametrize("header", ["", "2 3\n"])
@pytest.mark.parametrize("mark", ["", MARK])
@pytest.mark.parametrize("blank", ["", "\n", "\n \n"])
def test_vectors_may_end_in_blank_lines(header: str, mark: str, blank: str, tmp_path: Path) -> None:
    path = write_vectors(tmp_path / "vectors.txt", f"{mark}{header}love 1 2 3\nyou 4 5 6\n{blank}")
    vectors, _ = read_vectors(str(path), ["love", "you"])
    np.testing.assert_array_equal(vectors["love"], [1, 2, 3])
    np.testing.assert_array_equal(vectors["you"], [4, 5, 6])


def test_every_source_is_found_packed_and_in_any_letter_case(tmp_path: Path) -> None:
    names = {
        "tagtraum": ["msd_tagtraum_cd1.cls.zip", "MSD_Tagtraum_CD2.CLS.gz"],
        "magd": ["msd-MAGD-genreAssignment.cls.xz"],
        "tasteprofile": ["train_triplets.CSV.bz2", "sid_mismatches.txt.gz"],
        "musixmatch": ["mxm_dataset_train.txt.zip", "mxm_dataset_test.txt", "mxm_dataset_test.txt.zip"],
    }
    for folder, files in names.items():
        (tmp_path / folder).mkdir()
        for file in files:
            (tmp_path / folder / file).touch()
    found = DataFolder.find(tmp_path)
    paths = [*found.labels.values(), found.triplets, found.mismatches, found.bags_train, found.bags_test]
    assert [path and Path(path).name for path in paths] == [
        *names["tagtraum"], *names["magd"], *names["tasteprofile"], *names["musixmatch"][:2]
    ]  # fmt: skip
    assert set(found.labels) == {"cd1", "cd2", "magd"}


def plays_settings(folder: Path, name: str, content: bytes) -> PlaysSettings:
    (folder / name).write_bytes(content)
    tracks = "".join(f"{track(one)}<SEP>{song(one)}<SEP>artist<SEP>title\n" for one in (1, 2))
    (folder / "unique_tracks.txt").write_text(MARK + tracks)
    uri = str(folder / "w")
    return PlaysSettings(str(folder / name), tracks=str(folder / "unique_tracks.txt"), warehouse=uri, range_bytes=64)


def song(number: int) -> str:
    return f"SO{number:016}"


def plays_of(settings: PlaysSettings) -> list[tuple[Any, ...]]:
    rows = Warehouse(settings.warehouse).read_table(["user_id", "track_id", "plays"], "plays").to_pandas()
    return sorted(rows.itertuples(index=False, name=None))


def test_triplets_may_be_packed_csv_with_a_header_and_bad_ones_replace_nothing(
    spark: SparkSession, tmp_path: Path
) -> None:
    user = "a" * 40
    lines = ["user_id,song_id,listen_count", f"{user},{song(1)},3", f'"{user}","{song(2)}","4"']
    content = "".join(f"{line}\n" for line in lines)
    expected = [(user, track(1), 3), (user, track(2), 4)]
    for name, packed in {"t.csv": content.encode("utf-8-sig"), "t.csv.bz2": bz2.compress(content.encode())}.items():
        settings = plays_settings(tmp_path, name, packed)
        summary = make_plays(spark, settings, read_plays(settings))
        assert (summary.facts["lines"], summary.facts["rejected"]) == (3, 1)
        assert plays_of(settings) == expected
        rejected = Warehouse(settings.warehouse).read_table(["member", "reason"], "rejected", "stage=plays")
        assert rejected.to_pylist() == [{"member": "line 1", "reason": "header"}]

    settings = plays_settings(tmp_path, "bad.txt", f"{lines[0]}\n{user} {song(1)} 3\n{user} {song(2)} 4\n".encode())
    reason = r"no triplet can be used: 2 of 3 rejected as wrong_fields, such as .*bad\.txt line 2: a{40} SO"
    with pytest.raises(UserError, match=reason):
        make_plays(spark, settings, read_plays(settings))
    assert plays_of(settings) == expected


def lyrics_settings(folder: Path, bags: str, encoding: str = "utf-8") -> tuple[LyricsSettings, Warehouse]:
    """Return settings for a file of bags of the words i and the, and a warehouse with an older table."""
    warehouse = Warehouse(str(folder / "w"))
    warehouse.write_arrow(pa.table({"track_id": ["good"]}), "lyrics")
    vectors = write_vectors(folder / "v.txt", "".join(f"{word} {'1 ' * 49}1\n" for word in ("i", "the")))
    (folder / "bags.txt").write_text(bags, encoding)
    return LyricsSettings(str(folder / "bags.txt"), warehouse=str(folder / "w"), vectors=str(vectors)), warehouse


def test_lyrics_that_are_all_rejected_replace_nothing(spark: SparkSession, tmp_path: Path) -> None:
    settings, warehouse = lyrics_settings(tmp_path, f"%i,the\n{track(1)}, 5, 1:2\n{track(2)}, 6, 1:2, 2:1\n")
    with pytest.raises(UserError, match=r"no line of lyrics can be used: 2 of 2 rejected as bad_\w+, such as .*line 2"):
        make_lyrics(spark, settings, read_lyrics(settings))
    assert warehouse.read_table(None, "lyrics")["track_id"].to_pylist() == ["good"]


def test_words_that_are_not_utf8_are_latin1_and_counted(spark: SparkSession, tmp_path: Path) -> None:
    settings, warehouse = lyrics_settings(tmp_path, f"# é\n%i, the, \xbf, é\n{track(1)},5,1:2,4:1\né\n", "latin-1")
    summary = make_lyrics(spark, settings, read_lyrics(settings))
    assert summary.facts["words decoded as Latin-1"] == 2
    assert warehouse.read_table(None, "lyric_words")["word"].to_pylist() == ["i", "the", "\xbf", "é"]
    assert warehouse.read_table(None, "rejected", "stage=lyrics")["detail"].to_pylist() == ["'é'"]


def test_files_of_tags_are_read_rejected_or_skipped_and_counted(spark: SparkSession, tmp_path: Path) -> None:
    entry = b'{"track_id": "%s", "tags": [["rock", "9"]]}'
    files = {
        "a/1.JSON": entry % track(1).encode(),
        "a/2.json.gz": gzip.compress(entry % track(2).encode()),
        "a/cut.json.gz": gzip.compress(entry)[:-9],
        "a/large.json.xz": lzma.compress(b" " * (17 << 20)),
        "a/more.zip": zipped(entry),
        "a/._1.json": b"noise",
        "readme.txt": b"text",
    }
    with zipfile.ZipFile(tmp_path / "tags.zip", "w") as archive:
        for name, content in files.items():
            (tmp_path / "tags" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "tags" / name).write_bytes(content)
            archive.writestr(name, content)
    for place in ("tags", "tags.zip"):
        settings = LabelsSettings(tags=(str(tmp_path / place),), warehouse=str(tmp_path / "w"))
        summary = Summary("labels")
        make_tags(spark, settings, plan_tasks(settings.tags), summary)
        assert [summary.facts[name] for name in ("entries of tags", "entries rejected", "tracks with tags")] == [
            4,
            2,
            2,
        ]
        skipped = {name: count for name, count in summary.facts.items() if "skipped" in name}
        assert skipped == {f"files skipped, {reason}": 1 for reason in ("archive", "noise", "other_file")}
        assert summary.details["skipped"]["archive"].endswith("a/more.zip")
        rejected = Warehouse(settings.warehouse).read_table(["reason"], "rejected", "stage=tags")["reason"]
        assert sorted(rejected.to_pylist()) == ["cannot_be_decompressed", "implausible_size"]
    (tmp_path / "only").mkdir()
    (tmp_path / "only" / "more.ZIP").touch()
    settings = LabelsSettings(tags=(str(tmp_path / "only"),), warehouse=str(tmp_path / "w"))
    with pytest.raises(
        UserError, match=r"no Last.fm entry in .*/only; 1 skipped as archive, such as .*/more\.ZIP; --ta"
    ):
        make_tags(spark, settings, plan_tasks(settings.tags), Summary("labels"))


def test_tables_stay_if_rejected_rows_cannot_be_written(spark: SparkSession, tmp_path: Path) -> None:
    settings, warehouse = lyrics_settings(tmp_path, f"%i,the\n{track(1)},5,1:2,2:1\nbad\n")
    warehouse.write_arrow(pa.table({"genre": ["good"]}), "labels")
    (tmp_path / "w" / "rejected").write_text("a file")
    with pytest.raises(UserError, match=r"rejected.* cannot be written: .*make it a writable folder"):
        make_lyrics(spark, settings, read_lyrics(settings))
    file = label_file(tmp_path / "genres", f"{track(1)}\tRock\nbad\tRock\n".encode())
    with pytest.raises(UserError, match=r"rejected.* cannot be written: .*make it a writable folder"):
        make_labels(LabelsSettings(cd1=file, min_examples=1, warehouse=warehouse.root), Summary("labels"))
    assert warehouse.read_table(None, "lyrics")["track_id"].to_pylist() == ["good"]
    assert warehouse.read_table(None, "labels")["genre"].to_pylist() == ["good"]
    assert not warehouse.is_complete("lyric_words")


def test_the_text_inputs_of_users_are_read(awkward: Path) -> None:
    for name in ("deflated.cls.zip", "bom.cls"):
        read = read_label_file(str(awkward / "labels" / name))
        assert read.rejections == []
        assert len(read.labels) == read.n_lines > 5
    for name in ("glove_blank_last_line.txt", "glove_bom.txt"):
        vectors, _ = read_vectors(str(awkward / "lyrics" / name), ["i"])
        assert list(vectors) == ["i"]
    first = next(iter(read_lines(str(awkward / "ingest" / "unique_tracks_bom.txt"))))
    assert first.text.startswith("TRLALZS128FC105FCA<SEP>")
    settings = LyricsSettings(str(awkward / "lyrics" / "made_on_a_mac.zip"), vectors="train")
    assert len(read_lyrics(settings).stems) > 100
    with pytest.raises(UserError, match=r"cut\.txt\.gz is damaged"):
        read_plays(PlaysSettings(str(awkward / "plays" / "cut.txt.gz"), tracks=str(awkward / "plays" / "commas.csv")))
