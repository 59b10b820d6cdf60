"""The Spark side of msd-spark: from Million Song Dataset files to datasets, embeddings and reports."""
