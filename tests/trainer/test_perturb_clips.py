"""Perturbed clips as the evaluation reads them: the whole clean member, perturbed and then cut."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_sets import write_set

from manifests.errors import ManifestError
from manifests.member_audio import decode_pcm
from manifests.shardset import ShardSet
from manifests.signal import from_pcm
from trainer.data.clips import EvalClip, clip_refs, iter_clips
from trainer.data.members import ShardReader
from trainer.evaluation.set_clips import evaluation_set
from trainer.perturb.apply import apply_perturbation
from trainer.perturb.names import STANDARD, parse_perturbations

CHUNK = 1_200
ITEMS = parse_perturbations(["all"])


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> ShardSet:
    return write_set(str(tmp_path_factory.mktemp("perturbed")), n_songs=3, halves=False)


def clips(shard_set: ShardSet, n_workers: int = 0, names: str = "all") -> list[EvalClip]:
    refs = clip_refs(shard_set, ["clean", "noisy.snr_0"], chunk_samples=CHUNK)
    perturbations = parse_perturbations([names])
    return list(
        iter_clips(refs, chunk_samples=CHUNK, n_workers=n_workers, perturbations=perturbations)
    )


def test_the_whole_clean_member_is_perturbed_and_then_cut(tiny: ShardSet) -> None:
    found = clips(tiny)
    assert {len(clip.chunks["clean"]) for clip in found} == {4}
    for clip in found:
        assert tuple(clip.chunks) == ("clean", "noisy.snr_0", *STANDARD)
        assert clip.ref.gain_db < 0, "the level of the source file matters below"
        with ShardReader() as reader:
            data = reader.read([(clip.ref, ("clean",))])[0]["clean"]
        signal = from_pcm(decode_pcm(data, "clean")[0])
        for item in ITEMS:
            whole, snr_db = apply_perturbation(
                item, signal, key=clip.ref.key, gain_db=clip.ref.gain_db
            )
            chunks = clip.chunks[item.name]
            assert chunks.shape == (len(whole) // CHUNK, 1, CHUNK)
            assert chunks.dtype == torch.float32
            np.testing.assert_array_equal(
                chunks.flatten().numpy(), whole[: chunks.numel()].astype(np.float32)
            )
            assert clip.snr_db.get(item.name) == snr_db
        assert len(clip.chunks["time-stretch:1.414"]) == 2
        assert len(clip.chunks["time-stretch:0.707"]) == 5
    assert set(found[0].snr_db) == {"white-noise:0.1", "white-noise:0.4"}


def test_neither_order_nor_company_nor_workers_change_a_clip(tiny: ShardSet) -> None:
    whole = {clip.ref.key: clip for clip in clips(tiny)}
    refs = clip_refs(tiny, ["clean"], chunk_samples=CHUNK)[::-1][:2]
    few = parse_perturbations(["white-noise:0.4,drc:speech"])
    others = [
        *clips(tiny, n_workers=2),
        *iter_clips(refs, chunk_samples=CHUNK, perturbations=few),
    ]
    assert len(others) == len(whole) + 2
    for clip in others:
        for name, chunks in clip.chunks.items():
            assert torch.equal(chunks, whole[clip.ref.key].chunks[name]), name
    noises = [clip.chunks["white-noise:0.4"] - 0.6 * clip.chunks["clean"] for clip in others[:2]]
    assert not torch.allclose(noises[0], noises[1], atol=1e-3), "each clip has noise of its own"


def test_the_band_of_the_example_is_kept(tiny: ShardSet) -> None:
    (ref,) = clip_refs(tiny, ["clean"], chunk_samples=CHUNK)[:1]
    shared: Any = {"chunk_samples": CHUNK, "perturbations": parse_perturbations(["white-noise:.4"])}
    (full,) = iter_clips([ref], **shared)
    (limited,) = iter_clips([replace(ref, band_hz=4_000.0)], **shared)
    levels = []
    for clip in (full, limited):
        spectrum = torch.fft.rfft(clip.chunks["white-noise:0.4"] * torch.hann_window(CHUNK)).abs()
        levels.append(float(spectrum[..., round(4_200 * CHUNK / 22_050) :].square().sum()))
    assert levels[1] < 1e-3 * levels[0]


def test_real_recordings_are_perturbed_themselves(tmp_path: Path) -> None:
    recordings = write_set(str(tmp_path), n_songs=2, snrs_db=(), halves=False)
    item = evaluation_set(recordings, recordings.index.tags, chunk_samples=CHUNK,
                          perturbations=ITEMS[-1:])  # fmt: skip
    assert [tuple(clip.chunks) for clip in item.clips()] == [("audio", "white-noise:0.4")] * 4


def test_clips_that_become_too_short_are_named_before_any_is_scored(tiny: ShardSet) -> None:
    (fast,) = parse_perturbations(["time-stretch:4"])
    message = (
        r"shard-000000\.tar: tiny-\S+: time-stretch:4: expected at least one chunk of 1300 samples,"
        r" 1250 are left \(6 of 6 clips are too short\); leave time-stretch:4 out, or build .*"
        r"--min-duration-s 0\.236\)"
    )
    with pytest.raises(ManifestError, match=message):
        evaluation_set(tiny, tiny.index.tags, chunk_samples=1_300, perturbations=[fast])
    evaluation_set(tiny, tiny.index.tags, chunk_samples=1_250, perturbations=[fast])


@pytest.mark.parametrize("n_workers", [0, 2])
def test_a_clip_that_cannot_be_perturbed_ends_the_evaluation(
    tiny: ShardSet, n_workers: int
) -> None:
    refs = [replace(ref, gain_db=-1e9) for ref in clip_refs(tiny, ["clean"], chunk_samples=CHUNK)]
    stream = iter_clips(
        refs, chunk_samples=CHUNK, n_workers=n_workers,
        perturbations=parse_perturbations(["drc:speech"]),
    )  # fmt: skip
    with pytest.raises(ManifestError, match=r"shard-000000\.tar: tiny-\S+: drc:speech: "):
        list(stream)
