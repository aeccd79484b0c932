"""Local copies of remote shards: the same batches, within the limit, shared, and never half."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest
from tiny_loaders import assert_same
from tiny_sets import write_set

from manifests.errors import ManifestError, UsageError
from manifests.shardset import ShardSet
from trainer.data import Loader, LoaderConfig, make_part
from trainer.data import reading as readings
from trainer.data import shard_cache as module
from trainer.data.batches import Batch
from trainer.data.shard_cache import ShardCache, ShardCacheConfig, shard_cache_config

URL = "memory://cache-test/set"


@pytest.fixture
def remote() -> Iterator[ShardSet]:
    """A set in an object store of this process."""
    file_system = fsspec.filesystem("memory")
    yield write_set(URL)
    file_system.rm("/cache-test", recursive=True)


def shard_urls(shard_set: ShardSet) -> list[str]:
    return [f"{shard_set.url}/{info.file}" for info in shard_set.index.shards]


def sizes(folder: Path) -> list[int]:
    return [path.stat().st_size for path in folder.iterdir()]


def batches(shard_set: ShardSet, cache: ShardCacheConfig | None) -> list[Batch]:
    part = make_part(shard_set, readings.LABELLED_PAIR, domain="source")
    config = LoaderConfig(batch_size=2, crop_samples=5_000, cache=cache)
    return list(Loader([part], config).batches(0, 6))


def test_the_batches_are_those_without_a_cache(remote: ShardSet, tmp_path: Path) -> None:
    expected = batches(remote, None)
    assert_same(batches(remote, ShardCacheConfig(str(tmp_path), 1 << 30)), expected)
    halves = {info.bytes for info in remote.index.shards if info.domain == "source"}
    assert sizes(tmp_path) and set(sizes(tmp_path)) <= halves
    assert_same(batches(remote, ShardCacheConfig(str(tmp_path), 1)), expected)  # full: as it is


def test_a_second_reader_fetches_nothing(
    remote: ShardSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = shard_urls(remote)[0]
    config = ShardCacheConfig(str(tmp_path), 1 << 30)
    first = ShardCache(config).local_path(url)
    assert first is not None and first.read_bytes() == fsspec.filesystem("memory").cat(url)
    monkeypatch.setattr("manifests.store.open_read", lambda _: pytest.fail("fetched again"))
    assert ShardCache(config).local_path(url) == first


def test_what_finds_no_room_is_read_from_afar(remote: ShardSet, tmp_path: Path) -> None:
    """A cycle over shards that do not fit: what is there stays, as LRU would serve no one."""
    urls = shard_urls(remote)
    limit = remote.index.shards[0].bytes + remote.index.shards[1].bytes
    cache = ShardCache(ShardCacheConfig(str(tmp_path), limit))
    found = [cache.local_path(url) for url in urls * 2]
    kept = [path for path in found if path is not None]
    assert len(set(kept)) < len(urls) and found[: len(urls)] == found[len(urls) :]
    assert sum(sizes(tmp_path)) <= limit


def test_a_later_run_drops_what_was_unused_longest(remote: ShardSet, tmp_path: Path) -> None:
    shards = sorted(remote.index.shards, key=lambda info: -info.bytes)
    urls = [f"{remote.url}/{info.file}" for info in shards]
    limit = shards[0].bytes + shards[1].bytes
    old = ShardCache(ShardCacheConfig(str(tmp_path), limit))
    paths = [old.local_path(url) for url in urls[:2]]
    assert paths[0] is not None and paths[1] is not None
    now = time.time()
    os.utime(paths[0], (now - 50, now - 50))
    os.utime(paths[1], (now - 90, now - 90))
    new = ShardCache(ShardCacheConfig(str(tmp_path), limit, since=now - 10))
    assert new.local_path(urls[2]) is not None
    assert paths[0].exists() and not paths[1].exists()
    assert new.local_path(urls[0]) == paths[0]
    assert new.local_path(urls[1]) is None and old.local_path(urls[1]) is None
    assert sum(sizes(tmp_path)) <= limit


def test_a_shard_that_was_written_anew_is_fetched_anew(remote: ShardSet, tmp_path: Path) -> None:
    url = shard_urls(remote)[0]
    config = ShardCacheConfig(str(tmp_path), 1 << 30)
    first = ShardCache(config).local_path(url)
    fsspec.filesystem("memory").pipe(url, b"other bytes")
    second = ShardCache(config).local_path(url)
    assert second is not None and second != first and second.read_bytes() == b"other bytes"


def test_a_download_under_way_is_not_waited_for_and_a_dead_one_is_dropped(
    remote: ShardSet, tmp_path: Path
) -> None:
    url, n_bytes = shard_urls(remote)[0], remote.index.shards[0].bytes
    config = ShardCacheConfig(str(tmp_path), n_bytes)  # room for this one alone
    path = ShardCache(config).local_path(url)
    assert path is not None
    partial = path.with_name(f".{path.name}{module.PARTIAL}")
    path.rename(partial)
    assert ShardCache(config).local_path(url) is None
    old = time.time() - module.STALLED_S - 1
    os.utime(partial, (old, old))
    assert ShardCache(config).local_path(url) == path and not partial.exists()


@pytest.mark.parametrize("fault", ["disk full", "cut short"])
def test_a_broken_download_leaves_nothing(
    remote: ShardSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    url = shard_urls(remote)[0]
    cache = ShardCache(ShardCacheConfig(str(tmp_path), 1 << 30))
    if fault == "disk full":

        def full(_: int) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(module.os, "fsync", full)
        assert cache.local_path(url) is None
    else:
        size, changed = "100000000", "x"
        monkeypatch.setattr("manifests.store.change_stamp", lambda _: (size, changed))
        with pytest.raises(ManifestError, match=r"expected 100000000 bytes, got \d+"):
            cache.local_path(url)
    assert sizes(tmp_path) == []


def test_options(tmp_path: Path) -> None:
    assert shard_cache_config("", 5.0) is None
    config = shard_cache_config(str(tmp_path / "new"), 0.5)
    assert config is not None and config.limit_bytes == 500_000_000
    assert (tmp_path / "new").is_dir()
    with pytest.raises(UsageError, match="--shard-cache s3://b/x: expected a folder of this"):
        shard_cache_config("s3://b/x", 1.0)
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=r"cannot be made"):
        shard_cache_config(str(tmp_path / "file" / "below"), 1.0)
