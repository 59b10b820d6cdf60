"""Each song's nearest songs in a run's space: an exact search, an index that approximates it, and the job.

- `settings`: what is asked for.
- `space`: the vectors, the two distances, and how far float32 can be off.
- `candidates`: the greatest float32 scores of many queries, through BLAS, in memory that does not grow.
- `exact`: candidates put in order in float64, with proof that none is missing.
- `index`: the approximate search.
- `exclusions`: which songs are left out.
- `tables`, `job`: reading embeddings and writing ``neighbours/RUN``.
"""
