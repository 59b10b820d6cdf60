from __future__ import annotations

import numpy as np
import pandas as pd

from msd_spark.neighbours.exclusions import Exclusions


def test_artists_and_duplicates_are_matched_by_id_or_name() -> None:
    songs = pd.DataFrame(
        {
            "song_id": ["S1", "S2", "S2", "S4", None],
            "artist_id": ["A1", "A2", "A1", None, None],
            "artist_name": ["Björk", "BJÖRK!", "Other", None, "Else"],
            "title": ["Jóga", "jóga", "x", None, "y"],
        }
    )
    everyone = np.arange(5)
    artists = Exclusions.of(songs, ["same-artist"]).allowed(everyone, everyone)
    assert [row.tolist() for row in np.argwhere(~artists & (everyone[:, None] < everyone))] == [[0, 1], [0, 2]]
    doubles = Exclusions.of(songs, ["duplicates"]).allowed(everyone, everyone)
    assert [row.tolist() for row in np.argwhere(~doubles & (everyone[:, None] < everyone))] == [[0, 1], [1, 2]]
    assert not Exclusions.of(songs, []).allowed(everyone, everyone).diagonal().any()
