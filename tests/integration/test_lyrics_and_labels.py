from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from pyspark.sql import SparkSession

from msd_spark.labels import LabelsSettings, make_labels
from msd_spark.lyrics import LyricsSettings, make_lyrics
from msd_spark.warehouse import Warehouse


def test_the_real_files_are_read_to_their_last_line(spark: SparkSession, sample: Path, tmp_path: Path) -> None:
    lyrics = sample / "musixmatch"
    settings = LyricsSettings(
        str(tmp_path),
        str(lyrics / "mxm_dataset_train.txt"),
        str(lyrics / "mxm_dataset_test.truncated.txt"),
        str(lyrics / "mxm_reverse_mapping.txt"),
    )
    summary = make_lyrics(spark, settings)
    assert summary.facts["tracks"] == 2350 + 8259
    assert summary.facts["rejected"] == 1
    assert summary.facts["words"] == 5000
    rejected = pq.read_table(tmp_path / "rejected").to_pandas()
    assert rejected["reason"].tolist() == ["truncated_line"]
    table = pq.read_table(tmp_path / "lyrics").to_pandas()
    # TRAAABD128F429CF47,6477168,1:10,3:17,4:8,… stands in the train file.
    row = table.set_index("track_id").loc["TRAAABD128F429CF47"]
    assert row["musixmatch_id"] == 6477168
    assert row["word_indices"][:3].tolist() == [1, 3, 4]
    assert row["word_counts"][:3].tolist() == [10, 17, 8]
    assert np.isfinite(np.stack(list(table["lyric_vector"].dropna()))).all()


def test_lyrics_are_the_same_every_time(
    spark: SparkSession, generated: Path, warehouse: Warehouse, tmp_path: Path
) -> None:
    lyrics = generated / "musixmatch"
    settings = LyricsSettings(
        str(tmp_path),
        str(lyrics / "mxm_dataset_train.txt"),
        str(lyrics / "mxm_dataset_test.txt"),
        str(lyrics / "mxm_reverse_mapping.txt"),
    )
    fingerprint = make_lyrics(spark, settings).details["vectors"]["fingerprint"]
    assert fingerprint == warehouse.read_json("summaries", "lyrics.json")["vectors"]["fingerprint"]


def test_the_full_official_label_file_is_read(sample: Path, tmp_path: Path) -> None:
    source = sample / "tagtraum" / "msd_tagtraum_cd1.cls"
    summary = make_labels(LabelsSettings(str(tmp_path), {"cd1": str(source)}))
    assert summary.facts["tracks in cd1"] == 133_676
    table = pq.read_table(tmp_path / "labels").to_pandas()
    assert table["minority_genre"].notna().sum() == 35_527
    assert "New Age" in set(table["genre"])
    assert summary.facts["rejected"] == 0
