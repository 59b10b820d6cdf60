"""Read genre labels and Last.fm tags into ``labels/``, ``tags/`` and ``tag_counts/``."""
