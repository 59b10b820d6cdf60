"""Everything known about a track: names, artist groups, traits, side tables and embeddings."""
