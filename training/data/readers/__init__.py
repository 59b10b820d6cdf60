"""Readers of row groups, which yield the same tables in the same order."""
