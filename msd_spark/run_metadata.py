"""Names of what lies in ``models/RUN/``, for the side that writes it and the side that reads it."""

RUNS = "models"
MODEL = "model.keras"
METADATA = "metadata.json"
METRICS = "metrics.json"
HISTORY = "history.json"
