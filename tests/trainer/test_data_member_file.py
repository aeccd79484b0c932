"""Members as files inside a shard: the same bytes, and no more of them than are decoded."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_sets import write_set

from manifests.errors import ManifestError
from manifests.member_audio import decode_crop
from manifests.shardset import ShardSet
from trainer.data import load_refs
from trainer.data.crops import crop_pcm
from trainer.data.member_file import MemberFile
from trainer.data.members import ShardReader, open_members, read_members

NAMES = ("clean", "noisy.snr_-10")


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> ShardSet:
    """Clips of eight FLAC frames or more, so that a seek has somewhere to go."""
    url = str(tmp_path_factory.mktemp("long"))
    return write_set(url, n_songs=4, excerpts=1, n_samples=200_000, per_shard=2)


def test_it_is_a_file_of_the_members_bytes(long: ShardSet) -> None:
    for ref in load_refs(long):
        with Path(ref.shard_url).open("rb") as shard:
            contents = read_members(shard, ref, NAMES)
            for name, file in open_members(shard, ref, NAMES).items():
                whole = contents[name]
                assert file.read() == whole and file.read(1) == b"" and file.tell() == len(whole)
                assert (file.seek(-7, io.SEEK_END), file.seek(3, io.SEEK_CUR)) == (
                    len(whole) - 7,
                    len(whole) - 4,
                )
                assert file.read(100) == whole[-4:]
                assert file.readable() and file.seekable() and file.error is None


def test_crops_are_the_same_and_read_less(long: ShardSet, monkeypatch: pytest.MonkeyPatch) -> None:
    ref = load_refs(long)[0]
    n_read, real = [0], os.preadv

    def preadv(fd: int, buffers: Sequence[Any], offset: int) -> int:
        n = real(fd, buffers, offset)
        n_read[0] += n
        return n

    with ShardReader() as reader:
        whole = reader.read([(ref, NAMES)])[0]["clean"]
        file = reader.open(ref, NAMES)["clean"]
        for start in (150_000, 0, 99_999, 190_000):
            expected = decode_crop(whole, "x", start, 10_000)
            np.testing.assert_array_equal(crop_pcm(ref, "clean", file, start, 10_000), expected)
        monkeypatch.setattr(os, "preadv", preadv)
        crop_pcm(ref, "clean", file, 100_000, 10_000)
    assert 0 < n_read[0] < len(whole) / 2


def test_a_disk_that_fails_while_decoding_is_named(
    long: ShardSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    ref = load_refs(long)[0]
    with ShardReader() as reader:
        file = reader.open(ref, NAMES)["clean"]

        def fail(*_: object) -> int:
            raise OSError(5, "Input/output error")

        monkeypatch.setattr(os, "preadv", fail)
        message = r"shard-000000\.tar: .*\.clean\.flac: cannot be read: .*Input/output error"
        with pytest.raises(ManifestError, match=message):
            crop_pcm(ref, "clean", file, 0, 10_000)


def test_what_is_not_there_is_named(long: ShardSet, tmp_path: Path) -> None:
    ref = load_refs(long)[1]
    copy = tmp_path / "shard.tar"
    copy.write_bytes(Path(ref.shard_url).read_bytes()[: ref.member("clean").offset + 1_000])
    with copy.open("rb") as shard, pytest.raises(ManifestError, match="the shard is cut short"):
        open_members(shard, ref, ["clean"])
    with copy.open("rb") as shard:
        shard.close()
        closed = MemberFile(shard, 0, 10)
        with pytest.raises(ValueError, match="closed file"):
            closed.read()
