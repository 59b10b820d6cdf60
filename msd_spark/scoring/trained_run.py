"""A finished run as scoring needs it, and whether it fits this code's features and the lyrics at hand.

The model's file is a zip with a JSON description in it; both are looked into without TensorFlow, so a run that
does not fit is refused before a worker starts.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from msd_spark.catalogue.known_tracks import NO_LYRICS
from msd_spark.core.errors import UserError
from msd_spark.core.model_inputs import input_shapes
from msd_spark.core.runs import METADATA, MODEL, RUNS, read_run
from msd_spark.core.schemas import EMBEDDING_LAYER, EMBEDDING_SIZE, GEOMETRY, Geometry
from msd_spark.core.summary import SUMMARIES
from msd_spark.core.warehouse import Warehouse

GENRE, POPULARITY = "genre", "popularity"
"""Targets of which a song has exactly one: the outputs are the probabilities of a distribution."""


def model_digest(content: bytes) -> str:
    """Return a name for a model by its file's content."""
    return hashlib.blake2b(content, digest_size=16).hexdigest()


@dataclass(frozen=True)
class TrainedRun:
    """A finished run.

    Attributes
    ----------
    name : str
    target : str
        What it learned to tell: ``genre``, ``popularity``, ``tags`` or ``factors``.
    class_names : tuple of str
        What each output of the model stands for.
    geometry : Geometry
    lyric_vectors : str
        Fingerprint of the lyric vectors that it was trained on.
    normalisation : mapping
        Mean and deviation of chroma, timbre and lyric vector, by name.
    model : bytes
        The model's file.
    """

    name: str
    target: str
    class_names: tuple[str, ...]
    geometry: Geometry
    lyric_vectors: str
    normalisation: Mapping[str, Mapping[str, Sequence[float]]]
    model: bytes

    @classmethod
    def read(cls, warehouse: Warehouse, run: str) -> TrainedRun:
        """Read a run and check that this version of the code makes the features that it was trained on.

        Raises
        ------
        UserError
            When there is no such run, or its model does not fit.
        """
        metadata = read_run(warehouse, run)
        try:  # a run of another version may have a geometry with parts that this one does not know
            geometry = Geometry(**metadata["geometry"])
        except (TypeError, ValueError) as error:
            raise UserError(
                f"run {run} was trained on {metadata['geometry']}, "
                f"which this version does not make ({error}); train again",
            ) from None
        target = metadata["target"]
        with warehouse.filesystem.open_input_stream(warehouse.path(RUNS, run, MODEL)) as source:
            content = source.read()
        found = cls(
            run,
            target["name"],
            tuple(target["class_names"]),
            geometry,
            metadata["lyric_vectors"],
            metadata["normalisation"],
            content,
        )
        found.check_geometry()
        found.check_model()
        return found

    @cached_property
    def digest(self) -> str:
        """A name for the model by its content: a run that was trained again is another one."""
        return model_digest(self.model)

    @property
    def tells_genres(self) -> bool:
        """Whether the outputs are probabilities of genres."""
        return self.target == GENRE

    @property
    def has_one_class(self) -> bool:
        """Whether the outputs of a song add up to 1."""
        return self.target in (GENRE, POPULARITY)

    def check_geometry(self) -> None:
        """Refuse a run of another geometry than this code's.

        Raises
        ------
        UserError
            With what differs.
        """
        if self.geometry != replace(GEOMETRY, segments=self.geometry.segments):
            raise UserError(
                f"run {self.name} was trained on {self.geometry}, this version makes {GEOMETRY}; train again"
            )

    def check_model(self) -> None:
        """Refuse a model whose inputs, embedding, head or normalisation are not what the run's metadata say.

        Raises
        ------
        UserError
            With what differs.
        """
        where = f"{RUNS}/{self.name}/{MODEL}"
        try:
            with zipfile.ZipFile(io.BytesIO(self.model)) as archive:
                described = json.loads(archive.read("config.json"))["config"]["layers"]
            layers = {layer["config"]["name"]: layer["config"] for layer in described}
            inputs = {
                layer["config"]["name"]: tuple(layer["config"]["batch_shape"][1:])
                for layer in described
                if layer["class_name"] == "InputLayer"
            }
        except (zipfile.BadZipFile, KeyError, TypeError, ValueError) as error:
            raise UserError(f"{where} is no Keras model ({error!r}); train again") from None
        wanted = input_shapes(self.geometry)
        if inputs != wanted:
            raise UserError(f"{where} takes {inputs}, this version makes {wanted}; train again")
        units = layers.get(EMBEDDING_LAYER, {}).get("units")
        if units != EMBEDDING_SIZE:
            raise UserError(
                f"{where} has {units} units in a layer named {EMBEDDING_LAYER}, not {EMBEDDING_SIZE}; train again",
            )
        for name, moments in self.normalisation.items():
            layer = layers.get(f"{name}_normalised")
            if layer is None or layer.get("mean") is None:
                continue
            deviation = np.sqrt(np.asarray(layer["variance"], float))
            said = (np.asarray(moments["mean"], float), np.asarray(moments["deviation"], float))
            kept = (np.asarray(layer["mean"], float), deviation)
            if not all(
                np.allclose(one.ravel(), other.ravel(), rtol=1e-5) for one, other in zip(said, kept, strict=True)
            ):
                raise UserError(f"{where} normalises {name} otherwise than {METADATA} beside it says; train again")

    def check_lyrics(self, warehouse: Warehouse) -> None:
        """Refuse lyrics of other vectors than the run was trained on.

        Raises
        ------
        UserError
            With what differs, and what to do.
        """
        anyway = "or score every song as one without lyrics (--without-lyrics)"
        found = lyrics_fingerprint(warehouse)
        if found == self.lyric_vectors:
            return
        if found == NO_LYRICS:
            raise UserError(
                f"run {self.name} was trained with lyrics and there is no lyrics/; run jobs/lyrics.py, {anyway}"
            )
        if self.lyric_vectors == NO_LYRICS:
            raise UserError(
                f"run {self.name} was trained without lyrics, which are there now; "
                f"run jobs/dataset.py and train again, " + anyway,
            )
        raise UserError(
            f"lyrics/ has other lyric vectors ({found}) than run {self.name} was trained on ({self.lyric_vectors}); "
            f"run jobs/dataset.py and train again, {anyway}",
        )


def lyrics_fingerprint(warehouse: Warehouse) -> str:
    """Return the fingerprint of the vectors in ``lyrics/``, `NO_LYRICS` where the table is not there.

    Raises
    ------
    UserError
        When the table is there and its summary is not.
    """
    if not warehouse.is_complete("lyrics"):
        return NO_LYRICS
    try:
        return str(warehouse.read_json(SUMMARIES, "lyrics.json")["vectors"]["fingerprint"])
    except (OSError, KeyError, ValueError):
        raise UserError(
            f"{SUMMARIES}/lyrics.json does not say which vectors lyrics/ has; run msd-spark lyrics again"
        ) from None
