"""Values of ``dataset --require``: what a track must have."""

LYRICS, GENRE, TAGS, LISTENS, FACTORS = "lyrics", "genre", "tags", "listens", "factors"
REQUIREMENTS = (LYRICS, GENRE, TAGS, LISTENS, FACTORS)
