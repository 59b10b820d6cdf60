"""Read musiXmatch bags of words into ``lyrics/`` and ``lyric_words/``."""
