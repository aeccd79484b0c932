"""The loader: the same batches wherever a run begins, however many workers decode."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_loaders import CONFIG, assert_same, loader
from tiny_sets import TAGS, write_set

import trainer.data.crops as crops
from manifests import store
from manifests.errors import UsageError
from manifests.shardset import ShardSet
from trainer.data import Loader, SnrRange, make_part
from trainer.data import reading as readings
from trainer.data.batches import by_step
from trainer.data.index import load_refs
from trainer.data.reading import Reading


def test_a_labelled_clean_batch(shard_set: ShardSet) -> None:
    source = loader(shard_set, readings.LABELLED_CLEAN, "source")
    assert (source.n_examples, source.steps_per_epoch) == (24, 6)
    refs = {ref.key: ref for ref in load_refs(shard_set)}
    seen = Counter[str]()
    for batch in source.epoch(0):
        (view,) = batch.views
        assert view.audio.shape == (4, 1, 1_500) and view.audio.dtype == torch.float32
        assert not view.is_noisy.any() and view.snr_db.isnan().all()
        assert batch.audio is view.audio and len(batch) == 4
        assert batch.tags is not None and batch.tags.shape == (4, len(TAGS))
        for row, key in zip(batch.tags, batch.keys, strict=True):
            assert tuple(TAGS[n] for n in row.nonzero().flatten()) == refs[key].tags
        assert len(set(batch.songs)) == 4
        seen.update(batch.keys)
    assert set(seen.values()) == {1} and len(seen) == 24


def test_epochs_differ_and_repeat_themselves(shard_set: ShardSet) -> None:
    source = loader(shard_set, readings.LABELLED_CLEAN, "source")
    first, second = list(source.epoch(0)), list(source.epoch(1))
    assert [batch.keys for batch in first] != [batch.keys for batch in second]
    assert_same(list(source.epoch(0)), first)
    assert second[0].step == 6
    other = loader(shard_set, readings.LABELLED_CLEAN, "source", replace(CONFIG, seed=12))
    assert [batch.keys for batch in other.epoch(0)] != [batch.keys for batch in first]


@pytest.mark.parametrize(
    ("reading", "domain"),
    [
        (readings.LABELLED_PAIR, "source"),
        (readings.UNLABELLED_NOISY, "target"),
        (readings.CONTRASTIVE_NOISY, "target"),
    ],
)
def test_resumed_it_goes_on_with_the_same_bits(
    shard_set: ShardSet, reading: Reading, domain: str
) -> None:
    whole = list(loader(shard_set, reading, domain).batches(0, 15))
    resumed = loader(shard_set, reading, domain)
    assert_same(list(resumed.batches(4, 11)), whole[4:])
    assert_same(list(resumed.epoch(1, start_step=2)), whole[8:12])


@pytest.mark.parametrize("n_workers", [0, 2])
def test_the_batches_of_a_step_hold_what_one_large_batch_holds(
    shard_set: ShardSet, n_workers: int
) -> None:
    split = replace(CONFIG, batch_size=2, accumulate=4, n_workers=n_workers)
    parts = loader(shard_set, readings.LABELLED_PAIR, "source", split)
    large = loader(shard_set, readings.LABELLED_PAIR, "source", replace(CONFIG, batch_size=8))
    assert parts.steps_per_epoch == large.steps_per_epoch == 3
    steps = list(by_step(parts.batches(1, 4, snr=by_step_db)))
    for step, whole in zip(steps, large.batches(1, 4, snr=by_step_db), strict=True):
        assert [batch.number for batch in step] == list(range(4 * whole.step, 4 * whole.step + 4))
        assert [batch.ends_step for batch in step] == [False, False, False, True]
        assert {batch.step for batch in step} == {whole.step}
        assert sum((batch.keys for batch in step), ()) == whole.keys
        for number, view in enumerate(whole.views):
            cut = [batch.views[number] for batch in step]
            assert torch.equal(torch.cat([part.audio for part in cut]), view.audio)
            snrs = torch.cat([part.snr_db for part in cut])
            assert torch.equal(snrs.nan_to_num(99), view.snr_db.nan_to_num(99))


def by_step_db(step: int) -> SnrRange:
    return SnrRange(float(step), float(step))


def test_a_state_of_other_steps_is_refused(shard_set: ShardSet) -> None:
    one = loader(shard_set, readings.LABELLED_CLEAN, "source", replace(CONFIG, batch_size=2))
    config = replace(CONFIG, batch_size=2, accumulate=2)
    other = loader(shard_set, readings.LABELLED_CLEAN, "source", config)
    with pytest.raises(UsageError, match="expected the data, seed, batch size and ranks"):
        other.check_state(one.state(3))


def test_skipped_batches_are_not_decoded(
    shard_set: ShardSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded = []
    real = crops.decode_crop
    monkeypatch.setattr(crops, "decode_crop", lambda *a: decoded.append(a[1]) or real(*a))
    source = loader(shard_set, readings.LABELLED_CLEAN, "source")
    (batch,) = source.epoch(0, start_step=5)
    assert len(decoded) == 4
    assert all(any(key in name for name in decoded) for key in batch.keys)


@pytest.mark.filterwarnings("ignore:This DataLoader will create")
def test_the_number_of_workers_changes_nothing(shard_set: ShardSet) -> None:
    expected = list(loader(shard_set, readings.LABELLED_PAIR, "source").batches(1, 8))
    for n_workers in (1, 2, 3):
        config = replace(CONFIG, n_workers=n_workers)
        found = loader(shard_set, readings.LABELLED_PAIR, "source", config).batches(1, 8)
        assert_same(list(found), expected)


def test_ranks_share_every_example_once(shard_set: ShardSet) -> None:
    part = make_part(shard_set, readings.LABELLED_CLEAN, domain="source")
    ranks = [Loader([part], CONFIG, rank=rank, world_size=2) for rank in (0, 1)]
    assert {one.steps_per_epoch for one in ranks} == {3}
    keys = [key for one in ranks for batch in one.epoch(2) for key in batch.keys]
    assert len(set(keys)) == len(keys) == 24
    assert ranks[0].left_over.by_ranks == 0


def test_the_two_halves_may_be_of_unequal_length(tmp_path: Path) -> None:
    small = write_set(str(tmp_path / "s"), n_songs=8, excerpts=1)
    large = write_set(str(tmp_path / "l"), n_songs=16, excerpts=2, corpus="other")
    source = loader(large, readings.LABELLED_CLEAN, "source")
    target = loader(small, readings.UNLABELLED_NOISY, "target")
    assert (source.steps_per_epoch, target.steps_per_epoch) == (4, 1)
    pairs = list(zip(source.batches(0, 8), target.batches(0, 8), strict=True))
    assert len(pairs) == 8
    # The short half begins a new pass, with new crops and SNRs, not the old batch again.
    snrs = {tuple(sorted(b.views[0].snr_db.tolist())) for _, b in pairs}
    assert len(snrs) > 4


def test_parts_are_concatenated(shard_set: ShardSet, tmp_path: Path) -> None:
    extra = write_set(str(tmp_path), n_songs=8, halves=False, corpus="extra")
    parts = [
        make_part(shard_set, readings.UNLABELLED_NOISY, domain="target"),
        make_part(extra, readings.UNLABELLED_NOISY),
    ]
    both = Loader(parts, CONFIG)
    assert (both.n_examples, both.steps_per_epoch) == (40, 10)
    keys = [key for batch in both.epoch(0) for key in batch.keys]
    assert sum(key.startswith("extra-") for key in keys) == 16
    mixed = [{key.split("-")[0] for key in batch.keys} for batch in both.epoch(0)]
    assert any(len(corpora) == 2 for corpora in mixed)


def test_stage_one_hears_clean_source_and_noisy_target_songs(shard_set: ShardSet) -> None:
    both = Loader(
        [
            make_part(shard_set, readings.CONTRASTIVE_CLEAN, domain="source"),
            make_part(shard_set, readings.CONTRASTIVE_NOISY, domain="target"),
        ],
        CONFIG,
    )
    domains = {ref.key: ref.domain for ref in load_refs(shard_set)}
    kinds = set()
    for batch in both.epoch(0):
        first, second = batch.views
        assert torch.equal(first.is_noisy, second.is_noisy)
        assert torch.equal(first.snr_db.nan_to_num(99), second.snr_db.nan_to_num(99))
        assert not torch.equal(first.audio, second.audio)
        noisy = [domains[key] == "target" for key in batch.keys]
        assert first.is_noisy.tolist() == noisy
        assert first.snr_db.isnan().tolist() == [not one for one in noisy]
        kinds |= set(noisy)
    assert kinds == {True, False}


@dataclass(frozen=True)
class Rising:
    """One SNR per step."""

    def __call__(self, step: int) -> SnrRange:
        return SnrRange(step - 5, step - 5)


def test_the_snr_range_may_move_with_the_step(shard_set: ShardSet) -> None:
    target = loader(shard_set, readings.UNLABELLED_NOISY, "target", replace(CONFIG, n_workers=2))
    found = [set(b.views[0].snr_db.tolist()) for b in target.batches(0, 7, snr=Rising())]
    assert found == [{float(step - 5)} for step in range(7)]
    narrow = target.epoch(0, snr=SnrRange(2, 3))
    assert {snr for b in narrow for snr in b.views[0].snr_db.tolist()} == {2.0, 3.0}


@pytest.fixture
def remote_set() -> Iterator[ShardSet]:
    yield write_set("memory://loader-test/set", n_songs=16, excerpts=3)
    store.remove("memory://loader-test")


def test_object_stores_are_read_by_range(
    shard_set: ShardSet, remote_set: ShardSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fsspec

    transferred = []
    kind = type(fsspec.filesystem("memory"))
    real = kind.cat_ranges

    def spy(self: object, paths: list[str], starts: list[int], ends: list[int], **kw: object):
        transferred.append(sum(ends) - sum(starts))
        return real(self, paths, starts, ends, **kw)

    monkeypatch.setattr(kind, "cat_ranges", spy)
    found = list(loader(remote_set, readings.LABELLED_CLEAN, "source").epoch(0))
    assert_same(found, list(loader(shard_set, readings.LABELLED_CLEAN, "source").epoch(0)))
    assert len(transferred) == 6  # one request list per batch
    refs = make_part(remote_set, readings.LABELLED_CLEAN, domain="source").refs
    assert sum(transferred) == sum(512 + ref.members[0].n_bytes for ref in refs)


def test_an_empty_range_of_steps(shard_set: ShardSet) -> None:
    source = loader(shard_set, readings.LABELLED_CLEAN, "source")
    assert list(source.batches(5, 0)) == []
    assert list(source.epoch(0, start_step=6)) == []


def test_audio_is_finite_and_of_full_scale_one(shard_set: ShardSet) -> None:
    for batch in loader(shard_set, readings.UNLABELLED_NOISY, "target").epoch(0):
        audio = batch.audio.numpy()
        assert np.isfinite(audio).all() and 0.05 < np.abs(audio).max() <= 1.0
