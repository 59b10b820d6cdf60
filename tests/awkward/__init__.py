"""Tests of awkward names, locations and inputs: accepted, refused in one line, or counted.

Stages and their files, ``test_….py``:

- all: names, locations, odd_values, options, messages, failures, environment, damaged_tables, fuzz
- ingest: ingest_inputs, aggregate_files, hdf5_filters, attacks
- lyrics, labels, plays, split lists, manifests: text_inputs
- dataset and models: duplicates, few_songs, models_and_exports
- pipeline: dry_run
"""

POSITIONAL = {"similar": ["TRAAAAA128F0000000"], "lineage": ["TRAAAAA128F0000000"], "aws": ["cost"]}
"""Words that a verb needs besides its options."""
