"""The pure modules, one file each, and the bad inputs of all of them together."""
