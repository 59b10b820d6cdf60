"""Collaborative filtering: implicit ALS on play counts, baseline recommenders, and their evaluation by ranking."""
