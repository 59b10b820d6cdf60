"""Tests of awkward names, locations and inputs: accepted, refused in one line, or counted."""

POSITIONAL = {"similar": ["TRAAAAA128F0000000"], "lineage": ["TRAAAAA128F0000000"]}
"""Words that a verb needs besides its options."""
