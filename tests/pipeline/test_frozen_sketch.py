"""Sketches of members: what they say of flips, clicks, noise and other recordings."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from manifests.errors import ManifestError
from pipeline.frozen.sketch import TEXT_LENGTH, compare, decode_sketch, sketch

N = 60_000


@pytest.fixture(scope="module")
def pcm() -> np.ndarray:
    return np.random.default_rng(1).normal(0, 3000, N).round().astype(np.int16)


def test_a_sketch_is_the_sums_that_its_definition_says() -> None:
    """Written anew with Python's whole numbers: SplitMix64 of the position, 24 buckets, signs."""
    mask = (1 << 64) - 1
    samples = [5, -7, 32767, -32768, 0, 11]
    sums = [0] * 24
    for i, sample in enumerate(samples):
        z = (i + 1) * 0x9E3779B97F4A7C15 & mask
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & mask
        z = (z ^ z >> 27) * 0x94D049BB133111EB & mask
        z ^= z >> 31
        sums[(z >> 32) % 24] += sample if z & 1 == 0 else -sample
    text = sketch(np.array(samples, dtype=np.int16))
    assert len(text) == TEXT_LENGTH
    assert decode_sketch(text, "x").tolist() == [s % 65536 for s in sums]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, N - 1), min_size=1, max_size=3, unique=True), st.booleans())
def test_a_few_flips_are_counted_and_within_1_lsb(places: list[int], up: bool) -> None:
    samples = np.zeros(N, dtype=np.int16)
    text = sketch(samples)
    samples[places] += 1 if up else -1
    found = compare(text, samples, "x")
    assert found.within_1lsb
    # Two in one bucket count as 4 or as 0 (then 1 is said); the rest are exact.
    assert found.n_differ in (len(places), len(places) + 2, max(len(places) - 2, 1), 9)


@pytest.mark.parametrize("share", [0.0005, 0.006, 0.05])
def test_many_flips_are_estimated(pcm: np.ndarray, share: float) -> None:
    estimates = []
    for seed in range(30):
        rng = np.random.default_rng(seed)
        flips = rng.choice([-1, 1], N) * (rng.random(N) < share)
        found = compare(sketch(pcm), (pcm + flips).astype(np.int16), "x")
        assert found.within_1lsb
        estimates.append(found.n_differ / np.count_nonzero(flips))
    assert 0.85 < np.mean(estimates) < 1.15  # unbiased; 0.29 / sqrt(30) = 0.053
    assert 0.15 < np.std(estimates) < 0.45


def test_a_click_another_level_and_another_recording_are_not_within_1_lsb(
    pcm: np.ndarray, rng: np.random.Generator
) -> None:
    text = sketch(pcm)
    click = pcm.copy()
    click[1000] += 3
    assert not compare(text, click, "x").within_1lsb
    click[1000:1020] += 40
    assert not compare(text, click, "x").within_1lsb
    louder = np.rint(pcm * 1.001).astype(np.int16)
    assert not compare(text, louder, "x").within_1lsb
    shifted = np.roll(pcm, 1)
    found = compare(text, shifted, "x")
    assert not found.within_1lsb and found.rms_lsb > 50
    coarse = (pcm + rng.normal(0, 2, N)).round().astype(np.int16)
    found = compare(text, coarse, "x")
    assert not found.within_1lsb and 1.2 < found.rms_lsb < 3.0


@pytest.mark.parametrize("text", ["", "!" * 64, "A" * 60, "A" * 68, "é" * 64])
def test_what_is_no_sketch_is_refused(text: str) -> None:
    with pytest.raises(ManifestError, match="expected a sketch"):
        decode_sketch(text, "x")
