from __future__ import annotations

import zipfile
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from msd_spark.core.command_line import run_verb
from msd_spark.core.delta import logical_name
from msd_spark.core.errors import UserError
from msd_spark.core.schemas import PLAYS, POPULARITY
from msd_spark.core.summary import Summary
from msd_spark.core.warehouse import Warehouse
from msd_spark.plays import job
from msd_spark.plays.job import read_inputs
from msd_spark.plays.settings import PlaysSettings

TABLES = ("plays", "popularity", "rejected/stage=plays")
U1, U2, U3 = ("1" * 40, "2" * 40, "3" * 40)


def song(number: int) -> str:
    return f"SO{number:016}"


def track(number: int) -> str:
    return f"TR{number:016}"


def make_plays(spark: SparkSession, settings: PlaysSettings) -> Summary:
    return job.make_plays(spark, settings, read_inputs(settings))


def write_sources(folder: Path, lines: list[str]) -> PlaysSettings:
    """Songs 1 to 4 have tracks 10, 20, …; song 1 also has 11; 10 is a mismatch, as is 40, the only track of song 4."""
    (folder / "train_triplets.txt").write_text("".join(f"{line}\n" for line in lines), newline="")
    pairs = [(11, 1), (10, 1), (20, 2), (30, 3), (40, 4)]
    tracks = [f"{track(one)}<SEP>{song(of)}<SEP>artist<SEP>title\n" for one, of in pairs]
    (folder / "unique_tracks.txt").write_text("".join(tracks))
    wrong = [f"ERROR: <{song(of)} {track(one)}> a  -  t  !=  b  -  u\n" for one, of in ((10, 1), (40, 4), (40, 4))]
    (folder / "sid_mismatches.txt").write_text("".join(wrong))
    return PlaysSettings(
        str(folder / "train_triplets.txt"),
        str(folder / "sid_mismatches.txt"),
        tracks=str(folder / "unique_tracks.txt"),
        warehouse=str(folder / "warehouse"),
        range_bytes=100,
    )


LINES = [
    f"{U1}\t{song(1)}\t3",
    f"{U2}\t{song(1)}\t4",
    f"{U2}\t{song(9)}\t1",
    "no triplet",
    f"{U1}\t{song(1)}\t2",
    f"{U1}\t{song(4)}\t9",
    f"{U3}\t{song(2)}\t0",
    f"{U3}\t{song(2)}\t7",
    f"{U3}\t{song(2)}\t2147483647",
    f"{U3}\t{song(3)}\t5",
    f"{U1}\t{song(9)}\t5",
    f"{U1}\t{song(8)}\t5",
]


def rows(uri: str, table: str) -> list[tuple[Any, ...]]:
    return list(pq.read_table(f"{uri}/{table}").to_pandas().itertuples(index=False, name=None))


def rejected(uri: str) -> list[tuple[str, str]]:
    table = pq.read_table(f"{uri}/rejected/stage=plays", partitioning=None).to_pandas()
    return sorted(zip(table["member"], table["reason"], strict=True))


def contents(uri: str) -> list[tuple[str, bytes]]:
    """Return the bytes of all data files, with names without the part that differs between runs."""
    warehouse = Warehouse(uri)
    paths = [path for name in TABLES for path in warehouse.paths(*name.split("/"))]
    return [(logical_name(path), Path(path).read_bytes()) for path in paths]


def files(uri: str) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in Path(uri).rglob("*") if path.is_file()}


def test_every_line_is_accounted_for(spark: SparkSession, tmp_path: Path) -> None:
    settings = write_sources(tmp_path, LINES)
    summary = make_plays(spark, settings)
    uri = settings.warehouse
    assert sorted(rows(uri, "plays")) == [
        (U1, track(11), 5),
        (U2, track(11), 4),
        (U3, track(20), 2147483654),
        (U3, track(30), 5),
    ]
    # Of 3 tracks the deciles are 9 - 10 * 0 // 3, 9 - 10 * 1 // 3 and 9 - 10 * 2 // 3.
    assert rows(uri, "popularity") == [
        (track(20), 2147483654, 1, 1, 9),
        (track(11), 9, 2, 2, 6),
        (track(30), 5, 1, 3, 3),
    ]
    assert rejected(uri) == [("line 4", "wrong_fields"), ("line 7", "bad_count")]
    expected = {
        "lines": 12,
        "triplets of tracks": 6,
        "rejected": 2,
        "triplets of songs without a track": 3,
        "triplets of mismatched songs": 1,
        "pairs of user and track": 4,
        "triplets merged with another": 2,
        "users": 3,
        "tracks": 3,
        "songs": 6,
        "songs without a track": 2,
        "songs with several tracks": 1,
        "mismatched songs left out": 1,
        "mismatches listed": 2,
    }
    assert summary.facts == expected
    assert summary.details["songs_without_a_track"] == [
        {"song_id": song(9), "triplets": 2, "plays": 6},
        {"song_id": song(8), "triplets": 1, "plays": 5},
    ]
    for name, schema in (("plays", PLAYS), ("popularity", POPULARITY)):
        assert pq.read_schema(next(Path(uri, name).glob("*.parquet"))).equals(schema)

    before = contents(uri)
    make_plays(spark, settings)
    assert contents(uri) == before


