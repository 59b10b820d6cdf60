"""Read a finished run, and check that it fits this version and the lyrics of the warehouse.

The checks need no TensorFlow: a Keras file is a zip archive with a JSON description of the model.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from msd_spark.catalogue.known_tracks import NO_LYRICS, NO_WORDS, WordList, lyrics_fingerprint
from msd_spark.core.errors import UserError
from msd_spark.core.model_inputs import ALL_INPUTS, BASIC_INPUTS, WORD_INDICES, input_shapes
from msd_spark.core.runs import METADATA, MODEL, RUNS, model_layers, newest_run, read_run
from msd_spark.core.schemas import EMBEDDING_LAYER, EMBEDDING_SIZE, GEOMETRY, Geometry
from msd_spark.core.warehouse import FOLDER, Warehouse
from msd_spark.core.words import inverse_document_frequencies
from msd_spark.scoring.settings import ScoreSettings

GENRE, POPULARITY = "genre", "popularity"
"""Targets with one class per song: the outputs are a probability distribution."""


def model_digest(content: bytes) -> str:
    """Return a hash of a model file."""
    return hashlib.blake2b(content, digest_size=16).hexdigest()


@dataclass(frozen=True)
class TrainedRun:
    """A finished run with the content of its model file.

    `target` is ``genre``, ``popularity``, ``tags`` or ``factors``, and `class_names` has the meaning of each output.
    `lyric_vectors` is the fingerprint of the lyric vectors that it was trained on, `words` the list of words of its
    bags. `normalisation` has ``mean`` and ``deviation`` (standard deviation) of each feature, and ``weight`` of words.
    """

    name: str
    target: str
    class_names: tuple[str, ...]
    geometry: Geometry
    lyric_vectors: str
    normalisation: Mapping[str, Mapping[str, Sequence[float]]]
    model: bytes
    words: WordList = NO_WORDS

    @classmethod
    def read(cls, warehouse: Warehouse, run: str) -> TrainedRun:
        """Read a run and check that this version computes the features that it was trained on."""
        metadata = read_run(warehouse, run)
        try:  # the geometry of another version may have unknown fields
            geometry = Geometry(**metadata["geometry"])
        except (TypeError, ValueError) as error:
            raise UserError(
                f"run {run} was trained on {metadata['geometry']}, which this version does not support ({error}); "
                "run msd-spark train again",
            ) from None
        model = warehouse.read_file(RUNS, run, metadata[FOLDER], MODEL)
        target, classes = metadata["target"]["name"], tuple(metadata["target"]["class_names"])
        listed = metadata.get("words")
        words = WordList(listed["fingerprint"], tuple(listed["tracks"])) if listed else NO_WORDS
        lyric_vectors, normalisation = metadata["lyric_vectors"], metadata["normalisation"]
        trained = cls(run, target, classes, geometry, lyric_vectors, normalisation, model, words)
        trained.check_geometry()
        trained.check_model()
        return trained

    @cached_property
    def digest(self) -> str:
        """Hash of the model file; it changes when the run is trained again."""
        return model_digest(self.model)

    @cached_property
    def layers(self) -> list[dict[str, Any]]:
        """Layers of the model file, as Keras describes them."""
        return model_layers(self.model, self.name)

    @cached_property
    def inputs(self) -> tuple[str, ...]:
        """Names of the model's inputs."""
        return tuple(layer["config"]["name"] for layer in self.layers if layer["class_name"] == "InputLayer")

    @cached_property
    def word_frequencies(self) -> np.ndarray:
        """Inverse document frequencies by which the words of a bag are sorted."""
        return inverse_document_frequencies(np.array(self.words.tracks))

    @property
    def uses_words(self) -> bool:
        """Whether the model has bags of words as inputs."""
        return WORD_INDICES in self.inputs

    def check_geometry(self) -> None:
        """Check the geometry; only the part of the song and the length of lyric vectors may differ."""
        if self.geometry != replace(GEOMETRY, segments=self.geometry.segments, lyric_size=self.geometry.lyric_size):
            raise UserError(
                f"run {self.name} was trained on {self.geometry}, this version uses {GEOMETRY}; "
                "run msd-spark train again"
            )

    def check_model(self) -> None:
        """Check the inputs, embedding layer and normalisation of the model file."""
        file, again = f"{RUNS}/{self.name}/{MODEL}", "run msd-spark train again"
        described = self.layers
        try:
            layers = {layer["config"]["name"]: layer["config"] for layer in described}
            inputs = {
                layer["config"]["name"]: tuple(layer["config"]["batch_shape"][1:])
                for layer in described
                if layer["class_name"] == "InputLayer"
            }
        except (KeyError, TypeError) as error:
            raise UserError(f"{file} is not a Keras model ({error!r}); {again}") from None
        expected = input_shapes(self.geometry, set(inputs) & set(ALL_INPUTS) or BASIC_INPUTS)
        if inputs != expected:
            raise UserError(f"{file} has the inputs {inputs}, this version has {expected}; {again}")
        units = layers.get(EMBEDDING_LAYER, {}).get("units")
        if units != EMBEDDING_SIZE:
            raise UserError(f"{file} has {units} units in the layer {EMBEDDING_LAYER}, not {EMBEDDING_SIZE}; {again}")
        for name, moments in self.normalisation.items():
            layer = layers.get(f"{name}_normalised")
            if layer is None or "mean" not in moments or layer.get("mean") is None:
                continue
            recorded = np.ravel([moments["mean"], moments["deviation"]])
            used = np.ravel([np.ravel(layer["mean"]), np.sqrt(np.ravel(layer["variance"]))])
            if recorded.shape != used.shape or not np.allclose(recorded, used, rtol=1e-5):
                raise UserError(f"{file} does not normalise {name} as {METADATA} records; {again}")

    def check_lyrics(self, warehouse: Warehouse) -> None:
        """Check that ``lyrics/`` has the lyric vectors that the run was trained on."""
        present = lyrics_fingerprint(warehouse)
        if present == self.lyric_vectors:
            self._check_words(warehouse)
            return
        retrain = "run msd-spark dataset and msd-spark train again"
        if present == NO_LYRICS:
            problem = f"run {self.name} was trained with lyrics, and lyrics/ is missing; run msd-spark lyrics"
        elif self.lyric_vectors == NO_LYRICS:
            problem = f"run {self.name} was trained without lyrics, and lyrics/ exists now; {retrain}"
        else:
            problem = (
                f"lyrics/ has other lyric vectors ({present}) than run {self.name} was trained on "
                f"({self.lyric_vectors}); {retrain}"
            )
        raise UserError(f"{problem}, or score every song as one without lyrics (--without-lyrics)")

    def _check_words(self, warehouse: Warehouse) -> None:
        present = WordList.read(warehouse).fingerprint
        if self.uses_words and present != self.words.fingerprint:
            raise UserError(
                f"lyric_words/ has another list of words ({present}) than run {self.name} was trained on "
                f"({self.words.fingerprint}); run msd-spark dataset and msd-spark train again, or score every song as "
                "one without lyrics (--without-lyrics)"
            )


def usable_run(warehouse: Warehouse, settings: ScoreSettings) -> TrainedRun:
    """Return the run to score with, checked against this version and ``lyrics/``."""
    trained = TrainedRun.read(warehouse, settings.run or newest_run(warehouse))
    if not settings.without_lyrics:
        trained.check_lyrics(warehouse)
    return trained
