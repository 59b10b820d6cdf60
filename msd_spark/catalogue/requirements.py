"""What ``dataset --require`` can demand of a track."""

LYRICS, GENRE, TAGS, LISTENS, FACTORS = "lyrics", "genre", "tags", "listens", "factors"
REQUIREMENTS = (LYRICS, GENRE, TAGS, LISTENS, FACTORS)
