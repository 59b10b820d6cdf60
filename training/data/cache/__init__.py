"""Local copies of the files of a remote dataset, fetched ahead of the reader and shared by ranks."""
