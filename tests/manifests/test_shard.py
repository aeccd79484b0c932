"""Shards: the same bytes every time, plain tars to everyone, ranges that stand alone."""

from __future__ import annotations

import hashlib
import io
import tarfile

import pytest
import webdataset
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_shards import shard_bytes, tiny_example

from manifests.errors import ManifestError
from manifests.example import decode_members
from manifests.shard import HashingWriter, ShardWriter, iter_examples

KEYS = ("b-1", "a-2", "c-3")


@pytest.fixture(scope="module")
def examples() -> dict[str, dict[str, bytes]]:
    return {key: tiny_example(key)[1] for key in KEYS}


def read(data: bytes, **options: object) -> dict[str, dict[str, bytes]]:
    return dict(iter_examples(io.BytesIO(data), "s.tar", **options))  # type: ignore[arg-type]


def test_two_writes_are_the_same_bytes(examples: dict[str, dict[str, bytes]]) -> None:
    first, second = (shard_bytes(examples)[0] for _ in range(2))
    assert first == second
    assert len(first) % 10_240 == 0


def test_golden_bytes_of_a_shard() -> None:
    """USTAR as other writers make it: time, owner and group 0, mode 0644, no names."""
    data, places = shard_bytes({"k": {"clean.wav": b"abc", "json": b"{}"}})
    assert places == [(0, 2_048)]
    header = data[:512]
    assert header[:100].rstrip(b"\0") == b"k.clean.wav"
    assert header[100:148] == b"0000644\0" + b"0000000\0" * 2 + b"00000000003\0" + b"00000000000\0"
    assert header[156:157] == b"0"
    assert header[257:265] == b"ustar\x0000"
    assert header[265:] == bytes(247)  # no names of owners, no device, no prefix
    assert data[512:1_024] == b"abc" + bytes(509)
    assert data[2_048:] == bytes(10_240 - 2_048)
    assert hashlib.sha256(data).hexdigest() == (
        "b44c7d74f998fe525082c4bf640eeba9ec9d216c7e054e979ec2053e4e01b43a"
    )


def test_what_was_written_is_read_in_order(examples: dict[str, dict[str, bytes]]) -> None:
    data, _ = shard_bytes(examples)
    found = read(data, whole=True)
    assert found == examples
    assert list(found) == list(KEYS)
    assert [list(files) for files in found.values()] == [list(files) for files in examples.values()]
    for key, files in found.items():
        assert decode_members(files, key)[0].key == key


def test_webdataset_reads_the_same(examples: dict[str, dict[str, bytes]]) -> None:
    stream = io.BytesIO(shard_bytes(examples)[0])
    read_files = webdataset.tariterators.tar_file_expander([{"url": "s.tar", "stream": stream}])
    found = {
        sample["__key__"]: {k: v for k, v in sample.items() if not k.startswith("__")}
        for sample in webdataset.tariterators.group_by_keys(read_files)
    }
    assert found == examples


def test_a_range_is_a_tar_by_itself(examples: dict[str, dict[str, bytes]]) -> None:
    data, places = shard_bytes(examples)
    end = 0
    for (key, files), (offset, n_bytes) in zip(examples.items(), places, strict=True):
        assert offset == end
        end = offset + n_bytes
        piece = data[offset:end]
        assert read(piece) == {key: files}
        with tarfile.open(fileobj=io.BytesIO(piece + bytes(1_024))) as tar:
            found = {
                member.name: (opened.read() if (opened := tar.extractfile(member)) else b"")
                for member in tar
            }
        assert found == {f"{key}.{name}": content for name, content in files.items()}
    assert data[end:] == bytes(len(data) - end)


def test_the_hash_and_size_are_those_of_the_bytes(examples: dict[str, dict[str, bytes]]) -> None:
    buffer = io.BytesIO()
    writer = ShardWriter(buffer)
    for key, files in examples.items():
        writer.add(key, files)
    n_bytes, sha256 = writer.close()
    assert n_bytes == len(buffer.getvalue())
    assert sha256 == hashlib.sha256(buffer.getvalue()).hexdigest()


def test_hashing_writer_counts_and_hashes() -> None:
    buffer = io.BytesIO()
    writer = HashingWriter(buffer)
    assert (writer.write(b"abc"), writer.write(b"")) == (3, 0)
    assert (writer.tell(), buffer.getvalue()) == (3, b"abc")
    assert writer.digest.hexdigest() == hashlib.sha256(b"abc").hexdigest()


def test_only_some_members(examples: dict[str, dict[str, bytes]]) -> None:
    data, _ = shard_bytes(examples)
    found = read(data, only=["clean.flac", "json"])
    assert found == {
        key: {name: files[name] for name in ("clean.flac", "json")}
        for key, files in examples.items()
    }
    assert read(data, only=["clean.flac"]) == {
        key: {"clean.flac": files["clean.flac"]} for key, files in examples.items()
    }
    assert read(data, only=["none.flac"]) == {}


@given(
    st.dictionaries(
        st.from_regex(r"[a-z0-9_-]{1,80}", fullmatch=True),
        st.binary(max_size=1_500),
        max_size=5,
    )
)
@settings(deadline=None, max_examples=40)
def test_any_legal_keys_and_contents_come_back(contents: dict[str, bytes]) -> None:
    shard = {key: {"audio.flac": data, "json": b"{}"} for key, data in contents.items()}
    data, places = shard_bytes(shard)
    assert read(data, whole=True) == shard
    assert [n_bytes % 512 for _, n_bytes in places] == [0] * len(shard)


def test_an_empty_shard_is_read_as_such() -> None:
    assert read(shard_bytes({})[0], whole=True) == {}


@pytest.mark.parametrize(
    ("key", "files", "message"),
    [
        ("A", {"json": b""}, "expected .a-z0-9_-., 1 to 80"),
        ("a/b", {"json": b""}, "expected .a-z0-9_-., 1 to 80"),
        ("a", {}, "expected a .json member last"),
        ("a", {"json": b"", "clean.flac": b""}, "expected a .json member last"),
        ("a", {"clean.mp3": b"", "json": b""}, "expected plain files"),
        ("a", {"../x.flac": b"", "json": b""}, "expected plain files"),
    ],
)
def test_the_writer_refuses_what_the_reader_would(
    key: str, files: dict[str, bytes], message: str
) -> None:
    buffer = io.BytesIO()
    with pytest.raises(ManifestError, match=message):
        ShardWriter(buffer).add(key, files)
