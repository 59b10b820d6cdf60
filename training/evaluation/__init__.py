"""Metrics, bootstrap intervals by artist, and baselines; without ranks or TensorFlow."""
