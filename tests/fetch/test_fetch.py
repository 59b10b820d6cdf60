from __future__ import annotations

import fcntl
import hashlib
import io
import json
import sqlite3
import tarfile
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from msd_spark.core.command_line import run_verb
from msd_spark.core.data_folder import DataFolder
from msd_spark.core.errors import UserError
from msd_spark.fetch.contents import check_contents
from msd_spark.fetch.job import Outcome, fetch, list_outcomes, list_sources
from msd_spark.fetch.lock_file import LOCK_FILE, SCRATCH
from msd_spark.fetch.settings import FetchSettings
from msd_spark.fetch.sources import SOURCES, Contents, MirrorError, Source
from msd_spark.fetch.transfer import Patience
from tests.fetch.conftest import Reply, Server
from tests.support.metadata_files import row_of, write_metadata

QUICK = Patience(attempts=2, timeouts=(5, 5), pause=lambda seconds: None)
TRACK = "TRAAAAW128F429D538"
LABELS = f"# labels\n{TRACK}\tRap\nTRAAABD128F429CF47\tPop_Rock\tBlues\n".encode()


def zipped(name: str, content: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return packed.getvalue()


def database(folder: Path) -> bytes:
    path = folder / "tags.db"
    with sqlite3.connect(path) as connection:
        connection.executescript(
            "CREATE TABLE tids (tid TEXT); CREATE TABLE tags (tag TEXT);"
            "CREATE TABLE tid_tag (tid INT, tag INT, val FLOAT);"
            f"INSERT INTO tids VALUES ('{TRACK}'); INSERT INTO tags VALUES ('rap');"
            "INSERT INTO tid_tag VALUES (1, 1, 100);"
        )
    connection.close()
    return path.read_bytes()


def artists(path: Path) -> bytes:
    """Return the artists' databases: both have all tables."""
    artist = "ARD7TVE1187B99BFB1"
    with sqlite3.connect(path) as connection:
        connection.executescript(
            "CREATE TABLE artists (artist_id TEXT); CREATE TABLE artist_term (artist_id TEXT, term TEXT);"
            "CREATE TABLE artist_mbtag (artist_id TEXT, mbtag TEXT);"
            "CREATE TABLE similarity (target TEXT, similar TEXT);"
            f"INSERT INTO artists VALUES ('{artist}'); INSERT INTO similarity VALUES ('{artist}', 'AR2');"
            f"INSERT INTO artist_term VALUES ('{artist}', 'rap'), ('{artist}', 'hip hop');"
        )
    connection.close()
    return path.read_bytes()


def published(data: Path, folder: Path) -> dict[str, bytes]:
    """Return every published file by name, made from generated data."""
    songs = io.BytesIO()
    with tarfile.open(fileobj=songs, mode="w:gz", compresslevel=1) as archive:
        for path in sorted((data / "songs").rglob("*.h5"))[:12]:
            archive.add(path, f"MillionSongSubset/data/{path.relative_to(data / 'songs')}")
    bags, labels, listens = data / "musixmatch", data / "tagtraum", data / "tasteprofile"
    files = {"millionsongsubset.tar.gz": songs.getvalue(), "lastfm_tags.db": database(folder)}
    for name in ("mxm_dataset_train.txt", "mxm_dataset_test.txt"):
        files[f"{name}.zip"] = zipped(name, (bags / name).read_bytes())
    for name in ("msd_tagtraum_cd1.cls", "msd_tagtraum_cd2.cls", "msd_tagtraum_cd2c.cls"):
        files[f"{name}.zip"] = zipped(name, (labels / name).read_bytes())
    files["train_triplets.txt.zip"] = zipped("train_triplets.txt", (listens / "train_triplets.txt").read_bytes())
    files["mxm_reverse_mapping.txt"] = (bags / "mxm_reverse_mapping.txt").read_bytes()
    files["sid_mismatches.txt"] = (listens / "sid_mismatches.txt").read_bytes()
    files["msd_duplicates.txt"] = f"# a list\n%0 A - T\n{TRACK}\n".encode()
    files["unique_tracks.txt"] = next(data.rglob("*unique_tracks.txt")).read_bytes()
    files["unique_artists.txt"] = f"ARD7TVE1187B99BFB1<SEP><SEP>{TRACK}<SEP>Casual\n".encode()
    files["artist_term.db"] = files["artist_similarity.db"] = artists(folder / "artists.db")
    for file, name in (("track_metadata.db", "made.db"), ("msd_summary_file.h5", "made.h5")):
        files[file] = write_metadata(folder / name, map(row_of, range(20))).read_bytes()
    return files


def without_pins(source: Source) -> Source:
    return replace(source, target_sha256=None, count=None)


def labels_of(server: Server, *mirrors: str) -> Source:
    cd1 = next(source for source in SOURCES if source.name == "cd1")
    return replace(without_pins(cd1), mirrors=tuple(server.url(mirror) for mirror in mirrors or ("cd1.zip",)))


def fetch_one(source: Source, folder: Path, **more: Any) -> Outcome:
    (outcome,) = fetch(FetchSettings(to=str(folder), **more), [source], QUICK)
    return outcome


def test_all_published_files_become_a_data_folder(
    server: Server, generated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.files |= published(generated, tmp_path)
    folder = tmp_path / "data"
    settings = FetchSettings(to=str(folder), mirror=(server.address,))
    sources = list(map(without_pins, SOURCES))
    outcomes = fetch(settings, sources, QUICK)
    assert [one.action for one in outcomes] == ["fetched"] * len(SOURCES)
    found = DataFolder.find(folder)
    assert found.songs == (f"{folder}/songs",)
    assert len(list((folder / "songs").rglob("*.h5"))) == 12
    assert found.bags_train == f"{folder}/musixmatch/mxm_dataset_train.txt.zip"
    assert set(found.labels) == {"cd1", "cd2", "cd2c"}
    assert found.tags == (f"{folder}/lastfm/lastfm_tags.db",)
    assert found.triplets == f"{folder}/tasteprofile/train_triplets.txt"
    assert found.metadata == f"{folder}/additional/msd_summary_file.h5"
    counts = {one.source.name: one.entry.count for one in outcomes}
    names = ("metadata", "summary", "artist-list", "artist-terms", "artist-similarity")
    assert [counts[name] for name in names] == [20, 20, 1, 1, 1]
    assert (folder / "tagtraum" / "msd_tagtraum_cd1.cls").read_bytes() == (
        generated / "tagtraum" / "msd_tagtraum_cd1.cls"
    ).read_bytes()
    assert not (folder / SCRATCH).exists()
    assert "published: 10,000" in list_outcomes(outcomes)
    first = capsys.readouterr().out
    assert first.count("Terms of use") == 1
    terms = (folder / "terms-of-use.txt").read_text()
    assert all(source.terms.gist in terms for source in SOURCES)
    # A second fetch requests nothing and prints no terms, even when it reads every file.
    n_asked = len(server.asked)
    assert {one.action for one in fetch(settings, sources, QUICK)} == {"present"}
    assert {one.action for one in fetch(replace(settings, check=True), sources, QUICK)} == {"present, checked"}
    assert len(server.asked) == n_asked
    assert "Terms of use" not in capsys.readouterr().out


def test_mirrors_are_tried_in_turn_and_each_failure_is_printed(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.files["good.zip"] = zipped("msd_tagtraum_cd1.cls", LABELS)
    server.files["other.zip"] = zipped("something.else", LABELS)
    server.files["torn.zip"] = server.files["good.zip"][:-30]
    server.files["page.zip"] = b"<html><body>Not found</body></html>"
    mirrors = ("missing.zip", "page.zip", "torn.zip", "other.zip", "good.zip")
    outcome = fetch_one(labels_of(server, *mirrors), tmp_path)
    assert (outcome.action, outcome.entry.count, outcome.entry.address) == ("fetched", 2, server.url("good.zip"))
    printed = capsys.readouterr().out
    for reason in (
        "status 404",
        "an HTML page instead of the file",
        "the archive is damaged",
        "the archive does not contain tagtraum/msd_tagtraum_cd1.cls",
    ):
        assert f"cd1: skipped this address: {reason}" in printed


def test_if_no_mirror_has_a_file_all_are_named_and_earlier_files_stay(server: Server, tmp_path: Path) -> None:
    server.files["cd1.zip"] = zipped("msd_tagtraum_cd1.cls", LABELS)
    good = labels_of(server)
    bad = replace(good, name="cd2", target="tagtraum/b.cls", mirrors=(server.url("x"), server.url("y")))
    with pytest.raises(UserError, match=r"cd2 could not be fetched(?s:.)*/x: status 404(?s:.)*/y: status 404"):
        fetch(FetchSettings(to=str(tmp_path)), [good, bad], QUICK)
    assert (tmp_path / good.target).read_bytes() == LABELS
    assert fetch_one(good, tmp_path).action == "present"


def test_the_checksum_of_the_first_download_is_recorded_and_compared(server: Server, tmp_path: Path) -> None:
    server.files["cd1.zip"] = zipped("msd_tagtraum_cd1.cls", LABELS)
    source = labels_of(server)
    fetch_one(source, tmp_path)
    entry = json.loads((tmp_path / LOCK_FILE).read_text())["sources"]["cd1"]
    assert entry["sha256"] == hashlib.sha256(server.files["cd1.zip"]).hexdigest()
    assert entry["places"][source.target] == {
        "files": 1,
        "size": len(LABELS),
        "sha256": hashlib.sha256(LABELS).hexdigest(),
    }
    (tmp_path / source.target).unlink()
    server.files["cd1.zip"] = zipped("msd_tagtraum_cd1.cls", LABELS.replace(b"Rap", b"Pop"))
    server.etags["cd1.zip"] = '"v2"'
    with pytest.raises(
        UserError, match=r"which is not the checksum of the first download \(fetch.lock.json; --accept cd1 takes"
    ):
        fetch_one(source, tmp_path)
    assert not (tmp_path / source.target).exists()
    assert fetch_one(source, tmp_path, accept=("cd1",)).action == "fetched"
    assert b"Pop\n" in (tmp_path / source.target).read_bytes()
    assert fetch_one(source, tmp_path).action == "present"


def test_a_pinned_checksum_and_count_hold_for_every_mirror(server: Server, tmp_path: Path) -> None:
    server.files["wrong.zip"] = zipped("msd_tagtraum_cd1.cls", LABELS.replace(b"Rap", b"Pop"))
    server.files["right.zip"] = zipped("msd_tagtraum_cd1.cls", LABELS)
    source = labels_of(server, "wrong.zip", "right.zip")
    pinned = replace(source, target_sha256=hashlib.sha256(LABELS).hexdigest())
    assert fetch_one(pinned, tmp_path / "a").entry.address == server.url("right.zip")
    outer = replace(source, sha256=hashlib.sha256(server.files["right.zip"]).hexdigest())
    assert fetch_one(outer, tmp_path / "b").entry.address == server.url("right.zip")
    with pytest.raises(UserError, match="has 2 labels instead of 3"):
        fetch_one(replace(source, count=3), tmp_path / "c")
    assert not (tmp_path / "c" / source.target).exists()


def test_cd1_is_pinned_to_the_real_file(sample: Path) -> None:
    cd1 = next(source for source in SOURCES if source.name == "cd1")
    path = sample / "tagtraum" / "msd_tagtraum_cd1.cls"
    assert hashlib.sha256(path.read_bytes()).hexdigest() == cd1.target_sha256
    assert check_contents(cd1, path) == cd1.count


@pytest.mark.parametrize(
    ("contents", "file", "count"),
    [
        (Contents.BAGS, "musixmatch/mxm_dataset_train.txt", 2_350),
        (Contents.STEMS, "musixmatch/mxm_reverse_mapping.txt", 5_000),
        (Contents.TRIPLETS, "tasteprofile/train_triplets.txt", 39_017),
        (Contents.MISMATCHES, "tasteprofile/sid_mismatches.txt", 19_094),
        (Contents.TRACKS, "additional/subset_unique_tracks.txt", None),
        (Contents.SONGS, "songs", 317),
    ],
)
def test_real_files_have_the_expected_content(sample: Path, contents: Contents, file: str, count: int | None) -> None:
    found = check_contents(replace(SOURCES[0], contents=contents, count=None), sample / file)
    assert found == count or (count is None and found > 0)


@pytest.mark.parametrize("contents", Contents)
def test_a_file_of_another_kind_is_refused(tmp_path: Path, contents: Contents) -> None:
    (tmp_path / "folder").mkdir()
    path = tmp_path / "folder" / "file.h5"
    path.write_bytes(b"not what\tit should be\nat all\n")
    with pytest.raises(MirrorError):
        check_contents(replace(SOURCES[0], contents=contents), path.parent if contents is Contents.SONGS else path)


@pytest.mark.parametrize(
    ("contents", "name"),
    [
        (Contents.METADATA, "made.db"),
        (Contents.SUMMARY, "made.h5"),
        (Contents.ARTIST_TERMS, "artists.db"),
        (Contents.SIMILAR_ARTISTS, "artists.db"),
    ],
)
def test_a_truncated_database_or_summary_is_refused(tmp_path: Path, contents: Contents, name: str) -> None:
    path = tmp_path / name
    if name == "artists.db":
        artists(path)
    else:
        write_metadata(path, map(row_of, range(2000)))
    source = replace(SOURCES[0], contents=contents, count=None, published=None)
    assert check_contents(source, path) in (1, 2000)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(MirrorError):
        check_contents(source, path)


def test_an_existing_file_is_adopted_if_it_is_the_right_one(server: Server, tmp_path: Path) -> None:
    source = labels_of(server)
    path = tmp_path / source.target
    path.parent.mkdir()
    path.write_bytes(b"<html>login</html>\n")
    with pytest.raises(UserError, match=r"exists and is not the published file: .*; move it elsewhere"):
        fetch_one(source, tmp_path)
    path.write_bytes(LABELS)
    assert fetch_one(source, tmp_path).action == "adopted"
    assert server.asked == []


def test_a_changed_file_is_reported_and_not_overwritten(server: Server, tmp_path: Path) -> None:
    server.files["cd1.zip"] = zipped("msd_tagtraum_cd1.cls", LABELS)
    source = labels_of(server)
    fetch_one(source, tmp_path)
    path = tmp_path / source.target
    path.write_bytes(LABELS.replace(b"Rap", b"Pop"))
    assert fetch_one(source, tmp_path).action == "present"  # same size
    with pytest.raises(UserError, match="was changed after it was fetched"):
        fetch_one(source, tmp_path, check=True)
    path.write_bytes(LABELS + b"more\n")
    with pytest.raises(UserError, match=f"remove {source.target} to fetch it again"):
        fetch_one(source, tmp_path)
    assert path.read_bytes() == LABELS + b"more\n"


def test_a_stopped_download_resumes_with_the_next_command(server: Server, tmp_path: Path) -> None:
    server.files["cd1.zip"] = zipped("msd_tagtraum_cd1.cls", LABELS)
    server.replies["cd1.zip"] = [Reply(stop_after=40), Reply(status=500), Reply(status=500)]
    source = labels_of(server)
    with pytest.raises(UserError, match="could not be fetched"):
        fetch_one(source, tmp_path)
    assert not (tmp_path / source.target).exists()
    assert fetch_one(source, tmp_path).action == "fetched"
    assert server.ranges[-1] == "bytes=40-"


def test_a_second_command_on_a_folder_is_refused(server: Server, tmp_path: Path) -> None:
    (tmp_path / SCRATCH).mkdir()
    with (tmp_path / SCRATCH / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(UserError, match="another fetch is running in"):
            fetch_one(labels_of(server), tmp_path)


def test_a_damaged_lock_file_is_reported(server: Server, tmp_path: Path) -> None:
    (tmp_path / LOCK_FILE).write_text("{")
    with pytest.raises(UserError, match=r"fetch.lock.json cannot be read .*; correct it, or remove it"):
        fetch_one(labels_of(server), tmp_path)


def test_a_bare_command_lists_the_sources(capsys: pytest.CaptureFixture[str]) -> None:
    run_verb("fetch", [])
    assert capsys.readouterr().out.strip() == list_sources()
    assert all(source.mirrors[0] in list_sources() for source in SOURCES)


def test_the_command_fetches_the_files_of_a_group(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    server.files["unique_tracks.txt"] = f"{TRACK}<SEP>SOMZWCG12A8C13C480<SEP>Casual<SEP>I Didn't Mean To\n".encode()
    server.files["sid_mismatches.txt"] = f"ERROR: <SOMZWCG12A8C13C480 {TRACK}> A  -  T  !=  B  -  U\n".encode()
    server.files["msd_duplicates.txt"] = f"%0 A - T\n{TRACK}\n".encode()
    server.files["unique_artists.txt"] = f"ARD7TVE1187B99BFB1<SEP><SEP>{TRACK}<SEP>Casual\n".encode()
    run_verb("fetch", ["lists", "--mirror", server.address])
    printed = capsys.readouterr().out
    assert "published: 1,000,000" in printed
    assert printed.endswith("data folder: ./data; next: msd-spark pipeline --data ./data\n")
    assert (tmp_path / "data" / "additional" / "unique_tracks.txt").exists()
    names = {"unique_tracks.txt", "unique_artists.txt", "sid_mismatches.txt", "msd_duplicates.txt"}
    assert {path for path, _ in server.asked} == names


@pytest.mark.parametrize(("words", "value"), [(["song"], "song"), (["lists", "--accept", "lyrics"], "lyrics")])
def test_an_unknown_name_is_refused_with_the_known_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str], value: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as refused:
        run_verb("fetch", words)
    assert refused.value.code == 2
    printed = capsys.readouterr().err
    assert f"'{value}'" in printed
    assert "subset" in printed
    assert list(tmp_path.iterdir()) == []
