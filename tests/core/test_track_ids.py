from __future__ import annotations

import pytest

from msd_spark.core.track_ids import song_path, track_id_of

TRACK = "TRABCDE128F4244616"


@pytest.mark.parametrize(
    ("name", "track_id"),
    [
        (f"/d/A/B/C/{TRACK}.h5", TRACK),
        (f"s3://bucket/{TRACK}.h5", TRACK),
        (f"{TRACK}.h5", TRACK),
        (TRACK, TRACK),
        (f"../../{TRACK}.h5", TRACK),
        ("/d/TRABCDE128F424461.h5", None),
        ("/d/TRabcde128F4244616.h5", None),
        (f"/d/{TRACK} (1).h5", None),
        (f"/d/{TRACK}\n.h5", None),
        (f"/d/{TRACK}.h5.h5", None),
        (f"/d/{TRACK}.h5/x.h5", None),
        ("/d/msd_summary_file.h5", None),
        ("", None),
    ],
)
def test_the_track_id_in_a_name(name: str, track_id: str | None) -> None:
    assert track_id_of(name) == track_id


def test_where_the_dataset_keeps_a_track() -> None:
    assert song_path(TRACK) == f"A/B/C/{TRACK}.h5"
    assert track_id_of(song_path(TRACK)) == TRACK
