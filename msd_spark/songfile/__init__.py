"""Song files of the Million Song Dataset: parse one, and write songs as Parquet."""
