"""Pure parsers of the side files, one module per source."""
