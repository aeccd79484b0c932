"""Tars that are cut, changed or made to harm: a whole example or an error, never anything else."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_shards import Files, shard_bytes

from manifests.errors import ManifestError
from manifests.shard import MAX_MEMBER_BYTES, iter_examples

EXAMPLES: dict[str, Files] = {
    f"k{i}": {"clean.flac": bytes([65 + i]) * 700, "noisy.snr_0.flac": b"n" * 512, "json": b"{}"}
    for i in range(3)
}
SHARD, PLACES = shard_bytes(EXAMPLES)
END = PLACES[-1][0] + PLACES[-1][1]
Entry = tuple[tarfile.TarInfo, bytes]


def read(data: bytes, **options: bool) -> tuple[dict[str, Files], str]:
    """All examples up to the end or the first error, and the error's text."""
    found: dict[str, Files] = {}
    try:
        for key, files in iter_examples(io.BytesIO(data), "s.tar", **options):
            found[key] = files
    except ManifestError as error:
        assert str(error).startswith("s.tar: ")
        return found, str(error)
    return found, ""


def entry(name: str, data: bytes = b"", **fields: object) -> Entry:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for field, value in fields.items():
        setattr(info, field, value)
    return info, data


def tar(*entries: Entry, tar_format: int = tarfile.USTAR_FORMAT) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tar_format) as archive:
        for info, data in entries:
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


@given(st.integers(0, END))
@settings(deadline=None, max_examples=150)
def test_a_cut_shard_gives_whole_examples_and_then_an_error(cut: int) -> None:
    found, error = read(SHARD[:cut], whole=True)
    whole = [key for key, (at, length) in zip(EXAMPLES, PLACES, strict=True) if at + length <= cut]
    assert found == {key: EXAMPLES[key] for key in whole}
    assert "cut short" in error


@pytest.mark.parametrize("cut", [0, *(offset + length for offset, length in PLACES)])
def test_a_range_may_end_between_examples(cut: int) -> None:
    found, error = read(SHARD[:cut])
    assert (len(found), error) == ([0, *(o + n for o, n in PLACES)].index(cut), "")


@given(st.integers(0, END - 1))
@settings(deadline=None, max_examples=100)
def test_a_range_that_ends_elsewhere_is_an_error(cut: int) -> None:
    found, error = read(SHARD[:cut])
    if cut in [0, *(offset + length for offset, length in PLACES)]:
        assert not error
    else:
        assert "cut short" in error
    assert all(found[key] == EXAMPLES[key] for key in found)


@given(st.integers(0, END - 1), st.integers(1, 255))
@settings(deadline=None, max_examples=200)
def test_a_changed_byte_never_makes_another_member_set(at: int, change: int) -> None:
    """A header is under its checksum; contents are hashed later, against the sidecar."""
    changed = bytearray(SHARD)
    changed[at] ^= change
    found, error = read(bytes(changed))
    if not error:
        assert {key: [*files] for key, files in found.items()} == {
            key: [*files] for key, files in EXAMPLES.items()
        }


def test_a_header_wiped_out_is_not_taken_for_the_end() -> None:
    wiped = bytearray(SHARD)
    at = PLACES[1][0]
    wiped[at : at + 512] = bytes(512)
    found, error = read(bytes(wiped))
    assert list(found) == ["k0"]
    assert error == "s.tar: expected zeros after the end mark of the tar, got more"


def test_two_tars_in_a_row_are_refused() -> None:
    assert "expected zeros after the end mark" in read(SHARD + SHARD)[1]


JSON = entry("a.json", b"{}")
GOOD = entry("a.clean.flac", b"x")


@pytest.mark.parametrize(
    "bad",
    [
        entry("../a.clean.flac", b"x"),
        entry("/a.clean.flac", b"x"),
        entry("/etc/passwd", b"x"),
        entry("a/b.clean.flac", b"x"),
        entry("a.b/c.flac", b"x"),
        entry("A.clean.flac", b"x"),
        entry("a.clean.mp3", b"x"),
        entry("a.pickle", b"x"),
        entry("a.pth", b"x"),
        entry("a", b"x"),
        entry(".flac", b"x"),
        entry("a.JSON", b"x"),
        entry("ä.flac", b"x"),
        entry("a.clean.flac", type=tarfile.SYMTYPE, linkname="/etc/passwd"),
        entry("a.clean.flac", type=tarfile.LNKTYPE, linkname="a.json"),
        entry("a.clean.flac", type=tarfile.CHRTYPE, devmajor=1, devminor=9),
        entry("a.clean.flac", type=tarfile.BLKTYPE),
        entry("a.clean.flac", type=tarfile.FIFOTYPE),
        entry("a.clean.flac", type=tarfile.DIRTYPE),
        entry("a.clean.flac", b"x", type=tarfile.CONTTYPE),
        entry("a.clean.flac", b"x", type=tarfile.GNUTYPE_SPARSE),
        entry("a.clean.flac", b"x", type=b"Z"),
    ],
    ids=lambda bad: f"{bad[0].name}-{bad[0].type.decode()}",
)
def test_anything_but_plain_members_with_legal_names_is_refused(bad: Entry) -> None:
    found, error = read(tar(GOOD, JSON, bad))
    assert found == {"a": {"clean.flac": b"x", "json": b"{}"}}
    assert "expected plain files KEY.MEMBER.flac|wav and KEY.json" in error


