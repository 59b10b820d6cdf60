"""Where word vectors come from when they are not trained here: a file, an installed package, gensim's downloader."""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path, PurePosixPath

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from msd_spark.core.errors import UserError
from msd_spark.core.filesystems import SCHEME_MARK
from msd_spark.core.schemas import GEOMETRY
from msd_spark.lyrics.vector_files import read_vectors

TRAIN = "train"
"""The source that is no place: vectors are trained on the bags of words themselves."""

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_FILE_ENDINGS = (".txt", ".bin", ".gz", ".zip", ".vec", ".kv", ".model", ".npy")


@dataclass(frozen=True)
class FoundVectors:
    """Vectors of some words.

    Attributes
    ----------
    vectors : dict of str to numpy.ndarray
        Shape ``(size,)``, float32, by word.
    method : str
        What they were read from, for the summary.
    """

    vectors: dict[str, np.ndarray]
    method: str


def find_vectors(source: str, wanted: Collection[str], size: int = GEOMETRY.lyric_size) -> FoundVectors:
    """Return the vectors of some words.

    A file that is there goes first, then a package that is installed, then gensim's downloader.

    Parameters
    ----------
    stage : str
        Who asks, for the error.
    source : str
        A file's path or address, the name of an installed package of vectors, or of a model of
        gensim's downloader.
    wanted : collection of str
    size : int
        Dimensions that the vectors should have.

    Raises
    ------
    UserError
        When nothing is found under the name, or what is found cannot be read, has other dimensions or
        none of the words.
    """
    found = _find(source, wanted, size)
    if not found.vectors:
        raise UserError(f"{source} has a vector for none of the {len(wanted):,} words looked for; give others")
    return found


def _find(source: str, wanted: Collection[str], size: int) -> FoundVectors:
    if SCHEME_MARK in source or Path(source).exists():
        vectors, form = read_vectors(source, wanted, size)
        return FoundVectors(vectors, form)
    if not _NAME.fullmatch(source) or PurePosixPath(source).suffix in _FILE_ENDINGS:
        raise UserError(f"no file {source}")
    try:
        package = metadata.distribution(source)
    except metadata.PackageNotFoundError:
        location = _downloaded(source, size)
        vectors, form = read_vectors(location, wanted, size)
        return FoundVectors(vectors, f"{form} from gensim's downloader")
    return FoundVectors(_packaged(package, wanted, size), f"package {package.name} {package.version}")


def _packaged(package: metadata.Distribution, wanted: Collection[str], size: int) -> dict[str, np.ndarray]:
    """Look words up in a package that holds a matrix as .npy and its words as a Parquet file of one column.

    The matrix is mapped into memory: only the rows of words that are wanted are read. Nothing of
    the package is imported.
    """
    files = {ending: [file for file in package.files or () if file.suffix == ending] for ending in (".npy", ".parquet")}
    if any(len(found) != 1 for found in files.values()):
        raise UserError(
            f"the package {package.name} is no package of word vectors: it has {len(files['.npy'])} .npy and "
            f"{len(files['.parquet'])} .parquet files, one of each is wanted",
        )
    paths = {ending: package.locate_file(found[0]) for ending, found in files.items()}
    matrix = np.load(str(paths[".npy"]), mmap_mode="r", allow_pickle=False)
    table = pq.read_table(str(paths[".parquet"]))
    texts = [name for name in table.column_names if pa.types.is_string(table.schema.field(name).type)]
    if matrix.ndim != 2 or len(texts) != 1 or len(table) != len(matrix):
        raise UserError(
            f"the package {package.name} has a matrix of shape {matrix.shape} and {len(table):,} rows with "
            f"{len(texts)} columns of text; one row a word and one column of text are wanted",
        )
    if matrix.shape[1] != size:
        raise UserError(
            f"the package {package.name} has vectors of {matrix.shape[1]} dimensions, a lyric vector has {size}; "
            "give other vectors",
        )
    names = pa.array(sorted(wanted), pa.string())
    places = pc.index_in(names, value_set=table[texts[0]].combine_chunks())
    found = {
        name: np.asarray(matrix[place], np.float32)
        for name, place in zip(names.to_pylist(), places.to_pylist(), strict=True)
        if place is not None
    }
    if not all(np.isfinite(vector).all() for vector in found.values()):
        raise UserError(f"the package {package.name} has vectors that are not finite")
    return found


def _downloaded(name: str, size: int) -> str:
    """Return the path of a model of gensim's downloader, fetched if need be.

    Only its file of vectors is read, never the code that is downloaded beside it.
    """
    from gensim import downloader

    unknown = f"no file and no installed package {name}"
    with _quiet_downloader():
        try:
            models = downloader.info(show_only_latest=False)["models"]
        except (OSError, ValueError):
            raise UserError(
                f"{unknown}, and gensim's list of models cannot be fetched; give a file or a package, or go online",
            ) from None
        if name not in models:
            fitting = sorted(other for other, about in models.items() if _dimensions(about) == size)
            raise UserError(
                f"{unknown}, and gensim's downloader has no model of that name; "
                f"of {size} dimensions it has {', '.join(fitting) or 'none'}",
            )
        dimensions = _dimensions(models[name])
        if dimensions not in (None, size):
            raise UserError(
                f"{name} has vectors of {dimensions} dimensions, a lyric vector has {size}; give other vectors"
            )
        try:
            return str(downloader.load(name, return_path=True))
        except Exception as error:  # what it raises for a wrong checksum has no type of its own
            raise UserError(f"{name} cannot be fetched by gensim's downloader: {error}") from None


def _dimensions(about: dict) -> int | None:
    found = about.get("parameters", {}).get("dimension")
    return None if found is None else int(found)


@contextmanager
def _quiet_downloader() -> Iterator[None]:
    """Keep gensim from printing a traceback where it has no network and goes on with what it has."""
    logger = logging.getLogger("gensim.downloader")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)
