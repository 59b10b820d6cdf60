"""Exact and approximate nearest songs, and quality metrics of an embedding space."""
