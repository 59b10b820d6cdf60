"""Genre labels in tagtraum's ``.cls`` files.

References
----------
.. [1] H. Schreiber, "Improving Genre Annotations for the Million Song Dataset", ISMIR 2015;
   https://www.tagtraum.com/msd_genre_datasets.html: ``#`` comments, then track id, majority
   genre and, if the votes were divided, minority genre, separated by tabs.
"""

from __future__ import annotations

from msd_spark.core.errors import InputError
from msd_spark.core.track_ids import TRACK_ID

COMMENT = "#"
FIELD_SEPARATOR = "\t"
QUOTE = '"'


class LabelError(InputError):
    """A line that is not a label; ``bad_track_id``, ``no_genre`` or ``too_many_fields``."""


def is_quoted(line: str) -> bool:
    """Return whether a field of a line begins or ends with a quote, which `parse_label` removes."""
    return any(part.strip() != part.strip().strip(QUOTE) for part in line.split(FIELD_SEPARATOR))


def parse_label(line: str) -> tuple[str, str, str | None]:
    """Return track id, genre and minority genre of a line; None without a minority genre.

    A track has a minority genre if the votes were divided. White space and quotes around a field are removed.
    """
    track_id, *genres = (part.strip().strip(QUOTE).strip() for part in line.split(FIELD_SEPARATOR))
    if not TRACK_ID.fullmatch(track_id):
        raise LabelError("bad_track_id", repr(track_id[:40]))
    if not genres or not genres[0]:
        raise LabelError("no_genre", track_id)
    if len(genres) > 2:
        raise LabelError("too_many_fields", f"{track_id}: {len(genres)} genres")
    return track_id, genres[0], (genres[1] or None) if len(genres) == 2 else None
