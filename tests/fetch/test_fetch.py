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

import pytest

from msd_spark.core.data_folder import DataFolder
from msd_spark.core.errors import UserError
from msd_spark.fetch.command import chosen, main, what_there_is
from msd_spark.fetch.contents import check_contents
from msd_spark.fetch.failures import MirrorError
from msd_spark.fetch.job import FetchSettings, Outcome, fetch
from msd_spark.fetch.lock_file import LOCK_FILE, SCRATCH
from msd_spark.fetch.sources import GROUPS, SOURCES, Contents, Source
from msd_spark.fetch.transfer import TransferSettings
from tests.fetch.conftest import Reply, Server

QUICK = TransferSettings(attempts=2, timeouts=(5, 5), pause=lambda seconds: None)
TRACK = "TRAAAAW128F429D538"
LABELS = f"# labels\n{TRACK}\tRap\nTRAAABD128F429CF47\tPop_Rock\tBlues\n".encode()


def zipped(name: str, content: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return packed.getvalue()


def database(folder: Path) -> bytes:
    path = folder / "made.db"
    with sqlite3.connect(path) as made:
        made.executescript(
            "CREATE TABLE tids (tid TEXT); CREATE TABLE tags (tag TEXT);"
            "CREATE TABLE tid_tag (tid INT, tag INT, val FLOAT);"
            f"INSERT INTO tids VALUES ('{TRACK}'); INSERT INTO tags VALUES ('rap');"
            "INSERT INTO tid_tag VALUES (1, 1, 100);"
        )
    made.close()
    return path.read_bytes()


def published(data: Path, folder: Path) -> dict[str, bytes]:
    """Return every file of the table as it is published, by name, made of generated data."""
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
    files["unique_tracks.txt"] = next(data.rglob("*unique_tracks.txt")).read_bytes()
    return files


def without_pins(source: Source) -> Source:
    return replace(source, target_sha256=None, count=None)


def labels_of(server: Server, *mirrors: str) -> Source:
    cd1 = next(source for source in SOURCES if source.name == "cd1")
    return replace(without_pins(cd1), mirrors=tuple(server.url(mirror) for mirror in mirrors or ("cd1.zip",)))


def fetch_one(source: Source, folder: Path, **more: object) -> Outcome:
    (outcome,) = fetch(FetchSettings((source,), folder, transfer=QUICK, **more))  # type: ignore[arg-type]
    return outcome


def test_all_that_is_published_becomes_a_folder_of_data(
    server: Server, generated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.files |= published(generated, tmp_path)
    folder = tmp_path / "data"
    settings = FetchSettings(tuple(map(without_pins, SOURCES)), folder, mirrors=(server.address,), transfer=QUICK)
    outcomes = fetch(settings)
    assert [one.how for one in outcomes] == ["fetched"] * len(SOURCES)
    found = DataFolder.find(folder)
    assert found.songs == (folder / "songs",)
    assert len(list(found.songs[0].rglob("*.h5"))) == 12
    assert found.bags_train == folder / "musixmatch" / "mxm_dataset_train.txt.zip"
    assert set(found.labels) == {"cd1", "cd2", "cd2c"}
    assert found.tags == (folder / "lastfm" / "lastfm_tags.db",)
    assert found.triplets == folder / "tasteprofile" / "train_triplets.txt"
    assert (folder / "tagtraum" / "msd_tagtraum_cd1.cls").read_bytes() == (
        generated / "tagtraum" / "msd_tagtraum_cd1.cls"
    ).read_bytes()
    assert not (folder / SCRATCH).exists()
    assert outcomes[0].note == "published: 10,000"
    first = capsys.readouterr().out
    assert first.count("Terms of use") == 1
    terms = (folder / "terms-of-use.txt").read_text()
    assert all(source.terms.gist in terms for source in SOURCES)
    # Again: nothing is asked for, nothing is said twice, not even after reading it all.
    n_asked = len(server.asked)
    assert {one.how for one in fetch(settings)} == {"there already"}
    assert {one.how for one in fetch(replace(settings, check=True))} == {"there already, checked"}
    assert len(server.asked) == n_asked
    assert "Terms of use" not in capsys.readouterr().out


def test_mirrors_are_tried_in_turn_and_each_says_why_not(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.files["good.zip"] = zipped("msd_tagtraum_cd1.cls", LABELS)
    server.files["other.zip"] = zipped("something.else", LABELS)
    server.files["torn.zip"] = server.files["good.zip"][:-30]
    server.files["page.zip"] = b"<html><body>Not found</body></html>"
    mirrors = ("missing.zip", "page.zip", "torn.zip", "other.zip", "good.zip")
    outcome = fetch_one(labels_of(server, *mirrors), tmp_path)
    assert (outcome.how, outcome.entry.count, outcome.entry.address) == ("fetched", 2, server.url("good.zip"))
    said = capsys.readouterr().out
    for reason in ("answer 404", "an HTML page there", "damaged", "nothing for tagtraum/msd_tagtraum_cd1.cls"):
        assert f"cd1: not from there: {reason}" in said.replace("it is ", "").replace("the archive is ", "").replace(
            "the archive has ", ""
        )


def test_when_no_mirror_gives_it_all_are_named_and_what_came_before_stays(server: Server, tmp_path: Path) -> None:
    server.files["cd1.zip"] = zipped("msd_tagtraum_cd1.cls", LABELS)
    good = labels_of(server)
    bad = replace(good, name="cd2", target="tagtraum/b.cls", mirrors=(server.url("x"), server.url("y")))
    with pytest.raises(UserError, match=r"cd2 could not be fetched(?s:.)*/x: answer 404(?s:.)*/y: answer 404"):
        fetch(FetchSettings((good, bad), tmp_path, transfer=QUICK))
    assert (tmp_path / good.target).read_bytes() == LABELS
    assert fetch_one(good, tmp_path).how == "there already"


def test_the_first_downloads_checksum_is_kept_and_compared(server: Server, tmp_path: Path) -> None:
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
    with pytest.raises(UserError, match=r"which is not the first one's \(fetch.lock.json; --accept cd1 takes the new"):
        fetch_one(source, tmp_path)
    assert not (tmp_path / source.target).exists()
    assert fetch_one(source, tmp_path, accept=frozenset({"cd1"})).how == "fetched"
    assert b"Pop\n" in (tmp_path / source.target).read_bytes()
    assert fetch_one(source, tmp_path).how == "there already"


def test_a_pinned_checksum_and_count_hold_for_every_mirror(server: Server, tmp_path: Path) -> None:
    server.files["wrong.zip"] = zipped("msd_tagtraum_cd1.cls", LABELS.replace(b"Rap", b"Pop"))
    server.files["right.zip"] = zipped("msd_tagtraum_cd1.cls", LABELS)
    source = labels_of(server, "wrong.zip", "right.zip")
    pinned = replace(source, target_sha256=hashlib.sha256(LABELS).hexdigest())
    assert fetch_one(pinned, tmp_path / "a").entry.address == server.url("right.zip")
    outer = replace(source, sha256=hashlib.sha256(server.files["right.zip"]).hexdigest())
    assert fetch_one(outer, tmp_path / "b").entry.address == server.url("right.zip")
    with pytest.raises(UserError, match="has 2 labels and should have 3"):
        fetch_one(replace(source, count=3), tmp_path / "c")
    assert not (tmp_path / "c" / source.target).exists()


def test_cd1_is_pinned_to_the_file_that_was_seen(sample: Path) -> None:
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
def test_real_files_are_what_they_should_be(sample: Path, contents: Contents, file: str, count: int | None) -> None:
    found = check_contents(replace(SOURCES[0], contents=contents, count=None), sample / file)
    assert found == count or (count is None and found > 0)


@pytest.mark.parametrize("contents", Contents)
def test_a_file_of_another_kind_is_refused(tmp_path: Path, contents: Contents) -> None:
    (tmp_path / "folder").mkdir()
    path = tmp_path / "folder" / "file.h5"
    path.write_bytes(b"not what\tit should be\nat all\n")
    with pytest.raises(MirrorError):
        check_contents(replace(SOURCES[0], contents=contents), path.parent if contents is Contents.SONGS else path)


def test_a_file_that_was_there_is_taken_up_if_it_is_the_right_one(server: Server, tmp_path: Path) -> None:
    source = labels_of(server)
    path = tmp_path / source.target
    path.parent.mkdir()
    path.write_bytes(b"<html>login</html>\n")
    with pytest.raises(UserError, match=r"was there before and is not it: .*; move it away"):
        fetch_one(source, tmp_path)
    path.write_bytes(LABELS)
    assert fetch_one(source, tmp_path).how == "found there"
    assert server.asked == []


def test_a_file_that_was_changed_is_told_and_not_overwritten(server: Server, tmp_path: Path) -> None:
    server.files["cd1.zip"] = zipped("msd_tagtraum_cd1.cls", LABELS)
    source = labels_of(server)
    fetch_one(source, tmp_path)
    path = tmp_path / source.target
    path.write_bytes(LABELS.replace(b"Rap", b"Pop"))
    assert fetch_one(source, tmp_path).how == "there already"  # as large as it was
    with pytest.raises(UserError, match="is not what was fetched"):
        fetch_one(source, tmp_path, check=True)
    path.write_bytes(LABELS + b"more\n")
    with pytest.raises(UserError, match=f"remove all of {source.target} to fetch it again"):
        fetch_one(source, tmp_path)
    assert path.read_bytes() == LABELS + b"more\n"


def test_a_download_that_was_stopped_goes_on_with_the_next_command(server: Server, tmp_path: Path) -> None:
    server.files["cd1.zip"] = zipped("msd_tagtraum_cd1.cls", LABELS)
    server.replies["cd1.zip"] = [Reply(stop_after=40), Reply(status=500), Reply(status=500)]
    source = labels_of(server)
    with pytest.raises(UserError, match="could not be fetched"):
        fetch_one(source, tmp_path)
    assert not (tmp_path / source.target).exists()
    assert fetch_one(source, tmp_path).how == "fetched"
    assert server.ranges[-1] == "bytes=40-"


def test_two_commands_do_not_share_a_folder(server: Server, tmp_path: Path) -> None:
    (tmp_path / SCRATCH).mkdir()
    with (tmp_path / SCRATCH / "lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(UserError, match="another fetch is at work in"):
            fetch_one(labels_of(server), tmp_path)


def test_a_lock_file_that_is_damaged_is_told(server: Server, tmp_path: Path) -> None:
    (tmp_path / LOCK_FILE).write_text("{")
    with pytest.raises(UserError, match=r"fetch.lock.json cannot be read .*; put it right, or remove it"):
        fetch_one(labels_of(server), tmp_path)


def test_the_command_names_what_there_is_and_what_it_does_not_know(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main([])
    assert capsys.readouterr().out.strip() == what_there_is()
    assert all(source.mirrors[0] in what_there_is() for source in SOURCES)
    assert chosen(["all"]) == SOURCES
    assert {source.name for source in chosen(["lists", "lyrics"])} == {
        "lyrics-train",
        "lyrics-test",
        "stems",
        "mismatches",
        "tracks",
    }
    assert all(chosen([group]) for group in GROUPS)
    with pytest.raises(UserError, match="nothing is called 'song'; there are subset, lyrics"):
        main(["song", "--to", str(tmp_path)])
    with pytest.raises(UserError, match="where to\\? give a folder"):
        main(["subset"])
    server.files["unique_tracks.txt"] = f"{TRACK}<SEP>SOMZWCG12A8C13C480<SEP>Casual<SEP>I Didn't Mean To\n".encode()
    server.files["sid_mismatches.txt"] = f"ERROR: <SOMZWCG12A8C13C480 {TRACK}> A  -  T  !=  B  -  U\n".encode()
    main(["lists", "--to", str(tmp_path), "--mirror", server.address])
    assert "published: 1,000,000" in capsys.readouterr().out
