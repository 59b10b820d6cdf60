"""The folder of a finished run and its predictions."""
