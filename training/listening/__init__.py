"""What a trained model listens to: ``studies/RUN``.

- `receptive_field`: which segments a convolution sees from each of its places.
- `top_segments`: the songs, and the places in them, that a filter responds to most.
- `song_times`: when in a song these are.
- `occlusion`: what changes when lyrics, audio, chroma or timbre are hidden.
- `filters`, `study`: reading the songs, asking the model, writing the tables.
"""
