"""Damaged shards: the trainer names shard and example, and stops."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest
from tiny_sets import write_set

from manifests.errors import ManifestError
from manifests.shardset import ShardSet
from trainer.data import Loader, LoaderConfig, clip_refs, iter_clips, make_part
from trainer.data import reading as readings
from trainer.data.index import ExampleRef, load_refs
from trainer.data.members import MAX_OPEN_SHARDS, ShardReader, read_members
from trainer.data.verify import verify_shards

CONFIG = LoaderConfig(batch_size=2, crop_samples=5_000)


def change(path: Path, offset: int, value: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(value)


def flip(path: Path, offset: int) -> None:
    with path.open("rb") as file:
        file.seek(offset)
        (byte,) = file.read(1)
    change(path, offset, bytes([byte ^ 0x10]))


def train_epoch(shard_set: ShardSet) -> None:
    list(Loader([make_part(shard_set, readings.LABELLED_CLEAN, domain="source")], CONFIG).epoch(0))


def evaluate(shard_set: ShardSet) -> None:
    list(iter_clips(clip_refs(shard_set, ["clean"], chunk_samples=2_000), chunk_samples=2_000))


@pytest.fixture
def victim(tmp_path: Path) -> tuple[ShardSet, ExampleRef, Path]:
    shard_set = write_set(str(tmp_path))
    ref = load_refs(shard_set)[2]
    return shard_set, ref, tmp_path / ref.shard


@pytest.mark.parametrize("use", [train_epoch, evaluate, verify_shards])
def test_a_changed_sample_is_found(victim: tuple[ShardSet, ExampleRef, Path], use: object) -> None:
    shard_set, ref, path = victim
    clean = ref.member("clean")
    flip(path, clean.offset + 512 + clean.n_bytes // 2)
    with pytest.raises(ManifestError, match=rf"{ref.shard}: {ref.key}\.clean\.flac: "):
        use(shard_set)  # type: ignore[operator]


@pytest.mark.parametrize("use", [train_epoch, evaluate, verify_shards])
def test_a_changed_header_is_found(victim: tuple[ShardSet, ExampleRef, Path], use: object) -> None:
    shard_set, ref, path = victim
    flip(path, ref.member("clean").offset + 3)
    with pytest.raises(ManifestError, match=f"{ref.shard}: {ref.key}: clean: expected a tar head"):
        use(shard_set)  # type: ignore[operator]


def test_a_missing_member_is_found(victim: tuple[ShardSet, ExampleRef, Path]) -> None:
    shard_set, ref, path = victim
    member = ref.member("clean")
    entry = tarfile.TarInfo(f"{ref.key}.other.flac")
    entry.size, entry.mode = member.n_bytes, 0o644
    change(path, member.offset, entry.tobuf(tarfile.USTAR_FORMAT))
    with pytest.raises(
        ManifestError, match=rf"{ref.key}: clean: expected .*clean\.flac .*other\.flac.* is missing"
    ):
        train_epoch(shard_set)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.DIRTYPE])
def test_only_plain_files_are_members(
    victim: tuple[ShardSet, ExampleRef, Path], kind: bytes
) -> None:
    shard_set, ref, path = victim
    member = ref.member("clean")
    entry = tarfile.TarInfo(ref.file_name("clean"))
    entry.size, entry.type = member.n_bytes, kind
    change(path, member.offset, entry.tobuf(tarfile.USTAR_FORMAT))
    with pytest.raises(ManifestError, match=f"{ref.key}: clean: expected"):
        train_epoch(shard_set)


def test_a_shard_cut_short_under_a_run_is_found(victim: tuple[ShardSet, ExampleRef, Path]) -> None:
    _, ref, path = victim
    whole = io.BytesIO(path.read_bytes())
    assert read_members(whole, ref, ["clean"]).keys() == {"clean"}
    short = io.BytesIO(whole.getvalue()[: ref.member("clean").offset + 700])
    with pytest.raises(ManifestError, match=f"{ref.key}: clean: expected .* cut short"):
        read_members(short, ref, ["clean"])


def test_a_shard_that_vanished_is_named(victim: tuple[ShardSet, ExampleRef, Path]) -> None:
    _, ref, path = victim
    path.unlink()
    with ShardReader() as reader, pytest.raises(ManifestError, match=f"{ref.shard}: cannot be"):
        reader.read([(ref, ("clean",))])


def test_remote_errors_name_the_example() -> None:
    from manifests import store

    shard_set = write_set("memory://faults/set", n_songs=2)
    ref = load_refs(shard_set)[0]
    store.remove(ref.shard_url)
    with ShardReader() as reader, pytest.raises(ManifestError, match=f"{ref.key}: cannot be read"):
        reader.read([(ref, ("clean",))])
    store.remove("memory://faults")


def test_changed_padding_is_found_by_hashing_alone(
    victim: tuple[ShardSet, ExampleRef, Path],
) -> None:
    shard_set, _, path = victim
    flip(path, path.stat().st_size - 1)
    evaluate(shard_set)
    with pytest.raises(ManifestError, match="got another, though all samples are as they should"):
        verify_shards(shard_set)


def test_a_whole_set_is_verified(victim: tuple[ShardSet, ExampleRef, Path]) -> None:
    verify_shards(victim[0])


def test_few_shards_are_open_at_a_time(tmp_path: Path) -> None:
    refs = load_refs(
        write_set(str(tmp_path), n_songs=20, excerpts=2, n_samples=200, per_shard=1, snrs_db=(0.0,))
    )
    assert len(refs) > MAX_OPEN_SHARDS
    with ShardReader() as reader:
        first = reader.read([(ref, ("clean",)) for ref in refs])
        again = reader.read([(ref, ("clean",)) for ref in refs])
    assert first == again
