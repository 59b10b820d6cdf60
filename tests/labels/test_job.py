from __future__ import annotations

import hashlib
import json
import sqlite3
import zipfile
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from msd_spark.core.command_line import run_verb
from msd_spark.core.errors import UserError
from msd_spark.core.options import NAME
from msd_spark.core.schemas import LABELS, TAG_COUNTS, TAGS
from msd_spark.core.summary import Summary
from msd_spark.core.warehouse import Warehouse
from msd_spark.labels import job, tags
from msd_spark.labels.lastfm_archives import plan_tasks
from msd_spark.labels.settings import LabelsSettings


def track(number: int) -> str:
    return f"TR{number:016}"


def make_labels(uri: Path, **settings: Any) -> Summary:
    summary = Summary("labels")
    job.make_labels(LabelsSettings(warehouse=str(uri), **settings), summary)
    return summary


def make_tags(spark: SparkSession, uri: Path, location: Path, **settings: Any) -> Summary:
    summary = Summary("labels")
    options = LabelsSettings(warehouse=str(uri), tags=(str(location),), **settings)
    tags.make_tags(spark, options, plan_tasks(options.tags), summary)
    return summary


def rows(uri: Path, table: str) -> list[tuple[Any, ...]]:
    return list(pq.read_table(uri / table, partitioning=None).to_pandas().itertuples(index=False, name=None))


def rejected(uri: Path, stage: str) -> list[tuple[str, str]]:
    table = pq.read_table(uri / "rejected" / f"stage={stage}", partitioning=None).to_pandas()
    return sorted(zip(table["member"].fillna("-"), table["reason"], strict=True))


def test_the_full_official_label_files_are_read(sample: Path, tmp_path: Path) -> None:
    cd1_file, magd_file = (
        str(sample / name) for name in ("tagtraum/msd_tagtraum_cd1.cls", "magd/magd_subset_4011.tsv")
    )
    summary = make_labels(tmp_path, cd1=cd1_file, magd=magd_file)
    facts, details = summary.facts, summary.details["label_sets"]
    assert (facts["tracks in cd1"], facts["rejected"]) == (133_676, 0)
    table = pq.read_table(tmp_path / "labels").to_pandas()
    (path,) = Warehouse(str(tmp_path)).paths("labels")
    assert pq.read_schema(path).equals(LABELS)
    cd1 = table[table["label_set"] == "cd1"]
    assert (cd1["minority_genre"].isna().sum(), cd1["minority_genre"].notna().sum()) == (98_149, 35_527)
    assert "New Age" in set(cd1["genre"])
    # 4,011 lines, 7 of Children, 6 of Classical, 2 of Holiday.
    assert (facts["tracks in magd"], facts["tracks of rare genres left out of magd"]) == (3_996, 15)
    assert details["magd"]["rare_genres"] == {"Children": 7, "Classical": 6, "Holiday": 2}
    assert details["magd"]["genres"]["Stage"] == 30
    union = table[table["label_set"] == "2019"].set_index("track_id")
    assert union.loc[cd1["track_id"], "genre"].tolist() == cd1["genre"].tolist()
    assert set(union["genre"]) == set(cd1["genre"])


def test_every_line_becomes_a_label_or_a_rejection(tmp_path: Path) -> None:
    file = tmp_path / "cd2.cls"
    lines = [
        "# a comment",
        *(f"{track(number)}\tMetal" for number in range(3)),
        f"{track(3)}\tNew Age\tMetal\r",
        f"{track(4)}\tStage \tNew Age",
        "",
        f"{track(5)}\tNew_Age",
        f"{track(0)}\tPunk",
        f"{track(6)}",
        f"{track(7)}\tRock\tPop\tJazz",
        "a line",
    ]
    file.write_text("\n".join(lines), newline="")
    summary = make_labels(tmp_path, cd2=str(file), min_examples=2)
    assert rows(tmp_path, "labels") == [
        *((track(number), "Metal", None, "cd2") for number in range(3)),
        # One New Age, one New_Age and one Stage: each is rare as spelled in the source.
        *((track(number), "Metal", None, "2019") for number in range(3)),
        (track(3), "New Age", "Metal", "2019"),
        (track(5), "New Age", None, "2019"),
    ]
    assert rejected(tmp_path, "labels") == [
        ("line 10", "no_genre"),
        ("line 11", "too_many_fields"),
        ("line 12", "bad_track_id"),
        ("line 9", "repeated_track"),
    ]
    counts = summary.details["label_sets"]
    assert counts["cd2"]["lines"] == 10 == 3 + 4 + 3
    assert counts["cd2"]["rare_genres"] == {"New Age": 1, "New_Age": 1, "Stage": 1}
    assert counts["2019"]["labels_of_other_genres"] == {"cd2: Stage": 1}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--source", "2019=a.cls"], "--source 2019=… names the label set computed from the others; rename it"),
        (["--source", "moods"], f"--source is 'moods'; allowed: NAME=FILE, where NAME is {NAME.allowed}"),
        (
            ["--source", "cd1=b.cls", "--cd1", "a.cls"],
            "two files for label set cd1; name one file, or rename a --source",
        ),
        (["--min-examples", "0"], "--min-examples is 0; allowed: 1 or more"),
        (["--cd1", "none.cls"], "no file none.cls"),
        (["--tags", "none"], "no none; --tags takes folders of JSON files, .zip and .db files"),
        (
            [],
            "no label files or tags in data; run msd-spark fetch genres tags --to data, "
            "or give --cd1, --source or --tags",
        ),
    ],
)
def test_invalid_options_are_refused_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as refused:
        run_verb("labels", words)
    assert refused.value.code == 2
    assert capsys.readouterr().err.strip() == f"labels: {message}"
    assert list(tmp_path.iterdir()) == []


