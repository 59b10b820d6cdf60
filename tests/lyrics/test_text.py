"""Lyrics given as text become the bag and the vector that the dataset has."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from msd_spark.core.errors import UserError
from msd_spark.core.warehouse import Warehouse
from msd_spark.lyrics.text import read_lyrics, stems


def test_the_words_of_the_mapping_have_its_stems(sample: Path) -> None:
    lines = (sample / "musixmatch" / "mxm_reverse_mapping.txt").read_text().splitlines()
    pairs = [line.split("<SEP>") for line in lines]
    same = sum(stem in ("".join(stems(word)), *stems(word)[-1:]) for stem, word in pairs)
    # The others have typing errors or bytes of another encoding.
    assert same >= 0.99 * len(pairs)
    assert len(pairs) == 5000


def test_contractions_are_expanded_and_punctuation_is_left_out() -> None:
    text = "I'm sure you’ve won't; can't, they'd  - WE'LL (rockin')"
    assert stems(text) == "i am sure you have will not can not they would we will rockin".split()
    assert stems("") == []


def test_a_text_has_the_bag_and_the_vector_of_its_track(warehouse: Warehouse, tmp_path: Path) -> None:
    words = warehouse.read_table(["index", "stem"], "lyric_words").sort_by("index")["stem"].to_pylist()
    # A stem that is not its own stem cannot be written as text.
    kept = {index for index, word in enumerate(words, 1) if stems(word) == [word]}
    tracks = warehouse.read_table(["word_indices", "word_counts", "lyric_vector"], "lyrics").to_pylist()
    track = next(track for track in tracks if track["lyric_vector"] and set(track["word_indices"]) <= kept)
    pairs = list(zip(track["word_indices"], track["word_counts"], strict=True))
    text = " ".join(words[index - 1] for index, count in pairs for _ in range(count))
    (tmp_path / "song.txt").write_text(f"{text} zzzunknown")
    read = read_lyrics(warehouse, str(tmp_path / "song.txt"))
    assert (read.n_words, read.n_unknown) == (sum(count for _, count in pairs) + 1, 1)
    assert list(zip(*(lists.to_pylist()[0] for lists in (read.indices, read.counts)), strict=True)) == sorted(pairs)
    np.testing.assert_allclose(read.vector.to_pylist()[0], track["lyric_vector"], rtol=1e-5, atol=1e-7)


def test_a_text_without_known_words_is_refused(warehouse: Warehouse, tmp_path: Path) -> None:
    (tmp_path / "song.txt").write_text("zzz qqq")
    with pytest.raises(UserError, match=r"song\.txt has 2 words, none of them in lyric_words/"):
        read_lyrics(warehouse, str(tmp_path / "song.txt"))
