"""Everything known about a track, stated once: names, artist groups, traits, side tables and embeddings."""
