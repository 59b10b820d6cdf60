from __future__ import annotations

import gzip
import zipfile
from pathlib import Path

import numpy as np
import pytest
from gensim.models import KeyedVectors
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from msd_spark.core.errors import UserError
from msd_spark.lyrics.vector_files import read_vectors

VECTORS = {"love": [1.0, -0.5, 0.25], "don\x92t": [0.0, 2.0, 3.5], "día": [-1e-3, 7.0, 1e4]}


def keyed(vectors: dict[str, list[float]]) -> KeyedVectors:
    """Return the vectors in gensim, which writes the formats independently."""
    model = KeyedVectors(len(next(iter(vectors.values()))))
    model.add_vectors(list(vectors), np.array(list(vectors.values()), np.float32))
    return model


def text_of(vectors: dict[str, list[float]]) -> str:
    return "".join(f"{word} {' '.join(map(repr, numbers))}\n" for word, numbers in vectors.items())


def written(folder: Path, form: str) -> Path:
    path = folder / "vectors"
    if form == "GloVe text":
        path.write_bytes(text_of(VECTORS).encode())
    else:
        keyed(VECTORS).save_word2vec_format(str(path), binary=form == "word2vec binary")
    return path


FORMS = ["word2vec text", "word2vec binary", "GloVe text"]


def as_lists(vectors: dict[str, np.ndarray]) -> dict[str, list[float]]:
    return {word: vector.tolist() for word, vector in vectors.items()}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("packing", ["plain", "gzip", "zip"])
def test_each_format_is_recognised_by_its_content(tmp_path: Path, form: str, packing: str) -> None:
    path = written(tmp_path, form)
    if packing == "gzip":
        path.write_bytes(gzip.compress(path.read_bytes()))
    if packing == "zip":
        text = path.read_bytes()
        with zipfile.ZipFile(path, "w") as archive:
            # As in glove.6B.zip: one file per number of dimensions.
            archive.writestr("some.50d.txt", text)
            archive.writestr("some.300d.txt", b"love 1 2\n")
    vectors, recognised = read_vectors(str(path), {"love", "día", "absent"})
    assert recognised == form
    expected = {word: np.array(VECTORS[word], np.float32).tolist() for word in ("love", "día")}
    assert as_lists(vectors) == expected
    assert all(vector.dtype == np.float32 for vector in vectors.values())


@pytest.mark.parametrize("binary", [False, True])
@given(vectors=arrays(np.float32, (5, 4), elements=st.floats(-1e6, 1e6, width=32)))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
def test_files_written_by_gensim_are_read_exactly(tmp_path: Path, binary: bool, vectors: np.ndarray) -> None:
    names = ["a", "x\x85y", "1.5", "日", "a"[:1] + "b"]
    path = tmp_path / "vectors"
    model = KeyedVectors(4)
    model.add_vectors(names, vectors)
    model.save_word2vec_format(str(path), binary=binary)
    read, form = read_vectors(str(path), names)
    assert form == f"word2vec {'binary' if binary else 'text'}"
    assert np.array_equal(np.stack([read[name] for name in names]), vectors)


def test_line_feeds_after_binary_vectors_are_skipped(tmp_path: Path) -> None:
    path = tmp_path / "vectors.bin"
    records = b"".join(f"{word} ".encode() + np.array(v, "<f4").tobytes() + b"\n" for word, v in VECTORS.items())
    path.write_bytes(b"3 3\n" + records)
    vectors, form = read_vectors(str(path), VECTORS)
    assert form == "word2vec binary"
    assert as_lists(vectors) == {word: np.array(v, np.float32).tolist() for word, v in VECTORS.items()}


def test_the_first_vector_of_a_repeated_word_is_used_and_words_may_have_blanks(tmp_path: Path) -> None:
    path = tmp_path / "glove.txt"
    path.write_text(". . . 1 2 3\nlove 4 5 6\nlove 7 8 9\nfoo bar\t7 8 9 \n")
    vectors, _ = read_vectors(str(path), {"love", ". . .", "foo bar"})
    assert as_lists(vectors) == {". . .": [1, 2, 3], "love": [4, 5, 6], "foo bar": [7, 8, 9]}


def refused(path: Path) -> str:
    with pytest.raises(UserError) as caught:
        read_vectors(str(path), {"love"})
    assert str(path) in str(caught.value)
    return str(caught.value)


def test_vectors_of_too_many_dimensions_are_rejected(tmp_path: Path) -> None:
    path = tmp_path / "vectors.bin"
    path.write_bytes(b"1 5000\nlove " + bytes(20_000))
    assert "has vectors of 5,000 dimensions; allowed: up to 4,096" in refused(path)


@pytest.mark.parametrize("form", FORMS)
def test_a_truncated_file_is_rejected_wherever_it_was_cut(tmp_path: Path, form: str) -> None:
    path = written(tmp_path, form)
    whole = path.read_bytes()
    for end in range(1, len(whole)):
        path.write_bytes(whole[:end])
        # Without a header, a file cut between two lines is a valid shorter file.
        if form == "GloVe text" and whole[end - 1 : end] == b"\n":
            continue
        refused(path)


def test_a_pickle_is_rejected_unread_with_the_command_to_convert_it(tmp_path: Path) -> None:
    path = tmp_path / "vectors.kv"
    keyed(VECTORS).save(str(path))
    message = refused(path)
    assert "are never read" in message
    assert "save_word2vec_format" in message


@pytest.mark.parametrize(
    ("content", "named"),
    [
        pytest.param(b"", "is not a file of word vectors", id="empty"),
        pytest.param(b"\x93NUMPY\x01", "is not a file of word vectors", id="npy"),
        pytest.param(b"the quick brown fox\n", "is not a file of word vectors", id="prose"),
        pytest.param(b"love 1 2 3\nhate 1 2\n", "3 numbers in line 2: b'hate 1 2", id="a number too few"),
        pytest.param(b"so 1 2 3\nlove 1 2 x\n", "no 3 numbers for 'love' in line 2", id="no number"),
        pytest.param(b"2 3\nso 1 2 3\nlove 1 2 nan\n", "not finite, for 'love' in line 3", id="not finite"),
        pytest.param(b"3 3\nso 1 2 3\nlove 1 2 4\n", "has 2 words, its header says 3", id="a word too few"),
        pytest.param(b"1 3\nso 1 2 3\nlove 1 2 4\n", "has 2 words, its header says 1", id="a word too many"),
        pytest.param(
            b"1 3\nlove " + np.array([1, 2, np.inf], "<f4").tobytes(), "for 'love' in word 1", id="binary inf"
        ),
        pytest.param(b"1 3\n" + b"\xff" * 9000, "has no word at place 1", id="binary without words"),
        pytest.param(
            b"1 3\nso " + bytes(12) + b"love " + bytes(12),
            "has more than the 1 words of its header",
            id="binary, one too many",
        ),
        pytest.param(gzip.compress(b"love 1 2 3\n" * 99)[:-9], "is damaged: ", id="gzip cut off"),
        pytest.param(b"PK\x03\x04 and nothing else", "is damaged: ", id="zip cut off"),
    ],
)
def test_invalid_files(tmp_path: Path, content: bytes, named: str) -> None:
    path = tmp_path / "vectors.txt"
    path.write_bytes(content)
    assert named in refused(path)


def test_a_zip_of_several_files_is_rejected_with_their_names(tmp_path: Path) -> None:
    path = tmp_path / "vectors.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("b.txt", "a.txt"):
            archive.writestr(name, b"love 1 2 3\n")
    assert "holds 2 files (a.txt, b.txt)" in refused(path)
