from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq

from msd_spark.labels import LabelsSettings, make_labels


def test_the_full_official_label_file_is_read(sample: Path, tmp_path: Path) -> None:
    source = sample / "tagtraum" / "msd_tagtraum_cd1.cls"
    summary = make_labels(LabelsSettings(str(tmp_path), {"cd1": str(source)}))
    assert summary.facts["tracks in cd1"] == 133_676
    table = pq.read_table(tmp_path / "labels").to_pandas()
    assert table["minority_genre"].notna().sum() == 35_527
    assert "New Age" in set(table["genre"])
    assert summary.facts["rejected"] == 0
