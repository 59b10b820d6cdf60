"""Spellings of artist names and titles: one form for comparison, another for searching, and one for display."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

APOSTROPHES = "'’‘`´ʼ"

LETTERS = str.maketrans({"æ": "ae", "œ": "oe", "ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ı": "i"})
"""Letters that Unicode does not decompose into a letter and an accent."""


IGNORED = frozenset({"the", "and", "n", "feat", "featuring", "ft"})
"""Folded words that people leave out or write as "&"."""


class _Separators(dict[int, int]):
    """Translation table from characters of some Unicode categories and white space to a space, filled on demand."""

    def __init__(self, categories: str) -> None:
        super().__init__()
        self._categories = categories

    def __missing__(self, code: int) -> int:
        character = chr(code)
        separates = unicodedata.category(character)[0] in self._categories or character.isspace()
        self[code] = ord(" ") if separates else code
        return self[code]


_PUNCTUATION = _Separators("PZ")
_NO_LETTERS = _Separators("PZSC")
_WITHOUT_APOSTROPHES = str.maketrans("", "", APOSTROPHES)
_GUEST = re.compile(r"[\s(\[]+(?:feat|featuring|ft)\b\.?\s*", re.IGNORECASE)
"""Text between the names of "A feat. B", "A (featuring B)" or "A ft. B"."""


def normalise_name(text: str) -> str:
    """Return an artist name or title in a form that is equal for all its spellings.

    Unicode compatibility forms (NFKC) and case are folded, and each run of punctuation and white space becomes
    one space. Accents, "the" and "(live)" remain. A name that is only punctuation ("!!!") remains as it is.

    Examples
    --------
    >>> normalise_name("  AC/DC "), normalise_name("ＡＣ-ＤＣ"), normalise_name("!!!")
    ('ac dc', 'ac dc', '!!!')
    """
    # Twice: a compatibility form can contain a capital, and a folded letter a compatibility form (Unicode, D146).
    folded = unicodedata.normalize("NFD", text)
    for _ in range(2):
        folded = unicodedata.normalize("NFKC", folded.casefold())
    words = folded.translate(_PUNCTUATION).split()
    return " ".join(words) or " ".join(folded.split())


def credited_artists(name: str) -> list[str]:
    """Return the normalised names of main artist and guest, or the only normalised name.

    Examples
    --------
    >>> credited_artists("Shakira Featuring Wyclef Jean"), credited_artists("Mike Jones (ft. CJ)")
    (['shakira', 'wyclef jean'], ['mike jones', 'cj'])
    """
    names = [normalise_name(part) for part in _GUEST.split(name, maxsplit=1)]
    return names if all(names) else [normalise_name(name)]


def without_guests(name: str) -> str:
    """Return an artist name or a title without its "feat." and what follows, unless nothing else is left.

    Examples
    --------
    >>> without_guests("Beyoncé feat. Jay-Z"), without_guests("Halo (ft. CJ)")
    ('Beyoncé', 'Halo')
    """
    return _GUEST.split(name, maxsplit=1)[0].strip() or name


def fold(text: str) -> str:
    """Return a text without case, width, accents and apostrophes.

    Examples
    --------
    >>> fold("Don’t Stop, BJÖRK"), fold("Røyksopp")
    ('dont stop, bjork', 'royksopp')
    """
    if not text.isascii():
        for _ in range(2):
            text = unicodedata.normalize("NFKD", text.casefold())
        text = "".join(mark for mark in text if unicodedata.category(mark) != "Mn").translate(LETTERS)
    return text.lower().translate(_WITHOUT_APOSTROPHES)


def search_words(text: str) -> list[list[str]]:
    """Return the folded words of a text, each as its parts between punctuation.

    A text without letters and digits is one word.

    Examples
    --------
    >>> search_words("AC/DC - Who’s Made Who?"), search_words("! ! !")
    ([['ac', 'dc'], ['whos'], ['made'], ['who']], [['!!!']])
    """
    parts = (piece.translate(_NO_LETTERS).split() for piece in fold(text).split())
    return [words for words in parts if words] or [[mark] for mark in ["".join(text.split())] if mark]


def all_words(text: str) -> list[str]:
    """Return the folded parts of all words of a text.

    Examples
    --------
    >>> all_words("AC/DC - Who’s Made Who?")
    ['ac', 'dc', 'whos', 'made', 'who']
    """
    return [part for parts in search_words(text) for part in parts]


def without_ignored(words: Sequence[str]) -> Sequence[str]:
    """Return words without those in `IGNORED`, unless nothing else is left.

    Examples
    --------
    >>> without_ignored(["the", "who"]), without_ignored(["the", "the"])
    (['who'], ['the', 'the'])
    """
    return [word for word in words if word not in IGNORED] or words


def base_title(title: str) -> str:
    """Return a title without guests and version: without what follows in brackets or after a dash.

    Examples
    --------
    >>> base_title("La Bamba (Live)"), base_title("Halo - Radio Edit"), base_title("(I Can't Get No) Satisfaction")
    ('La Bamba', 'Halo', "(I Can't Get No) Satisfaction")
    """
    ends = [place for mark in ("(", "[", " - ") if (place := title.find(mark)) > 0]
    base = title[: min(ends)].strip() if ends else title.strip()
    return without_guests(base) if base else title


def display_name(artist: str | float | None, title: str | float | None) -> str:
    """Return "artist - title", with a question mark for an unknown part."""
    # NaN, which pandas has for an unknown text, is not equal to itself.
    return " - ".join("?" if part is None or part != part else str(part) for part in (artist, title))