@pytest.mark.parametrize("tar_format", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_extended_headers_are_refused(tar_format: int) -> None:
    """Long names, pax records and whatever a reader would do with them."""
    long_name = entry("k" * 80 + ".noisy.snr_-10.2500000000000000000000.flac", b"x")
    assert "expected plain files" in read(tar(long_name, tar_format=tar_format))[1]
    pax = entry("a.clean.flac", b"x", pax_headers={"comment": "c"})
    assert "expected plain files" in read(tar(pax, tar_format=tarfile.PAX_FORMAT))[1]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["a.clean.flac", "a.clean.flac", "a.json"], "a.clean.flac stands twice"),
        (["a.clean.flac", "a.json", "a.json"], "a: stands twice, or its .json is not last"),
        (["a.json", "a.clean.flac"], "a: stands twice, or its .json is not last"),
        (["a.clean.flac", "b.clean.flac", "a.json"], "a: expected its members side by side"),
        (["a.json", "b.json", "a.clean.flac", "a.json"], "a: stands twice"),
        (["a.clean.flac", "b.json"], "got b.json before that"),
        (["a.clean.flac"], "a: expected a .json member last; the tar is cut short"),
    ],
)
def test_members_apart_repeated_or_missing_are_refused(names: list[str], message: str) -> None:
    found, error = read(tar(*(entry(name, b"x") for name in names)))
    assert message in error
    assert all("json" in files for files in found.values())


def test_left_out_members_are_still_checked() -> None:
    data = tar(*(entry(name, b"x") for name in ("a.clean.flac", "a.clean.flac", "a.json")))
    with pytest.raises(ManifestError, match=r"a.clean.flac stands twice"):
        list(iter_examples(io.BytesIO(data), "s.tar", only=["json"]))


def with_size(data: bytes, size_field: bytes) -> bytes:
    """Put another size into the first header and mend its checksum."""
    header = bytearray(data[:512])
    header[124:136] = size_field
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header) + data[512:]


@pytest.mark.parametrize(
    ("size_field", "message"),
    [
        (b"%011o\0" % (MAX_MEMBER_BYTES + 1), "expected at most 1073741824 bytes, got 1073741825"),
        (b"\x80" + (1 << 60).to_bytes(11, "big"), "expected at most 1073741824 bytes, got 11529"),
        (b"\xff" * 12, "expected at most 1073741824 bytes, got -1"),
        (b"\xff" + bytes(11), "expected at most 1073741824 bytes, got -"),
        (b"zzzzzzzzzzz\0", "expected a whole tar: invalid header"),
    ],
)
def test_absurd_sizes_are_refused(size_field: bytes, message: str) -> None:
    assert message in read(with_size(SHARD, size_field))[1]


def test_a_size_that_is_only_claimed_takes_no_memory() -> None:
    """A buffered file sets aside all that it is asked for, before it reads."""
    asked: list[int] = []

    class Recording(io.BytesIO):
        def read(self, n: int | None = -1) -> bytes:
            asked.append(n if n is not None and n >= 0 else 1 << 62)
            return super().read(n)

    claimed = with_size(SHARD, b"%011o\0" % MAX_MEMBER_BYTES)
    with pytest.raises(ManifestError, match="cut short"):
        list(iter_examples(Recording(claimed), "s.tar"))
    assert max(asked) <= 1 << 20


@pytest.mark.parametrize(
    "wrap",
    [gzip.compress, lambda data: b"\x1f\x8b" + data, lambda data: data[100:], lambda _: b"a" * 600],
    ids=["gzip", "gzip-magic", "shifted", "text"],
)
def test_what_is_no_plain_tar_is_refused(wrap: Callable[[bytes], bytes]) -> None:
    found, error = read(wrap(SHARD))
    assert found == {}
    assert error


def test_a_stream_that_breaks_is_an_error() -> None:
    class Broken(io.BytesIO):
        def read(self, n: int | None = -1) -> bytes:
            if self.tell() > 3_000:
                raise OSError(5, "Input/output error")
            return super().read(n)

    with pytest.raises(ManifestError, match=r"s.tar: expected a whole tar: .*Input/output error"):
        list(iter_examples(Broken(SHARD), "s.tar"))


def test_a_stream_that_gives_little_at_a_time_is_read_whole() -> None:
    class Slow(io.BytesIO):
        def read(self, n: int | None = -1) -> bytes:
            return super().read(min(n or 0, 100))

    assert dict(iter_examples(Slow(SHARD), "s.tar", whole=True)) == EXAMPLES