def test_a_bare_command_reads_every_label_file_and_the_tags_of_the_data_folder(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("msd_spark.spark.session.start_spark", lambda _: spark)
    for name in ("cd1", "cd2"):
        (tmp_path / "data" / "tagtraum").mkdir(parents=True, exist_ok=True)
        (tmp_path / "data" / "tagtraum" / f"msd_tagtraum_{name}.cls").write_text(f"{track(1)}\tRock\n")
    for name, content in files().items():
        (tmp_path / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "data" / name).write_bytes(content)
    run_verb("labels", ["--min-examples", "1"])
    assert [row[3] for row in rows(tmp_path / "warehouse", "labels")] == ["cd1", "cd2", "2019"]
    assert rows(tmp_path / "warehouse", "tags") == TAGS_OF_ENTRIES


ENTRIES = {
    track(1): [["Rock", "100"], ["rock ", "7"], ["Jazz", "0"]],
    track(2): [["ROCK", "50"], ["  ", "3"], ["Ｊazz", "9"], ["Ska", "1"]],
    track(3): [],
    track(4): [["rock", "12"]],
}
TAGS_OF_ENTRIES = [
    (track(1), "jazz", 0.0),
    (track(1), "rock", 100.0),
    (track(2), "jazz", 9.0),
    (track(2), "rock", 50.0),
    (track(2), "ska", 1.0),
    (track(4), "rock", 12.0),
]
COUNTS_OF_ENTRIES = [("rock", 3, 1), ("jazz", 2, 2), ("ska", 1, 3)]


def files() -> dict[str, bytes]:
    entries = {
        f"lastfm/{one[2]}/{one[3]}/{one[-1]}/{one}.json": json.dumps({"track_id": one, "tags": tags}).encode()
        for one, tags in ENTRIES.items()
    }
    return entries | {
        f"lastfm/0/0/{track(5)}.json": b'{"track_id": "TR',
        "lastfm/bad.json": json.dumps({"track_id": track(6), "tags": [["rock", "200"]]}).encode(),
        "lastfm/readme.txt": b"no entry",
        f"lastfm/again/{track(4)}.json": json.dumps({"track_id": track(4), "tags": [["Rock", "2"]]}).encode(),
    }


def test_tags_of_a_tree_and_of_a_zip_are_the_same(spark: SparkSession, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "lastfm.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files().items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_bytes(content)
            archive.writestr(name, content)
    digests = []
    for place in ("lastfm", "lastfm.zip", "lastfm"):
        uri = tmp_path / "warehouse"
        summary = make_tags(spark, uri, tmp_path / place, top_tags=2)
        assert rows(uri, "tags") == TAGS_OF_ENTRIES
        assert rows(uri, "tag_counts") == COUNTS_OF_ENTRIES
        assert [reason for _, reason in rejected(uri, "tags")] == (
            ["bad_score", "not_json"] if place == "lastfm" else ["not_json", "bad_score"]
        )
        assert summary.facts == {
            "entries of tags": 7,
            "entries rejected": 2,
            "files skipped, other_file": 1,
            "repeated entries of a track": 1,
            "tracks with tags": 3,
            "tracks without tags": 1,
            "tags given": 9,
            "empty tags": 1,
            "tags rejected": 0,
            "tags merged with an equal one": 2,
            "rows of tags/": 6,
            "distinct tags": 3,
            "tracks with the tag of rank 2": 2,
        }
        assert summary.details["top_tags"] == [{"tag": "rock", "tracks": 3}, {"tag": "jazz", "tracks": 2}]
        parts = [(uri / name).glob("*.parquet") for name in ("tags", "tag_counts")]
        digests.append([hashlib.sha256(path.read_bytes()).hexdigest() for part in parts for path in part])
    assert digests[0] == digests[1] == digests[2]
    for name, schema in (("tags", TAGS), ("tag_counts", TAG_COUNTS)):
        assert pq.read_schema(next((tmp_path / "warehouse" / name).glob("*.parquet"))).equals(schema)


def test_tags_of_the_database(spark: SparkSession, tmp_path: Path) -> None:
    path = tmp_path / "lastfm tags?.db"
    database = sqlite3.connect(path)
    database.executescript(
        "CREATE TABLE tids (tid TEXT); CREATE TABLE tags (tag TEXT);CREATE TABLE tid_tag (tid INT, tag INT, val FLOAT);"
    )
    names = {tag for tags in ENTRIES.values() for tag, _ in tags}
    # tid_tag refers to row numbers; the first row of tids is not a track.
    row_of_tag = {tag: number for number, tag in enumerate(sorted(names), 1)}
    row_of_track = {one: number for number, one in enumerate(["no track", *ENTRIES], 1)}
    database.executemany("INSERT INTO tids VALUES (?)", [(one,) for one in row_of_track])
    database.executemany("INSERT INTO tags VALUES (?)", [(one,) for one in row_of_tag])
    values = [(row_of_track[one], row_of_tag[tag], float(score)) for one in ENTRIES for tag, score in ENTRIES[one]]
    values += [(1, 1, 5.0), (2, 99, 5.0), (99, 1, 5.0), (2, 1, 101.0)]
    database.executemany("INSERT INTO tid_tag VALUES (?, ?, ?)", values)
    database.commit()
    database.close()
    uri = tmp_path / "warehouse"
    summary = make_tags(spark, uri, path)
    assert rows(uri, "tags") == TAGS_OF_ENTRIES
    assert rows(uri, "tag_counts") == COUNTS_OF_ENTRIES
    assert rejected(uri, "tags") == [
        ("tid_tag row 10", "no_such_tag"),
        ("tid_tag row 11", "bad_track_id"),
        ("tid_tag row 12", "bad_score"),
        ("tid_tag row 9", "bad_track_id"),
        ("tids row 1", "bad_track_id"),
    ]
    facts = summary.facts
    # 12 rows of tid_tag: 6 in the table, 1 merged, 1 empty, 4 rejected.
    expected = {"entries of tags": 5, "entries rejected": 1, "tags given": 12, "tags rejected": 4, "empty tags": 1}
    assert {name: facts[name] for name in expected} == expected
    assert facts["tags merged with an equal one"] == 1
    assert not list(tmp_path.glob("*.db-*"))


def test_locations_without_tags_are_refused(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "no.zip").write_text("no zip")
    (tmp_path / "no.db").write_text("no database, but longer than nothing at all" * 40)
    (tmp_path / "no.txt").touch()
    sqlite3.connect(tmp_path / "other.db").execute("CREATE TABLE a (b)").connection.close()
    for name, message in (
        ("none", "no .*none; --tags takes folders"),
        ("empty", "no Last.fm entry in"),
        ("no.zip", "not a zip, or its end is missing"),
        ("no.db", "is not a complete lastfm_tags.db .*: file is not a database"),
        ("other.db", "no such table: tids"),
        ("no.txt", "is neither a .zip nor a .db"),
    ):
        with pytest.raises(UserError, match=message):
            make_tags(spark, tmp_path / "w", tmp_path / name)
    assert not (tmp_path / "w" / "tags").exists()


def test_the_real_tags(spark: SparkSession, sample: Path, tmp_path: Path) -> None:
    archive = sample / "lastfm" / "lastfm_test_sample.zip"
    summary = make_tags(spark, tmp_path, archive)
    facts = summary.facts
    assert (facts["entries of tags"], facts["entries rejected"]) == (3_450, 0)
    with zipfile.ZipFile(archive) as opened:
        entries = [json.loads(opened.read(name)) for name in opened.namelist() if name.endswith(".json")]
    assert facts["tracks with tags"] == sum(bool(entry["tags"]) for entry in entries) == 1_926
    assert facts["tags given"] == sum(len(entry["tags"]) for entry in entries) == 28_884
    counts = rows(tmp_path, "tag_counts")
    assert counts[0][0] == "rock"
    rock = sum(any(tag.casefold().strip() == "rock" for tag, _ in entry["tags"]) for entry in entries)
    assert counts[0][1:] == (rock, 1)
    assert sum(tracks for _, tracks, _ in counts) == facts["rows of tags/"] == 28_884 - 2
