"""Repeat the 2019 experiment, with its leaks, for comparison."""
