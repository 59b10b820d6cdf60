"""Metrics of predictions, bootstrap intervals by artist, and baselines; numpy only, without ranks or TensorFlow."""
