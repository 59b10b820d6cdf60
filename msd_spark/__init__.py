"""From Million Song Dataset files to datasets, embeddings and reports, by Spark."""
