"""Repeat the 2019 experiment, including its leaks, for comparison."""
