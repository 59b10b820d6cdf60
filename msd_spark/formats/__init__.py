"""Pure parsers of lyrics, genre, tag and play-count files, one module per source."""
