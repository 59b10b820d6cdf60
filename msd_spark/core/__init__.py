"""Definitions that all packages share; imports no other package of the project."""
