"""Texts that the report searches while typing, and track ids with their rows. Reads no files."""

from __future__ import annotations

import unicodedata
from typing import Any

import numpy as np
import pandas as pd

from msd_spark.report.scripts import packed

SEARCHED = 65_536
"""Songs per text."""

IDENTIFIED = 10_000
"""Track ids per chunk."""

LETTERS = str.maketrans(
    {"ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "đ": "d", "ð": "d", "ł": "l", "ı": "i", "þ": "th", "ħ": "h", "ς": "σ"}
    | dict.fromkeys("’‘", "'")
    | dict.fromkeys("\t\n", " ")
)
"""Letters without a decomposition in their usual ASCII spelling; ``base.js`` has the same."""


def fold(text: str) -> str:
    """Return a text without case and accents; the same as ``fold`` in ``base.js``.

    Examples
    --------
    >>> fold("Hoppípolla – Þýðing"), fold("AC/DC")
    ('hoppipolla – thyding', 'ac/dc')
    """
    if not text.isascii():
        text = "".join(letter for letter in unicodedata.normalize("NFKD", text) if unicodedata.category(letter) != "Mn")
    return text.lower().translate(LETTERS)


def search_text(songs: pd.DataFrame) -> str:
    """Return one line per song: title, tab, artist; a blank before each, so that every word follows one."""
    folded = {name: fold(str(name)) for name in songs["artist_name"].dropna().unique()}
    artists = songs["artist_name"].map(folded).fillna("unknown artist")
    titles = ["unknown title" if pd.isna(title) else fold(str(title)) for title in songs["title"]]
    return "\n".join(f" {title}\t {artist}" for title, artist in zip(titles, artists, strict=True))


def id_chunks(track_ids: pd.Series) -> tuple[list[str], list[dict[str, Any]]]:
    """Return the first id of each chunk of sorted track ids, and the chunks with ids and rows."""
    ids = track_ids.to_numpy(object)
    order = np.argsort(ids, kind="stable")
    parts = [order[first : first + IDENTIFIED] for first in range(0, len(order), IDENTIFIED)]
    content = [{"ids": ids[part].tolist(), "rows": packed(part.astype(np.uint32))} for part in parts]
    return [str(ids[part[0]]) for part in parts], content
