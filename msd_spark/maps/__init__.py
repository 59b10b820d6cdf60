"""Two-dimensional maps of a run's songs: similar songs lie close together, and songs keep their place between runs."""
