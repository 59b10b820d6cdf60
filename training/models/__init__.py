"""Keras models of songs."""
