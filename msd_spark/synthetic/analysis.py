"""The analysis group of a song file: segments, bars, beats, tatums and sections."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from msd_spark.core.song_layout import ANALYSIS
from msd_spark.synthetic.catalogue import SHORTEST, SILENT, Catalogue
from msd_spark.synthetic.draws import AnyArray, Floats, Stream, digest, generator
from msd_spark.synthetic.signal import SILENCE, segment_sounds, song_sound

SAMPLE_RATE = 22050
_MEDIAN_SEGMENT = 0.28  # seconds
_NO_TEMPO, _NO_SIGNATURE, _NO_BEATS, _NO_BARS = 0.002, 0.001, 0.004, 0.03  # shares of the real songs
_TIME_SIGNATURES = np.array([1, 3, 4, 5, 7])
_TIME_SIGNATURE_SHARES = np.cumsum([0.18, 0.12, 0.63, 0.04, 0.03])

Row = dict[str, int | float | bytes]
"""Values of a table's columns; missing columns are 0 or empty."""


@dataclass(frozen=True)
class Contents:
    """Table row and arrays of one group of a song file, by path; missing arrays are empty."""

    row: Row
    arrays: dict[str, AnyArray]


def _confidence(random: np.random.Generator, count: int) -> Floats:
    """Draw confidences in [0, 1], often 1: shape ``(count,)``, three decimals."""
    return random.normal(0.6, 0.33, count).clip(0, 1).round(3)


def _grid(random: np.random.Generator, first: float, period: float, duration: float) -> Floats:
    """Draw times within the song, about `period` seconds apart."""
    count = max(int((duration - first) / period), 0)
    grid = first + period * (np.arange(count) + random.uniform(-0.05, 0.05, count))
    return np.round(grid[(grid >= 0) & (grid < duration)], 5)


def _loudness(timbre: Floats, random: np.random.Generator) -> tuple[Floats, Floats]:
    """Draw the loudness in dB, at start and maximum, from the first timbre coefficient."""
    loudest = np.clip(timbre[:, 0] - 56.5 + random.normal(0, 1.2, len(timbre)), -60, 3)
    start = np.clip(loudest - random.gamma(2.2, 4, len(timbre)), -60, None)
    return np.round(start, 3), np.round(loudest, 3)


def analysis(catalogue: Catalogue, track: int) -> Contents:
    """Draw the analysis of a track; it depends only on the seed, the track and its artist."""
    settings = catalogue.settings
    song, count = int(catalogue.song[track]), int(catalogue.segments[track])
    sound = song_sound(settings.seed, song, int(catalogue.sound[track]), int(catalogue.artist[track]), settings.signal)
    random = generator(settings.seed, Stream.SONG_SEGMENTS, track)
    timbre, pitches = segment_sounds(sound, count, settings.signal, random)

    pace = _MEDIAN_SEGMENT * np.exp(0.27 * random.standard_normal())
    lengths = np.maximum(pace * np.exp(0.5 * random.standard_normal(count)), 0.06)
    ends = np.round(np.cumsum(lengths), 5)
    starts, duration = np.concatenate([[0.0], ends[:-1]]), float(ends[-1])

    fade_in = 0.0
    if random.random() < 0.6:  # the song starts with silence
        fade_in = round(float(starts[1]), 3)
        timbre[0] = SILENCE
    start_loudness, loudest = _loudness(timbre, random)
    start_loudness[0] = -60.0
    confidence = _confidence(random, count)
    confidence[0] = float(fade_in == 0)

    arrays = {
        "segments_start": starts,
        "segments_confidence": confidence,
        "segments_pitches": pitches,
        "segments_timbre": timbre,
        "segments_loudness_max": loudest,
        "segments_loudness_max_time": np.round(lengths * random.beta(1.2, 5, count), 5),
        "segments_loudness_start": start_loudness,
    }
    rhythm, row = _rhythm(random, duration, track)
    arrays |= rhythm
    chroma = pitches.mean(axis=0)
    row |= {
        "analysis_sample_rate": SAMPLE_RATE,
        "audio_md5": digest(settings.seed, "audio", track)[:16].hex().encode(),
        "duration": duration,
        "end_of_fade_in": fade_in,
        "key": int(chroma.argmax()),
        "key_confidence": float(_confidence(random, 1)[0]),
        "loudness": round(float(min(loudest.mean() + 3.5, -0.5)), 3),
        "mode": int(random.random() < 0.69),
        "mode_confidence": float(_confidence(random, 1)[0]),
        "start_of_fade_out": round(duration - min(float(random.gamma(1, 6)), duration / 2), 3),
        "track_id": catalogue.track_id(track).encode(),
    }
    return Contents(row, {f"{ANALYSIS}/{name}": values for name, values in arrays.items()})


def _rhythm(random: np.random.Generator, duration: float, track: int) -> tuple[dict[str, AnyArray], Row]:
    """Draw bars, beats, tatums, sections, tempo and time signature, some of them missing."""
    tempo = float(np.clip(random.normal(121, 33), 40, 255))
    signature = int(_TIME_SIGNATURES[np.searchsorted(_TIME_SIGNATURE_SHARES[:-1], random.random(), side="right")])
    first, chance = float(random.uniform(0.05, 1.0)), float(random.random())
    has_no_tempo = track == SILENT or chance < _NO_TEMPO
    has_no_beats = has_no_tempo or track == SHORTEST or chance < _NO_TEMPO + _NO_BEATS
    has_no_bars = has_no_beats or chance < _NO_TEMPO + _NO_BEATS + _NO_BARS

    empty = np.zeros(0)
    beats = empty if has_no_beats else _grid(random, first, 60 / tempo, duration)
    tatums = empty
    if len(beats):  # every beat, and the midpoint between two beats
        tatums = np.empty(2 * len(beats) - 1)
        tatums[::2], tatums[1::2] = beats, np.round((beats[1:] + beats[:-1]) / 2, 5)
    bars = empty if has_no_bars else beats[int(random.integers(signature)) :: signature]
    sections = np.concatenate([[0.0], _grid(random, 12.0, 24.0, duration)])
    if not len(beats):
        sections = empty
    grids = {"bars": bars, "beats": beats, "tatums": tatums, "sections": sections}
    arrays: dict[str, AnyArray] = {}
    for name, times in grids.items():
        arrays[f"{name}_start"] = times
        arrays[f"{name}_confidence"] = _confidence(random, len(times))
    has_no_signature = track == SILENT or 1 - chance < _NO_SIGNATURE
    return arrays, {
        "tempo": 0.0 if has_no_tempo else round(tempo, 3),
        "time_signature": 0 if has_no_signature else signature,
        "time_signature_confidence": 0.0 if has_no_signature else float(_confidence(random, 1)[0]),
    }
