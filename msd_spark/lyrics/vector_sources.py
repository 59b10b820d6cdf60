"""Find word vectors in a file, an installed package or gensim's downloader."""

from __future__ import annotations

import logging
import re
from collections.abc import Collection
from importlib import metadata
from pathlib import Path, PurePosixPath

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from msd_spark.core.errors import UserError
from msd_spark.core.filesystems import SCHEME_MARK
from msd_spark.lyrics.vector_files import check_size, read_vectors

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_FILE_ENDINGS = (".txt", ".bin", ".gz", ".bz2", ".xz", ".zip", ".vec", ".kv", ".model", ".npy")


Vectors = dict[str, np.ndarray]
"""Vectors of shape ``(size,)``, float32, by word."""


def find_vectors(source: str, words: Collection[str]) -> tuple[Vectors, str]:
    """Return the vectors of some words, and the format or package they come from.

    An existing file takes precedence over an installed package, and a package over gensim's downloader.
    """
    if SCHEME_MARK in source or source.startswith("file:") or Path(source).exists():
        vectors, origin = read_vectors(source, words)
    elif not _NAME.fullmatch(source) or PurePosixPath(source).suffix in _FILE_ENDINGS:
        raise UserError(f"no file {source}; choose another --vectors")
    else:
        try:
            package = metadata.distribution(source)
        except metadata.PackageNotFoundError:
            vectors, form = read_vectors(_downloaded(source), words)
            origin = f"{form} from gensim's downloader"
        else:
            vectors, origin = _packaged(package, words), f"package {package.name} {package.version}"
    if not vectors:
        raise UserError(f"{source} has none of the {len(words):,} words of the lyrics; choose another --vectors")
    return vectors, origin


def _packaged(package: metadata.Distribution, words: Collection[str]) -> Vectors:
    """Look up words in a package with one matrix and one table of words.

    The files are .npy and Parquet. The matrix is memory-mapped, so that only the rows of `words` are read; no code of
    the package is imported.
    """
    about = f"the package {package.name}"
    files = {ending: [file for file in package.files or () if file.suffix == ending] for ending in (".npy", ".parquet")}
    if any(len(paths) != 1 for paths in files.values()):
        raise UserError(
            f"{about} has {len(files['.npy'])} .npy and {len(files['.parquet'])} .parquet files, "
            "a package of word vectors has one of each; choose another --vectors"
        )
    paths = {ending: str(package.locate_file(file)) for ending, (file,) in files.items()}
    matrix = np.load(paths[".npy"], mmap_mode="r", allow_pickle=False)
    table = pq.read_table(paths[".parquet"])
    texts = [name for name in table.column_names if pa.types.is_string(table.schema.field(name).type)]
    if matrix.ndim != 2 or len(texts) != 1 or len(table) != len(matrix):
        raise UserError(
            f"{about} has a matrix of shape {matrix.shape} and {len(table):,} rows with {len(texts)} text columns; "
            "a package of word vectors has one text column and one row per word"
        )
    check_size(about, matrix.shape[1])
    names = pa.array(sorted(words), pa.string())
    rows = pc.index_in(names, value_set=table[texts[0]].combine_chunks())
    vectors = {
        name: np.asarray(matrix[row], np.float32)
        for name, row in zip(names.to_pylist(), rows.to_pylist(), strict=True)
        if row is not None
    }
    if not all(np.isfinite(vector).all() for vector in vectors.values()):
        raise UserError(f"{about} has vectors that are not finite; choose another --vectors")
    return vectors


def _downloaded(name: str) -> str:
    """Download a model's vectors if necessary, and never run its code; return their path."""
    from gensim import downloader

    unknown = f"no file and no installed package {name}"
    # Without a network, gensim logs a traceback before it uses its cached list.
    logging.getLogger("gensim.downloader").setLevel(logging.CRITICAL)
    try:
        models = downloader.info(show_only_latest=False)["models"]
    except (OSError, ValueError):
        raise UserError(
            f"{unknown}, and gensim's list of models cannot be downloaded; give a file or a package, or go online"
        ) from None
    if name not in models:
        raise UserError(f"{unknown}, and gensim's downloader has no such model; it has {', '.join(sorted(models))}")
    try:
        return str(downloader.load(name, return_path=True))
    except Exception as error:  # a wrong checksum raises a bare Exception
        raise UserError(f"{name} cannot be downloaded: {error}; give a file or a package") from None
