"""Build rows of ``embeddings/RUN`` from the output of a model and what is known about the tracks."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from msd_spark.core.arrow import rows_to_lists
from msd_spark.core.schemas import EMBEDDING_FLAGS, EMBEDDINGS
from msd_spark.scoring.model import Scores
from msd_spark.scoring.trained_run import TrainedRun


def entropy(probabilities: np.ndarray) -> np.ndarray:
    """Return the entropy of distributions in nats, from 0 (one certain class) to ``ln(n_classes)`` (uniform).

    Parameters
    ----------
    probabilities : numpy.ndarray
        Shape ``(n, n_classes)``; each row adds up to 1.

    Returns
    -------
    numpy.ndarray
        Shape ``(n,)``, float32.
    """
    values = probabilities.astype(np.float64)
    logarithms = np.log(values, out=np.zeros_like(values), where=values > 0)
    return np.maximum(-(values * logarithms).sum(axis=1), 0).astype(np.float32)


def embedding_rows(run: TrainedRun, track_ids: pa.Array, scores: Scores, flags: Mapping[str, np.ndarray]) -> pa.Table:
    """Return rows in the schema `msd_spark.core.schemas.EMBEDDINGS`.

    Parameters
    ----------
    run : TrainedRun
        If its target is not the genre, the outputs become ``target_scores`` and the columns of genres are null.
    track_ids, scores
    flags : mapping
        By the names of `msd_spark.core.schemas.EMBEDDING_FLAGS`, each of shape ``(n,)``.
    """
    n = len(track_ids)
    columns: dict[str, pa.Array] = {item.name: pa.nulls(n, item.type) for item in EMBEDDINGS}
    columns |= {name: pa.array(np.asarray(flags[name], np.float32)) for name in EMBEDDING_FLAGS}
    columns["track_id"] = track_ids
    columns["embedding"] = rows_to_lists(scores.embeddings, EMBEDDINGS.field("embedding").type)
    columns["run"] = pa.array([run.name] * n, pa.string())
    outputs = "genre_probabilities" if run.predicts_genres else "target_scores"
    columns[outputs] = rows_to_lists(scores.outputs, EMBEDDINGS.field(outputs).type)
    if run.predicts_genres:
        names = pa.array(run.class_names, pa.string())
        columns["predicted_genre"] = names.take(pa.array(scores.outputs.argmax(axis=1)))
    if run.is_distribution:
        columns["entropy"] = pa.array(entropy(scores.outputs))
    return pa.Table.from_arrays([columns[item.name].cast(item.type) for item in EMBEDDINGS], schema=EMBEDDINGS)
