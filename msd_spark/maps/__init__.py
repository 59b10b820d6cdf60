"""Two-dimensional maps of songs: similar songs are close, and songs keep their places."""
