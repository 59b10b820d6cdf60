"""Names of what lies in ``models/RUN/`` and ``dataset/NAME/``, for who writes it and who reads it."""

RUNS = "models"
MODEL = "model.keras"
METADATA = "metadata.json"
METRICS = "metrics.json"
HISTORY = "history.json"
