"""Loaders over small sets, and what it means for two of them to give the same."""

from __future__ import annotations

import torch

from manifests.shardset import ShardSet
from trainer.data import Batch, Loader, LoaderConfig, make_part
from trainer.data.reading import Reading

CONFIG = LoaderConfig(batch_size=4, crop_samples=1_500, seed=11)


def loader(
    shard_set: ShardSet, reading: Reading, domain: str | None, config: LoaderConfig = CONFIG
) -> Loader:
    return Loader([make_part(shard_set, reading, domain=domain)], config)


def assert_same(found: list[Batch], expected: list[Batch]) -> None:
    assert [b.number for b in found] == [b.number for b in expected]
    assert [(b.step, b.ends_step) for b in found] == [(b.step, b.ends_step) for b in expected]
    for a, b in zip(found, expected, strict=True):
        assert (a.keys, a.songs) == (b.keys, b.songs)
        assert (a.tags is None) == (b.tags is None)
        if a.tags is not None and b.tags is not None:
            assert torch.equal(a.tags, b.tags)
        for view, other in zip(a.views, b.views, strict=True):
            assert torch.equal(view.audio, other.audio)
            assert torch.equal(view.is_noisy, other.is_noisy)
            assert torch.equal(view.snr_db.nan_to_num(99), other.snr_db.nan_to_num(99))
