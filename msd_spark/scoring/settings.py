"""What is asked of scoring, and the names of what lies in ``embeddings/RUN``."""

from __future__ import annotations

from dataclasses import dataclass

from msd_spark.core.errors import UserError

STAGE = "score"
TABLE = "embeddings"

STATE_FILE = "_scored.json"
"""File within the table's folder that says what it was made of; Spark, pandas and pyarrow pass over it."""

REVISIONS_FILE = "_revisions.json"
"""File beside it: each file of the table to the revision of the code that wrote it last."""


@dataclass(frozen=True)
class ScoreSettings:
    """Which model scores, and how.

    Attributes
    ----------
    warehouse, run : str
    batch : int
        Songs a call of the model; the last call is padded to it.
    threads : int or None
        TensorFlow's threads in each Python worker; None for the cores that Spark gives a task.
    rescore : bool
        Score every song anew, those included that this run has scored before.
    without_lyrics : bool
        Score every song as one that has no lyrics.
    """

    warehouse: str
    run: str
    batch: int = 128
    threads: int | None = None
    rescore: bool = False
    without_lyrics: bool = False

    def __post_init__(self) -> None:
        """Refuse what cannot be asked for."""
        if self.batch < 1 or (self.threads is not None and self.threads < 1):
            raise UserError(f"--batch and --threads are at least 1, not {self.batch}, {self.threads}")