def test_mismatches_are_kept_with_keep_mismatches(spark: SparkSession, tmp_path: Path) -> None:
    settings = write_sources(tmp_path, LINES)
    summary = make_plays(spark, replace(settings, keep_mismatches=True))
    assert (U1, track(40), 9) in rows(settings.warehouse, "plays")
    # Song 1 counts for its track that is not a mismatch.
    assert {row[1] for row in rows(settings.warehouse, "plays")} == {track(n) for n in (11, 20, 30, 40)}
    assert (summary.facts["triplets of mismatched songs"], summary.facts["mismatched songs left out"]) == (0, 0)


def test_an_archive_yields_the_same_tables_as_its_file(spark: SparkSession, tmp_path: Path) -> None:
    settings = write_sources(tmp_path, LINES)
    make_plays(spark, settings)
    expected = {name: rows(settings.warehouse, name) for name in ("plays", "popularity")}
    with zipfile.ZipFile(tmp_path / "train_triplets.txt.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(str(settings.triplets), "train_triplets.txt")
    zipped = replace(settings, triplets=f"{settings.triplets}.zip")
    make_plays(spark, zipped)
    assert {name: rows(settings.warehouse, name) for name in expected} == expected
    assert rejected(settings.warehouse) == [("line 4", "wrong_fields"), ("line 7", "bad_count")]


def test_bad_inputs_are_refused_and_leave_the_tables_alone(spark: SparkSession, tmp_path: Path) -> None:
    settings = write_sources(tmp_path, LINES)
    make_plays(spark, settings)
    before = files(settings.warehouse)
    (tmp_path / "strange.txt").write_text("a line\n")
    (tmp_path / "strange.zip").write_bytes(b"PK\3\4 no zip")
    (tmp_path / "unknown.txt").write_text(f"{U1}\t{song(9)}\t1\n")
    (tmp_path / "empty.txt").touch()
    changes: tuple[tuple[dict[str, Any], str], ...] = (
        ({"triplets": str(tmp_path / "none.txt")}, r"^no file .*none\.txt"),
        ({"triplets": str(tmp_path / "strange.zip")}, r"strange\.zip is damaged: .*; fetch it again"),
        ({"triplets": str(tmp_path / "unknown.txt")}, r"no triplet of .* without a track 1.*; check --tracks"),
        ({"triplets": str(tmp_path / "empty.txt")}, r"empty\.txt is empty; fetch it again"),
        ({"tracks": str(tmp_path / "strange.txt")}, r"no line of .*strange\.txt names a song and a track"),
        ({"tracks": None}, r"table .*/songs is missing; run msd-spark ingest"),
    )
    for change, message in changes:
        with pytest.raises(UserError, match=message):
            make_plays(spark, replace(settings, **change))
    assert files(settings.warehouse) == before


def test_without_data_it_names_the_command_that_fetches_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(job, "start_spark", lambda _: pytest.fail("Spark was started"))
    with pytest.raises(SystemExit):
        run_verb("plays", [])
    assert capsys.readouterr().err.strip() == (
        "plays: no play counts in data; run msd-spark fetch listens --to data, or give --triplets"
    )
    assert list(tmp_path.iterdir()) == []


def test_a_bare_command_reads_the_data_folder(
    spark: SparkSession, generated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(job, "start_spark", lambda _: spark)
    (tmp_path / "data").symlink_to(generated)
    run_verb("plays", ["--tracks", "data/additional/unique_tracks.txt"])
    facts = Warehouse("./warehouse").read_json("summaries", "plays.json")["facts"]
    assert facts["mismatches listed"] > 0
    assert len(rows("warehouse", "popularity")) == facts["tracks"]


def test_generated_plays_with_the_pairs_of_the_catalogue(spark: SparkSession, generated: Path, tmp_path: Path) -> None:
    unique = [line.split("<SEP>")[:2] for line in (generated / "additional/unique_tracks.txt").read_text().splitlines()]
    pairs = pa.table({"track_id": [one for one, _ in unique], "song_id": [one for _, one in unique]})
    Warehouse(str(tmp_path)).write_arrow(pairs, "songs")
    profile = generated / "tasteprofile"
    triplets = str(profile / "train_triplets.txt")
    summary = make_plays(
        spark, PlaysSettings(triplets, mismatches=str(profile / "sid_mismatches.txt"), warehouse=str(tmp_path))
    )
    # The same in plain Python.
    wrong = {tuple(line.split("<")[1].split(">")[0].split()) for line in (profile / "sid_mismatches.txt").open()}
    tracks = dict[str, str]()
    for track_id, song_id in sorted(unique, reverse=True):
        if (song_id, track_id) not in wrong:
            tracks[song_id] = track_id
    plays, listeners = Counter[str](), Counter[str]()
    for line in Path(triplets).read_text().splitlines():
        _, song_id, count = line.split("\t")
        if song_id in tracks:
            plays[tracks[song_id]] += int(count)
            listeners[tracks[song_id]] += 1
    popularity = pd.DataFrame(rows(str(tmp_path), "popularity"), columns=POPULARITY.names).set_index("track_id")
    assert popularity["plays"].to_dict() == dict(plays)
    assert popularity["listeners"].to_dict() == dict(listeners)
    assert summary.facts["rejected"] == 0
    assert summary.facts["lines"] == sum(listeners.values()) + summary.facts["triplets of mismatched songs"]


def test_the_real_plays(spark: SparkSession, sample: Path, tmp_path: Path) -> None:
    profile = sample / "tasteprofile"
    files = (str(profile / "train_triplets.txt"), str(profile / "sid_mismatches.txt"))
    tracks = str(sample / "additional" / "subset_unique_tracks.txt")
    settings = PlaysSettings(*files, tracks=tracks, warehouse=str(tmp_path), keep_mismatches=True, range_bytes=1 << 20)
    summary = make_plays(spark, settings)
    facts = summary.facts
    assert (facts["lines"], facts["triplets of tracks"], facts["rejected"]) == (39_017, 39_017, 0)
    assert (facts["users"], facts["songs"], facts["tracks"]) == (10_000, 2_036, 2_036)
    manifest = pd.read_csv(sample / "manifest.tsv", sep="\t")
    played = pq.read_table(tmp_path / "popularity").to_pandas().merge(manifest, on="track_id")
    with_both = played[played["cd1_major"].notna() & (played["has_lyrics"] == 1)]
    assert len(with_both) == 198
    assert (played["plays_x"] == played["plays_y"]).all()
    assert (played["listeners"] == played["n_users"]).all()

    summary = make_plays(spark, PlaysSettings(*files, tracks=tracks, warehouse=str(tmp_path)))
    facts = summary.facts
    assert facts["lines"] == 39_017 == facts["triplets of tracks"] + facts["triplets of mismatched songs"]
    # The mismatches of the catalogue and the lines that name one of their songs, counted in plain Python.
    with open(files[1], encoding="utf-8", newline="\n") as lines:
        wrong = {line[8:45] for line in lines}
    with open(tracks, encoding="utf-8", newline="\n") as lines:
        songs = {fields[1] for line in lines if f"{(fields := line.split('<SEP>'))[1]} {fields[0]}" in wrong}
    with open(files[0], encoding="utf-8", newline="\n") as lines:
        named = [song_id for line in lines if (song_id := line.split("\t")[1]) in songs]
    assert (len(named), len(set(named))) == (3_792, 67)
    assert (facts["triplets of mismatched songs"], facts["mismatched songs left out"], facts["tracks"]) == (
        3_792,
        67,
        1_969,
    )
    left = set(pq.read_table(tmp_path / "popularity")["track_id"].to_pylist())
    assert set(with_both["track_id"]) - left == set(with_both[with_both["sid_mismatch"] == 1]["track_id"])
    assert len(left & set(with_both["track_id"])) == 191
