"""Data of the report: songs, neighbours, segments, recommendations."""
