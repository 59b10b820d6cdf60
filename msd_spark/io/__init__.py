"""Read text, compressed files, byte ranges and zip directories, local or remote."""
