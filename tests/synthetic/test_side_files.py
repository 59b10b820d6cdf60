"""The other files of a catalogue, read by small readers written for these tests."""

from __future__ import annotations

import itertools
import json
import re
import zipfile
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from msd_spark.core.summary import Summary
from msd_spark.synthetic.labels import MAGD_OTHERS
from msd_spark.synthetic.signal import GENRES

CD2_GENRES = (
    "Rock", "Pop", "Metal", "Punk", "Blues", "Country", "Electronic", "Folk", "Jazz", "Latin", "New Age", "RnB",
    "Rap", "Reggae", "World",
)  # fmt: skip


def lines(path: Path) -> list[str]:
    """Read lines ended by LF only; the file must end with one."""
    text = path.read_bytes().decode("utf-8")
    assert text.endswith("\n")
    return text[:-1].split("\n")


@pytest.fixture(scope="module")
def truth(folder: Path) -> dict[str, dict[str, str]]:
    """Read the planted truth by track id."""
    header, *rows = [line.split("\t") for line in lines(folder / "truth.tsv")]
    return {row[0]: dict(zip(header, row, strict=True)) for row in rows}


def bags(path: Path) -> tuple[list[str], dict[str, dict[int, int]]]:
    """Read the vocabulary and the bags of words of a musiXmatch file."""
    body = [line for line in lines(path) if not line.startswith("#")]
    assert body[0].startswith("%")
    read = {}
    for line in body[1:]:
        track, number, *pairs = line.split(",")
        assert int(number) > 0
        read[track] = {int(word): int(count) for word, count in (pair.split(":") for pair in pairs)}
        assert len(read[track]) == len(pairs)
    return body[0][1:].split(","), read


def test_lyrics_are_as_musixmatch_writes_them(folder: Path, truth: dict[str, dict[str, str]]) -> None:
    vocabulary, train = bags(folder / "musixmatch/mxm_dataset_train.txt")
    same, test = bags(folder / "musixmatch/mxm_dataset_test.txt")
    assert vocabulary == same
    assert len(vocabulary) == len(set(vocabulary)) == 5000
    assert not train.keys() & test.keys()
    with_lyrics = {track for track, row in truth.items() if row["has_lyrics"] == "1"}
    assert train.keys() | test.keys() == with_lyrics
    assert 0.7 < len(with_lyrics) / len(truth) < 0.9
    assert 0 < len(test) < 0.2 * len(with_lyrics)
    for bag in (*train.values(), *test.values()):
        assert min(bag) >= 1
        assert max(bag) <= 5000
        assert min(bag.values()) >= 1
        assert list(bag) == sorted(bag)


def test_vocabulary_is_sorted_by_frequency_and_has_its_oddities(folder: Path) -> None:
    vocabulary, train = bags(folder / "musixmatch/mxm_dataset_train.txt")
    totals: Counter[int] = Counter()
    for bag in train.values():
        totals.update(bag)
    bounds = (1, 5, 20, 80, 300, 1000, 5001)
    shares = [
        sum(totals[word] for word in range(first, end)) / (end - first) for first, end in itertools.pairwise(bounds)
    ]
    assert shares == sorted(shares, reverse=True)
    assert any(0x80 <= ord(letter) < 0xA0 for word in vocabulary for letter in word)
    assert any("’" in word for word in vocabulary)
    assert any(len(word.splitlines()) > 1 for word in vocabulary)


def test_reverse_mapping_has_every_stem_once(folder: Path) -> None:
    vocabulary, _ = bags(folder / "musixmatch/mxm_dataset_train.txt")
    pairs = [line.split("<SEP>") for line in lines(folder / "musixmatch/mxm_reverse_mapping.txt")]
    assert sorted(stem for stem, _ in pairs) == sorted(vocabulary)
    longer = sum(stem != word for stem, word in pairs) / len(pairs)
    assert 0.2 < longer < 0.35


def genres(path: Path) -> dict[str, list[str]]:
    """Read a label file: one or two genres by track id."""
    body = [line.split("\t") for line in lines(path) if not line.startswith("#")]
    assert body == sorted(body)
    read = {track: names for track, *names in body}
    assert len(read) == len(body)
    return read


def test_labels_have_their_vocabularies_and_missing_tracks(folder: Path, truth: dict[str, dict[str, str]]) -> None:
    cd1, cd2, cd2c = (genres(folder / f"tagtraum/msd_tagtraum_{name}.cls") for name in ("cd1", "cd2", "cd2c"))
    assert {name for names in cd1.values() for name in names} <= set(GENRES)
    assert {name for names in (*cd2.values(), *cd2c.values()) for name in names} <= set(CD2_GENRES)
    assert 0.78 < len(cd1) / len(truth) < 0.92
    second = sum(len(names) == 2 for names in cd1.values()) / len(cd1)
    assert 0.18 < second < 0.36
    assert all(len(names) <= 2 and len(set(names)) == len(names) for names in (*cd1.values(), *cd2.values()))
    assert 0 < len(cd2c) < len(cd2) < len(truth)
    assert all(cd2[track] == names and len(names) == 1 for track, names in cd2c.items())
    assert cd1.keys() - cd2.keys()
    assert cd2.keys() - cd1.keys()


def test_some_cd1_labels_are_wrong(folder: Path, truth: dict[str, dict[str, str]]) -> None:
    cd1 = genres(folder / "tagtraum/msd_tagtraum_cd1.cls")
    wrong = sum(names[0] != truth[track]["genre"] for track, names in cd1.items()) / len(cd1)
    assert 0.03 < wrong < 0.15


