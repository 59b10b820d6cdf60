"""Build a model's inputs from columns of examples, for training and scoring alike."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from msd_spark.core.schemas import Geometry

CHROMA, TIMBRE, MASK, LYRIC_VECTOR, HAS_LYRICS = "chroma", "timbre", "mask", "lyric_vector", "has_lyrics"
"""Names of a model's inputs."""


def input_shapes(geometry: Geometry) -> dict[str, tuple[int, ...]]:
    """Return the shape of one example by the name of the input."""
    return {
        CHROMA: geometry.segments_shape,
        TIMBRE: geometry.segments_shape,
        MASK: (geometry.n_segments,),
        LYRIC_VECTOR: (geometry.lyric_size,),
        HAS_LYRICS: (1,),
    }


def model_inputs(columns: Mapping[str, np.ndarray], geometry: Geometry) -> dict[str, np.ndarray]:
    """Return a model's inputs for a batch of examples, float32.

    Each has shape ``(n, *input_shapes(geometry)[name])``. The columns ``chroma``, ``timbre`` and ``lyric_vector`` have
    shape ``(n, …)`` or are flat; ``n_segments`` and ``has_lyrics`` have shape ``(n,)``.
    """
    # A song without segments becomes one segment of zeros: the mean over no segments would be NaN.
    columns = {**columns, MASK: geometry.mask(np.maximum(columns["n_segments"], 1))}
    return {
        name: np.asarray(columns[name], np.float32).reshape(-1, *shape)
        for name, shape in input_shapes(geometry).items()
    }
