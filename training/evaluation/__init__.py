"""Exact evaluation: figures of gathered predictions, intervals by artist and baselines beside them.

Pure numpy in, numbers out; nothing here knows of ranks, TensorFlow or, but for the features of the
linear baselines, of files.
"""
