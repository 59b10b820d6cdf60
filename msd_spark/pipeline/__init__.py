"""Run all stages in order, and skip those that are up to date."""
