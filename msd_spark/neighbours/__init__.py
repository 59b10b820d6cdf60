"""Nearest songs of every song: exact and approximate search, and quality metrics of an embedding space."""
