"""The joins on the real sample, against the counts of its README."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from msd_spark.catalogue.songs import read_songs
from msd_spark.core.delta import DataFile
from msd_spark.core.schemas import SONGS
from msd_spark.core.summary import Summary
from msd_spark.core.warehouse import Warehouse
from msd_spark.dataset.selection import join, narrow
from msd_spark.dataset.settings import DatasetSettings
from msd_spark.labels.job import make_labels
from msd_spark.labels.settings import LabelsSettings
from msd_spark.songfile.batches import songs_to_batch, songs_writer
from msd_spark.songfile.parse import parse_song
from tests.support.song_tables import write_lyrics, write_popularity


@pytest.fixture(scope="module")
def real(sample: Path, tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    """Tables of the sample: its songs and CD1 in full, which tracks have lyrics, which have listens."""
    warehouse = Warehouse(str(tmp_path_factory.mktemp("real")))
    songs = [
        parse_song(path.read_bytes(), path.stem) | {"source": path.name, "member": None}
        for path in sorted((sample / "songs").rglob("*.h5"))
    ]
    with warehouse.overwriting(SONGS, "songs") as table:
        with table.destination.create(0) as file, songs_writer(file.sink) as writer:
            writer.write_batch(songs_to_batch(songs))
        table.add([DataFile(file.name, file.size, len(songs))])
    cd1 = str(sample / "tagtraum" / "msd_tagtraum_cd1.cls")
    make_labels(LabelsSettings(cd1=cd1, warehouse=warehouse.root), Summary("labels"))
    bags = set()
    for name in ("mxm_dataset_train.txt", "mxm_dataset_test.truncated.txt"):
        *lines, _ = (sample / "musixmatch" / name).read_text().split("\n")  # after the last line feed: nothing whole
        bags |= {line.split(",")[0] for line in lines if line.startswith("TR")}
    write_lyrics(warehouse, dict.fromkeys(sorted(bags), np.zeros(50)))
    triplets = pd.read_csv(
        sample / "tasteprofile" / "train_triplets.txt", sep="\t", header=None, names=["user", "song", "plays"]
    )
    plays = triplets.groupby("song")["plays"].sum()
    played = sorted((-int(plays[one["song_id"]]), one["track_id"]) for one in songs if one["song_id"] in plays.index)
    write_popularity(warehouse, [name for _, name in played])
    return warehouse


def test_joins_of_the_sample(real: Warehouse, capsys: pytest.CaptureFixture[str]) -> None:
    tracks, _ = read_songs(real)
    settings = DatasetSettings(real.root, min_examples=1, require=("lyrics", "genre", "listens"))
    joined = join(real, tracks["track_id"], settings)
    has = {name: joined.has(name) for name in ("lyrics", "genre", "listens")}
    funnel, _, _ = narrow(tracks, joined, settings)
    with capsys.disabled():
        print(f"\n{funnel.table()}")
    assert len(tracks) == 317
    assert (has["lyrics"] & has["genre"]).sum() == 307
    assert (has["lyrics"] & has["genre"] & has["listens"]).sum() == 198
    assert funnel.counts()["labelled"] == int(funnel.remaining.sum()) == 198
