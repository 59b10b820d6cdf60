"""Collaborative filtering: implicit ALS on play counts, baselines, and their evaluation."""
