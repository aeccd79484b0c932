"""Clips and crops of a wider band than the training set's are limited as they are decoded."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_bands import BAND_HZ, above_band, limited, members
from tiny_sets import TAGS, canonical, write_set

from manifests import store
from manifests.canonical import pretty_json
from manifests.errors import ManifestError
from manifests.keys import AUDIO
from manifests.reading import limit_band
from manifests.shardset import INDEX, ShardSet, load_set
from trainer.data import SnrRange, clip_refs, iter_clips, make_part
from trainer.data.reading import LABELLED_CLEAN, UNLABELLED_NOISY, UNLABELLED_RECORDING
from trainer.perturb.names import parse_perturbations
from trainer.roles import Roles

CHUNK = 1_200


@pytest.fixture(scope="module")
def noisy(tmp_path_factory: pytest.TempPathFactory) -> ShardSet:
    return write_set(str(tmp_path_factory.mktemp("noisy")), n_songs=4)


@pytest.mark.parametrize("n_workers", [0, 2])
def test_clips_are_limited_whole_and_then_cut(noisy: ShardSet, n_workers: int) -> None:
    refs, whole = clip_refs(noisy, ["clean", "noisy.snr_0"], chunk_samples=CHUNK), members(noisy)
    shared = {"chunk_samples": CHUNK, "n_workers": n_workers}
    for clip in iter_clips(refs, **shared, band_hz=BAND_HZ):  # type: ignore[arg-type]
        for name, chunks in clip.chunks.items():
            expected = limit_band(whole[clip.ref.key, name], BAND_HZ)[: chunks.numel()]
            np.testing.assert_array_equal(chunks.flatten(), expected.astype(np.float32))


def test_clips_of_the_same_band_or_a_narrower_one_keep_their_bits(noisy: ShardSet) -> None:
    for own_hz in (BAND_HZ, 4_000.0):
        refs = [
            replace(ref, band_hz=own_hz) for ref in clip_refs(noisy, ["clean"], chunk_samples=CHUNK)
        ]
        pairs = zip(
            iter_clips(refs, chunk_samples=CHUNK),
            iter_clips(refs, chunk_samples=CHUNK, band_hz=BAND_HZ),
            strict=True,
        )
        assert all(torch.equal(a.chunks["clean"], b.chunks["clean"]) for a, b in pairs)


def test_perturbed_clips_stay_in_the_band_too(noisy: ShardSet) -> None:
    (ref,) = clip_refs(noisy, ["clean"], chunk_samples=CHUNK)[:1]
    hiss = parse_perturbations(["white-noise:0.4"])
    shares = [
        above_band(clip.chunks["white-noise:0.4"])
        for band_hz in (None, BAND_HZ)
        for clip in iter_clips([ref], chunk_samples=CHUNK, perturbations=hiss, band_hz=band_hz)
    ]
    assert shares[0] > 0.05 and shares[1] < 1e-6


def test_crops_are_those_of_the_whole_limited_member(noisy: ShardSet, wide: ShardSet) -> None:
    """Also where the crop begins or ends with the member: no crop has edges of its own."""
    for shard_set, reading in ((noisy, LABELLED_CLEAN), (wide, UNLABELLED_RECORDING)):
        kept = {key: a for (key, name), a in members(shard_set).items() if name in ("clean", AUDIO)}
        whole = {key: limit_band(audio, BAND_HZ) for key, audio in kept.items()}
        part = make_part(shard_set, reading, band_hz=BAND_HZ)
        for batch in limited(part).batches(0, 4):
            for key, crop in zip(batch.keys, batch.audio[:, 0].numpy(), strict=True):
                places = np.lib.stride_tricks.sliding_window_view(whole[key], len(crop))
                assert np.abs(places - crop).max(axis=1).min() < 1e-7, key


@pytest.mark.parametrize("over", ["clip", "crop"])
def test_mixes_are_made_in_the_band(noisy: ShardSet, over: str) -> None:
    part = make_part(noisy, UNLABELLED_NOISY, domain="target", band_hz=BAND_HZ)
    (batch,) = limited(part, snr_over=over).batches(0, 1, snr=SnrRange(-7, -7))
    assert above_band(batch.audio) < 1e-6


def test_only_a_limit_that_takes_something_away_makes_another_loader(noisy: ShardSet) -> None:
    """So runs of sets of one band go on as they began, and others are not mixed of two ways."""
    part = make_part(noisy, LABELLED_CLEAN, domain="source")
    refs = tuple(replace(ref, band_hz=BAND_HZ) for ref in part.refs)
    plain, same = (replace(part, refs=refs, band_hz=hz) for hz in (None, BAND_HZ))
    narrow = replace(same, band_hz=5_000.0)
    prints = [limited(one).fingerprint for one in (part, plain, same, narrow)]
    assert prints[0] == prints[1] == prints[2] != prints[3]
    assert [one.heard_hz for one in (part, plain, same, narrow)] == [
        None,
        BAND_HZ,
        BAND_HZ,
        5_000.0,
    ]


def test_a_band_that_no_set_can_have_is_named(noisy: ShardSet, tmp_path: Path) -> None:
    assert Roles({"train": noisy.url}).band_hz() is None
    for found in ("7200", -1.0, 500.0, 12_000.0, True):
        index = replace(noisy.index, config={"band_hz": found})
        store.write_text(store.join(str(tmp_path), INDEX), pretty_json(canonical(index)))
        roles = Roles({"train": str(tmp_path)})
        with pytest.raises(
            ManifestError, match=r"tiny: expected a band_hz of 500 to 11025 Hz or no"
        ):
            roles.band_hz()
    assert load_set(noisy.url).index.tags == TAGS