def test_label_files_begin_with_the_official_comment(folder: Path, sample: Path) -> None:
    def comment(path: Path) -> list[str]:
        with path.open(encoding="utf-8") as file:
            return [line for line in (next(file) for _ in range(12)) if line.startswith("#")]

    name = "tagtraum/msd_tagtraum_cd1.cls"
    assert comment(folder / name) == comment(sample / name)


def test_magd_has_additional_genres(folder: Path) -> None:
    names_of_magd = {name for names in genres(folder / "magd/msd_magd_genreassignment.tsv").values() for name in names}
    assert names_of_magd & set(MAGD_OTHERS)
    assert names_of_magd <= set(MAGD_OTHERS) | set(GENRES)
    assert "Stage " in MAGD_OTHERS


def test_triplets_are_sorted_and_favour_genres(folder: Path, truth: dict[str, dict[str, str]]) -> None:
    heard = {row["song_id"]: row["genre"] for row in truth.values() if row["is_heard"] == "1"}
    unheard = {row["song_id"] for row in truth.values() if row["is_heard"] == "0"}
    rows = [line.split("\t") for line in lines(folder / "tasteprofile/train_triplets.txt")]
    users = [user for user, _, _ in rows]
    assert users == sorted(users)
    assert all(re.fullmatch("[0-9a-f]{40}", user) for user in set(users))
    assert len({(user, song) for user, song, _ in rows}) == len(rows)
    assert {song for _, song, _ in rows} <= heard.keys()
    assert 0.2 < len(unheard) / (len(heard) + len(unheard)) < 0.4
    plays = sorted(int(count) for _, _, count in rows)
    assert plays[0] == 1
    assert plays[len(plays) // 2] <= 2
    assert plays[-1] > 50

    tastes: dict[str, Counter[str]] = defaultdict(Counter)
    for user, song, _ in rows:
        tastes[user][heard[song]] += 1
    top = sum(taste.most_common(2)[-1][1] + taste.most_common(1)[0][1] for taste in tastes.values() if len(taste) > 1)
    overall = Counter(heard[song] for _, song, _ in rows)
    common = sum(count for _, count in overall.most_common(2)) / len(rows)
    assert top / len(rows) > common + 0.15


def test_mismatches_have_the_official_format(folder: Path, truth: dict[str, dict[str, str]]) -> None:
    pattern = re.compile(r"ERROR: <(SO\w{16}) (TR\w{16})> (.*)  -  (.*)  !=  (.*)  -  (.*)")
    tracks: Counter[str] = Counter()
    for line in lines(folder / "tasteprofile/sid_mismatches.txt"):
        match = pattern.fullmatch(line)
        assert match, line
        assert truth[match[2]]["song_id"] == match[1]
        assert match[3] != match[5] or match[4] != match[6]
        tracks[match[2]] += 1
    assert max(tracks.values()) == 2
    assert len(tracks) < 0.05 * len(truth)


def test_unique_tracks_name_every_track(folder: Path, truth: dict[str, dict[str, str]]) -> None:
    rows = [line.split("<SEP>") for line in lines(folder / "additional/unique_tracks.txt")]
    assert {len(row) for row in rows} == {4}
    assert {row[0]: row[1] for row in rows} == {track: row["song_id"] for track, row in truth.items()}
    assert all(artist and title for _, _, artist, title in rows)


def test_lastfm_has_one_json_file_per_track(folder: Path, truth: dict[str, dict[str, str]]) -> None:
    scores: list[str] = []
    untagged = 0
    with zipfile.ZipFile(folder / "lastfm/lastfm_sample.zip") as archive:
        names = archive.namelist()
        assert len(names) == len(set(names)) == len(truth)
        for name in names:
            entry = json.loads(archive.read(name))
            assert list(entry) == ["artist", "timestamp", "similars", "tags", "track_id", "title"]
            track = entry["track_id"]
            assert name == f"lastfm/{track[2]}/{track[3]}/{track[4]}/{track}.json"
            assert all(other in truth and 0 <= score <= 1 for other, score in entry["similars"])
            assert track not in [other for other, _ in entry["similars"]]
            untagged += not entry["tags"]
            scores += [score for _, score in entry["tags"]]
    assert 0.4 < untagged / len(truth) < 0.6
    assert all(isinstance(score, str) and 0 <= int(score) <= 100 for score in scores)
    assert "100" in scores


def test_a_duplicate_shares_song_genre_and_artist(truth: dict[str, dict[str, str]]) -> None:
    duplicates = [row for row in truth.values() if row["duplicate_of"]]
    assert duplicates
    for row in duplicates:
        first = truth[row["duplicate_of"]]
        assert all(row[name] == first[name] for name in ("song_id", "genre", "artist_id"))


def test_broken_files_are_not_songs(folder: Path, truth: dict[str, dict[str, str]]) -> None:
    paths = sorted((folder / "broken").glob("TR*.h5"))
    assert len(paths) == 3
    assert not {path.stem for path in paths} & truth.keys()
    assert all(path.read_bytes().startswith(b"\x89HDF") for path in paths)


def test_summary_counts_what_was_written(written: tuple[Path, Summary], truth: dict[str, dict[str, str]]) -> None:
    folder, summary = written
    facts = summary.facts
    assert facts["songs"] == len(truth) == 300
    assert facts["triplets"] == len(lines(folder / "tasteprofile/train_triplets.txt"))
    assert facts["labels cd1"] == len(genres(folder / "tagtraum/msd_tagtraum_cd1.cls"))
    assert facts["lyrics train"] == len(bags(folder / "musixmatch/mxm_dataset_train.txt")[1])
    assert facts["sid mismatches"] == len(lines(folder / "tasteprofile/sid_mismatches.txt"))
    assert facts["broken files"] == 3
    assert facts["bytes"] == sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
