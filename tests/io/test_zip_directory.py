from __future__ import annotations

import io
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from msd_spark.io.zip_directory import LARGEST_MEMBER, ZipError, members, read_member, slice_directory


def archive(contents: dict[str, bytes], *, before: bytes = b"", comment: bytes = b"", method: int = 8) -> bytes:
    buffer = io.BytesIO()
    buffer.write(before)
    with zipfile.ZipFile(buffer, "a", method) as written:
        written.comment = comment
        for name, content in contents.items():
            written.writestr(name, content)
    return buffer.getvalue()


def read(content: bytes, members_a_slice: int = 3) -> dict[str, bytes]:
    file = io.BytesIO(content)
    slices = slice_directory(file, members_a_slice)
    return {one.name: read_member(file, one) for part in slices for one in members(file, part)}


@given(
    st.dictionaries(
        st.text(st.characters(codec="utf-8", exclude_characters="\0\\"), min_size=1, max_size=9),
        st.binary(max_size=200),
    ),
    st.binary(max_size=20),
    st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]),
    st.integers(1, 4),
)
def test_what_zipfile_wrote_comes_back(
    contents: dict[str, bytes], comment: bytes, method: int, members_a_slice: int
) -> None:
    assert read(archive(contents, comment=comment, method=method), members_a_slice) == contents


def test_slices_have_as_many_members_as_asked_for() -> None:
    content = archive({f"{number}.json": b"{}" for number in range(7)})
    file = io.BytesIO(content)
    slices = slice_directory(file, 3)
    assert [len(list(members(file, part))) for part in slices] == [3, 3, 1]


def test_bytes_before_the_archive_shift_it() -> None:
    plain = archive({"a.json": b"abc" * 50})
    assert read(b"a program that unpacks itself" + plain) == {"a.json": b"abc" * 50}


def test_more_members_than_a_small_archive_can_count() -> None:
    contents = {f"{number}": b"" for number in range(70_000)}
    assert read(archive(contents, method=zipfile.ZIP_STORED), 20_000) == contents


def test_members_with_sizes_behind_them_and_in_the_extra_field() -> None:
    class Stream(io.BytesIO):
        def seekable(self) -> bool:
            return False

        def seek(self, *_: int) -> int:
            raise io.UnsupportedOperation

        def tell(self) -> int:
            raise io.UnsupportedOperation

    stream = Stream()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as written:
        with written.open("a.json", "w", force_zip64=True) as member:
            member.write(b"some words" * 100)
        written.writestr("b.json", b"others")
    assert read(stream.getvalue()) == {"a.json": b"some words" * 100, "b.json": b"others"}


def test_what_is_no_archive_is_refused() -> None:
    whole = archive({f"{number}.json": b"{}" * 40 for number in range(9)})
    for content in (b"", b"no zip", whole[:-30], whole[100:-1]):
        with pytest.raises(ZipError):
            read(content)


def test_a_damaged_member_is_refused_and_the_others_are_read() -> None:
    content = bytearray(archive({"a.json": b"aaaa", "b.json": b"bbbb"}, method=zipfile.ZIP_STORED))
    content[content.index(b"aaaa")] = ord("x")
    file = io.BytesIO(bytes(content))
    (part,) = slice_directory(file, 10)
    first, second = members(file, part)
    with pytest.raises(ZipError, match="damaged"):
        read_member(file, first)
    assert read_member(file, second) == b"bbbb"


def test_a_member_that_would_fill_the_memory_is_refused() -> None:
    content = archive({"a.json": b"0" * (LARGEST_MEMBER + 1)})
    with pytest.raises(ZipError, match="bytes"):
        read(content)


@given(st.data())
def test_damage_anywhere_is_an_error_or_does_no_harm(data: st.DataObject) -> None:
    contents = {"a.json": b"first" * 9, "b.json": b"second" * 9}
    content = bytearray(archive(contents))
    content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = read(bytes(content))
    except ZipError:
        return
    assert set(found.values()) <= set(contents.values())
