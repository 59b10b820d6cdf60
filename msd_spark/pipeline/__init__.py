"""The stages of the pipeline: their commands, their settings, and what says that one is up to date."""
