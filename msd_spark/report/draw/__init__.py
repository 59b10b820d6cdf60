"""Charts, the diagram of the model, and chart files."""
