"""Clips to evaluate: all of them, in order, whole chunks, nothing skipped."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tiny_sets import write_set

from manifests.errors import ManifestError, UsageError
from manifests.member_audio import decode_pcm
from manifests.shardset import ShardSet
from trainer.data.clips import EvalClip, clip_refs, iter_clips
from trainer.data.members import ShardReader

MEMBERS = ("clean", "noisy.snr_0", "noisy.snr_-10")


@pytest.fixture(scope="module")
def shard_set(tmp_path_factory: pytest.TempPathFactory) -> ShardSet:
    return write_set(str(tmp_path_factory.mktemp("clips")), n_songs=7, halves=False)


def clips(shard_set: ShardSet, n_workers: int = 0) -> list[EvalClip]:
    refs = clip_refs(shard_set, MEMBERS, chunk_samples=1_200)
    return list(iter_clips(refs, chunk_samples=1_200, n_workers=n_workers))


def test_every_clip_in_order_cut_in_whole_chunks(shard_set: ShardSet) -> None:
    found = clips(shard_set)
    assert [clip.ref.key for clip in found] == [entry.key for _, entry in shard_set.entries()]
    with ShardReader() as reader:
        for clip in found:
            assert tuple(clip.chunks) == MEMBERS
            for name, data in reader.read([(clip.ref, MEMBERS)])[0].items():
                chunks = clip.chunks[name]
                assert chunks.shape == (4, 1, 1_200) and chunks.dtype == torch.float32
                pcm = torch.from_numpy(decode_pcm(data, name)[0])[:4_800] / 32_768
                assert torch.equal(chunks.flatten(), pcm)
    assert found[0].ref.tags and found[0].ref.artist


def test_workers_change_nothing(shard_set: ShardSet) -> None:
    for a, b in zip(clips(shard_set), clips(shard_set, n_workers=2), strict=True):
        assert a.ref == b.ref
        assert all(torch.equal(a.chunks[name], b.chunks[name]) for name in MEMBERS)


@pytest.mark.parametrize("world_size", [1, 2, 3, 5, 20])
def test_ranks_take_pieces_without_padding(shard_set: ShardSet, world_size: int) -> None:
    refs = clip_refs(shard_set, ["clean"], chunk_samples=1_200)
    pieces = [
        [c.ref.key for c in iter_clips(refs, chunk_samples=1_200, rank=r, world_size=world_size)]
        for r in range(world_size)
    ]
    assert [key for piece in pieces for key in piece] == [ref.key for ref in refs]
    assert max(map(len, pieces)) - min(map(len, pieces)) <= 1


def test_a_subset_keeps_the_order(shard_set: ShardSet) -> None:
    refs = clip_refs(shard_set, ["clean"], chunk_samples=1_200)
    keys = {refs[5].key, refs[1].key}
    subset = clip_refs(shard_set, ["clean"], subset=keys, chunk_samples=1_200)
    assert [ref.key for ref in subset] == [refs[1].key, refs[5].key]
    with pytest.raises(
        ManifestError, match=r"expected all 3 keys .* 1 are not in the set, first o"
    ):
        clip_refs(shard_set, ["clean"], subset=keys | {"other"}, chunk_samples=1_200)


def test_members_must_be_stored(shard_set: ShardSet) -> None:
    with pytest.raises(UsageError, match=r"expected members among clean, .*, got noisy\.snr_3$"):
        clip_refs(shard_set, ["clean", "noisy.snr_3"])
    with pytest.raises(UsageError, match="got none"):
        clip_refs(shard_set, [])


def test_clips_shorter_than_a_chunk_are_refused(shard_set: ShardSet) -> None:
    with pytest.raises(ManifestError, match="expected at least one chunk of 59049 samples, got 50"):
        clip_refs(shard_set, ["clean"])


def test_recordings_are_evaluated_too(tmp_path: Path) -> None:
    recordings = write_set(str(tmp_path), n_songs=3, excerpts=1, snrs_db=(), halves=False)
    refs = clip_refs(recordings, ["audio"], chunk_samples=2_500)
    shapes = [clip.chunks["audio"].shape for clip in iter_clips(refs, chunk_samples=2_500)]
    assert shapes == [(2, 1, 2_500)] * 3


def test_an_error_in_a_worker_keeps_its_text(tmp_path: Path) -> None:
    shard_set = write_set(str(tmp_path), n_songs=4)
    refs = clip_refs(shard_set, ["clean"], chunk_samples=2_000)
    (tmp_path / "shard-000001.tar").write_bytes(b"")
    with pytest.raises(ManifestError, match=r"^\S+shard-000001\.tar: tiny-\S+: clean: .* short"):
        list(iter_clips(refs, chunk_samples=2_000, n_workers=2))
