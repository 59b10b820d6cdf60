"""A run's vectors for TensorBoard's projector: two tab-separated files and a configuration.

References
----------
.. [1] TensorBoard, "Visualizing data using the Embedding Projector",
   https://www.tensorflow.org/tensorboard/tensorboard_projector_plugin: vectors have no header, metadata of several
   columns have one; neither is quoted.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as pc

VECTORS_FILE, METADATA_FILE, CONFIG_FILE = "vectors.tsv", "metadata.tsv", "projector_config.pbtxt"

METADATA_COLUMNS = ("title", "artist", "genre", "predicted_genre", "year", "plays", "popularity_decile", "track_id")
"""Columns of the metadata; the first labels the points."""

ESCAPES = {ord("\\"): "\\\\", ord("\t"): "\\t", ord("\n"): "\\n", ord("\r"): "\\r"}


def escape(value: Any) -> str:
    """Return a value as a cell, empty if unknown, with tabs, line ends and backslashes escaped."""
    return "" if pd.isna(value) else str(value).translate(ESCAPES)


def metadata_lines(songs: pd.DataFrame, *, header: bool) -> bytes:
    """Return lines of metadata, UTF-8, with a header line if `header`."""
    cells = [[escape(value) for value in songs[name]] for name in METADATA_COLUMNS]
    lines = [*(["\t".join(METADATA_COLUMNS)] if header else []), *map("\t".join, zip(*cells, strict=True))]
    return "".join(f"{line}\n" for line in lines).encode()


def vector_lines(vectors: np.ndarray) -> bytes:
    """Return vectors ``(n, size)``, float32, one per line; numbers are read back without loss."""
    table = pa.table({str(number): column for number, column in enumerate(np.asarray(vectors, np.float32).T)})
    sink = pa.BufferOutputStream()
    pc.write_csv(table, sink, pc.WriteOptions(include_header=False, delimiter="\t", quoting_style="none"))
    return sink.getvalue().to_pybytes()


def config(run: str) -> bytes:
    """Return TensorBoard's configuration: a ProjectorConfig in protobuf's text format."""
    fields = {"tensor_name": run, "tensor_path": VECTORS_FILE, "metadata_path": METADATA_FILE}
    lines = [f"  {name}: {json.dumps(value)}" for name, value in fields.items()]
    return "\n".join(["embeddings {", *lines, "}", ""]).encode()
