"""Tests of awkward names, locations and inputs: accepted, refused in one line, or counted."""
