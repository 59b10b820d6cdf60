"""The Spark session and writing tables from its workers."""
