"""Which runs are refused, by their metadata and by the description in the model's file."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from msd_spark.catalogue.known_tracks import NO_LYRICS
from msd_spark.core.errors import UserError
from msd_spark.core.model_inputs import input_shapes
from msd_spark.core.schemas import EMBEDDING_SIZE, GEOMETRY, LYRICS, Geometry
from msd_spark.core.warehouse import Warehouse
from msd_spark.scoring.trained_run import TrainedRun

MOMENTS = {"timbre": {"mean": [1.0] * 12, "deviation": [2.0] * 12}}


def model_file(
    geometry: Geometry = GEOMETRY, units: int = EMBEDDING_SIZE, variance: float = 4.0, mean: float = 1.0
) -> bytes:
    """Return a file that describes a model as Keras does, without its weights."""
    layers: list[dict[str, Any]] = [
        {"class_name": "InputLayer", "config": {"name": name, "batch_shape": [None, *shape]}}
        for name, shape in input_shapes(geometry).items()
    ]
    scaled = {"name": "timbre_normalised", "mean": [mean] * 12, "variance": [variance] * 12}
    layers.append({"class_name": "Normalization", "config": scaled})
    layers.append({"class_name": "Dense", "config": {"name": "embedding", "units": units}})
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("config.json", json.dumps({"config": {"layers": layers}}))
    return file.getvalue()


RUN = TrainedRun("r", "genre", ("a", "b"), GEOMETRY, "these", MOMENTS, model_file())


def test_a_run_that_fits_is_taken_in_every_part_of_a_song() -> None:
    for segments in ("first", "centre", "beats"):
        run = replace(RUN, geometry=replace(GEOMETRY, segments=segments))
        run.check_geometry()
        run.check_model()


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (model_file(Geometry(n_segments=200)), r"models/r/model.keras has the inputs .*'chroma': \(200, 12\)"),
        (model_file(units=49), "has 49 units in the layer embedding, not 50; run msd-spark train again"),
        (model_file(variance=2.0), "does not normalise timbre as metadata.json records; run msd-spark train again"),
        (model_file(mean=0.0), "does not normalise timbre"),
        (b"no zip", "models/r/model.keras is not a Keras model"),
    ],
)
def test_a_model_that_does_not_match_its_run_is_refused(model: bytes, message: str) -> None:
    with pytest.raises(UserError, match=message):
        replace(RUN, model=model).check_model()


def write_run(warehouse: Warehouse, **changes: object) -> None:
    metadata = {
        "target": {"name": "genre", "class_names": ["a"]},
        "geometry": {"n_segments": 300, "n_pitches": 12, "lyric_size": 50},
        "lyric_vectors": "these",
        "dataset": {},
        "normalisation": {},
    } | changes
    with warehouse.replacing_folder("models", "r") as folder:
        warehouse.write_file(model_file(), *folder.names, "model.keras")
        folder.point_by_json("metadata.json", metadata)


@pytest.mark.parametrize(
    ("geometry", "message"),
    [
        ({"n_segments": 200, "n_pitches": 12, "lyric_size": 50}, "n_segments=200.*this version uses.*train again"),
        ({"n_segments": 300, "hop": 2}, "'hop': 2.*which this version does not support"),
        ({"segments": "last"}, "which this version does not support .*'last'"),
    ],
)
def test_a_run_of_another_geometry_is_refused(geometry: dict[str, object], message: str, tmp_path: Path) -> None:
    warehouse = Warehouse(str(tmp_path))
    write_run(warehouse, geometry=geometry)
    with pytest.raises(UserError, match=message):
        TrainedRun.read(warehouse, "r")


def test_other_lyric_vectors_are_refused_with_a_remedy(tmp_path: Path) -> None:
    warehouse = Warehouse(str(tmp_path))
    write_run(warehouse)
    run = TrainedRun.read(warehouse, "r")
    with pytest.raises(
        UserError, match=r"run r was trained with lyrics, and lyrics/ is missing; run msd-spark lyrics, .*--without"
    ):
        run.check_lyrics(warehouse)
    replace(run, lyric_vectors=NO_LYRICS).check_lyrics(warehouse)
    warehouse.write_arrow(LYRICS.empty_table(), "lyrics")
    with pytest.raises(
        UserError, match=r"summaries/lyrics.json does not name the word vectors of lyrics/; run msd-spark ly"
    ):
        run.check_lyrics(warehouse)
    warehouse.write_json({"vectors": {"fingerprint": "these"}}, "summaries", "lyrics.json")
    run.check_lyrics(warehouse)
    with pytest.raises(UserError, match="trained without lyrics, and lyrics/ exists now"):
        replace(run, lyric_vectors=NO_LYRICS).check_lyrics(warehouse)
    with pytest.raises(UserError, match=r"lyrics/ has other lyric vectors \(these\) than run r was trained"):
        replace(run, lyric_vectors="others").check_lyrics(warehouse)


def test_an_unknown_run_names_those_there_are(tmp_path: Path) -> None:
    warehouse = Warehouse(str(tmp_path))
    with pytest.raises(UserError, match="no finished run models/two; finished: none; run msd-spark train first"):
        TrainedRun.read(warehouse, "two")
    write_run(warehouse)
    with pytest.raises(UserError, match="finished: r"):
        TrainedRun.read(warehouse, "two")
