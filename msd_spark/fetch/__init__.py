"""Download the public files of the Million Song Dataset into a data folder."""
