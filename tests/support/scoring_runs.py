"""Untrained runs for scoring: the inputs, layers and metadata of a trained one, and weights from a seed."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from msd_spark.catalogue.known_tracks import NO_LYRICS
from msd_spark.core.model_inputs import input_shapes
from msd_spark.core.runs import METADATA, MODEL, RUNS
from msd_spark.core.schemas import EMBEDDING_LAYER, EMBEDDING_SIZE, GEOMETRY, Geometry
from msd_spark.core.warehouse import Warehouse

GENRES = ("Blues", "Jazz", "Rap")


def write_untrained_run(
    warehouse: Warehouse,
    name: str = "tiny",
    *,
    target: str = "genre",
    class_names: tuple[str, ...] = GENRES,
    geometry: Geometry = GEOMETRY,
    lyric_vectors: str = NO_LYRICS,
    units: int = EMBEDDING_SIZE,
    seed: int = 0,
) -> dict[str, Any]:
    """Write a run whose model pools convolutions over the segments that are there; return its metadata."""
    import keras
    from keras import layers

    keras.utils.set_random_seed(seed)
    deviation = {"chroma": 0.5, "timbre": 50.0}
    inputs = {key: keras.Input(shape, name=key) for key, shape in input_shapes(geometry).items()}
    pooled = []
    for key, value in deviation.items():
        width = geometry.n_pitches
        scaled = layers.Normalization(mean=[0.1] * width, variance=[value**2] * width, name=f"{key}_normalised")(
            inputs[key]
        )
        filtered = layers.Conv1D(16, 4, activation="relu")(scaled)
        kept = layers.Cropping1D((0, 3))(layers.Reshape((geometry.n_segments, 1))(inputs["mask"]))
        pooled.append(layers.GlobalAveragePooling1D()(layers.Multiply()([filtered, kept])))
    together = layers.Concatenate()([*pooled, inputs["lyric_vector"], inputs["has_lyrics"]])
    embedding = layers.Dense(units, activation="tanh", name=EMBEDDING_LAYER)(together)
    activation = {"tags": "sigmoid", "factors": "linear"}.get(target, "softmax")
    model = keras.Model(inputs, layers.Dense(len(class_names), activation=activation, name=target)(embedding))
    metadata = {
        "run": name,
        "target": {"name": target, "class_names": list(class_names)},
        "labels": list(class_names),
        "dataset": {"name": "genre", "fingerprint": "of this dataset"},
        "geometry": asdict(geometry),
        "lyric_vectors": lyric_vectors,
        "normalisation": {
            key: {"mean": [0.1] * geometry.n_pitches, "deviation": [value] * geometry.n_pitches}
            for key, value in deviation.items()
        },
    }
    with warehouse.replacing_folder(RUNS, name) as folder:
        model.save(f"{folder.path}/{MODEL}")
        folder.point_by_json(METADATA, metadata)
    return metadata
