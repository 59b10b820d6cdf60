"""Maps: every song of a run in the plane, near to what is like it, and in the same place tomorrow.

- `settings`: what is asked for.
- `sample`: which songs a map is made of.
- `tsne`, `umap_layout`: how a map is made, and how songs are placed into one that is there.
- `kept`: what lies beside the table, by which the next run goes on.
- `job`: reading embeddings and writing ``maps/RUN``.
"""
