"""The language of bags of words."""

from __future__ import annotations

import pyarrow as pa
import pytest

from msd_spark.catalogue import traits
from msd_spark.catalogue.languages import FEWEST_WORDS, LANGUAGES, lyric_language

BAGS = {
    "en": "the you and me love baby night know want never heart away can't don't what",
    "es": "que de no el amor yo quiero noche corazón siempre vida los para contigo",
    "fr": "je ne suis pas le dans mon coeur toujours et qui avec les amour une",
    "de": "ich und nicht du die der liebe immer nacht wir ist ein das mich",
    "pt": "eu não você meu coração quero saudade uma minha amor para mais com",
    "it": "non ti amo cuore mio sempre che di sono per una nel della senza",
    "sv": "jag och inte du det är för mig som en på vill när",
    "fi": "minä sinä on ei ja niin mutta kun olen vain että yö",
}


@pytest.mark.parametrize("code", BAGS)
def test_a_bag_of_common_words_tells_its_language_in_any_order(code: str) -> None:
    words = BAGS[code].split()
    found = lyric_language(words, [3] * len(words))
    assert found is not None
    assert found.code == code
    assert 0.8 <= found.confidence <= 1
    again = lyric_language(words[::-1], [3] * len(words))
    assert again == found


def test_the_many_words_outvote_the_few() -> None:
    spanish, english = BAGS["es"].split(), BAGS["en"].split()[:4]
    found = lyric_language([*spanish, *english], [20] * len(spanish) + [1] * len(english))
    assert found is not None
    assert found.code == "es"


def test_few_words_and_signs_have_no_language() -> None:
    assert lyric_language([], []) is None
    assert lyric_language(["love"] * (FEWEST_WORDS - 1), [9] * (FEWEST_WORDS - 1)) is None
    assert lyric_language(["&", "–", "1", "2", "3", "4", "!"], [1] * 7) is None


def test_counts_belong_to_words() -> None:
    with pytest.raises(ValueError, match="2 words and 1 counts"):
        lyric_language(["a", "b"], [1])


def test_the_languages_are_those_that_the_identifier_knows() -> None:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    known = LanguageIdentifier.from_pickled_model(MODEL_FILE).nb_classes
    assert set(LANGUAGES) <= set(known)


def test_lyrics_have_the_language_of_their_words_and_null_if_it_is_unknown() -> None:
    words = dict(enumerate(BAGS["es"].split(), 1))
    bags = {
        "track_id": ["TRA", "TRB"],
        "word_indices": [list(words), [len(words) + 1]],
        "word_counts": [[2] * len(words), [9]],
    }
    (batch,) = traits.language_batches(words, pa.table(bags).to_batches())
    assert batch.schema.equals(traits.LANGUAGES)
    assert batch.to_pylist() == [{"track_id": "TRA", "language": "es"}, {"track_id": "TRB", "language": None}]
