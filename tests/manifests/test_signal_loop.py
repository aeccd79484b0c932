"""Loops of noise that is shorter than the music: length, power and no click at the joints."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_sounds import tone, white

from manifests.errors import ManifestError
from manifests.signal import CROSSFADE_S, loop_to_length, power

RATE = 22_050
FADE = round(CROSSFADE_S * RATE)


def reference_loop(clip: np.ndarray, n_samples: int, fade: int) -> np.ndarray:
    """The same by overlap and add: each copy fades in over the end of the one before."""
    hop = clip.size - fade
    out = np.zeros(n_samples + clip.size)
    t = (np.arange(fade) + 0.5) / fade
    for start in range(0, n_samples, hop):
        copy = clip.copy()
        if start:
            copy[:fade] *= np.sin(0.5 * np.pi * t)
        copy[-fade:] *= np.cos(0.5 * np.pi * t)
        out[start : start + clip.size] += copy
    return out[:n_samples]


@given(st.integers(2, 6_000), st.integers(0, 20_000))
@settings(deadline=None, max_examples=60)
def test_length_and_samples_are_those_of_overlap_and_add(clip_samples: int, n_samples: int) -> None:
    clip = white(clip_samples, clip_samples)
    looped = loop_to_length(clip, n_samples, RATE)
    assert looped.shape == (n_samples,)
    if n_samples <= clip_samples:
        assert np.array_equal(looped, clip[:n_samples])
    else:
        fade = min(FADE, clip_samples // 2)
        assert np.allclose(looped, reference_loop(clip, n_samples, fade), rtol=0, atol=1e-15)


def test_a_cut_clip_is_a_copy() -> None:
    clip = white(100)
    loop_to_length(clip, 50, RATE)[:] = 0.0
    assert clip.any()


@pytest.mark.parametrize("clip", [[0.5, -0.25], [0.5, -0.25, 1.0]])
def test_clips_of_two_and_three_samples_fill_the_span(clip: list[float]) -> None:
    looped = loop_to_length(np.array(clip), 1_000, RATE)
    assert looped.shape == (1_000,)
    assert looped[: len(clip) - 1].tolist() == clip[:-1]
    assert np.abs(looped).max() <= np.sqrt(2.0) * max(clip)
    assert power(looped[500:]) > 0.0


@pytest.mark.parametrize("n", [0, 1])
def test_fewer_than_two_samples_are_refused(n: int) -> None:
    with pytest.raises(ManifestError, match=f"noise of {n} samples: expected at least 2"):
        loop_to_length(np.zeros(n), 100, RATE)


@pytest.mark.parametrize("clip_samples", [3 * FADE, 1_000])
def test_white_noise_keeps_its_power_at_the_joints(clip_samples: int) -> None:
    """Averaged over clips, since one joint of 50 ms is a small sample: 1,102 x 300 values."""
    fade = min(FADE, clip_samples // 2)
    joints = slice(clip_samples - fade, clip_samples)
    found = [
        power(loop_to_length(white(clip_samples, seed, rms=1.0), 3 * clip_samples, RATE)[joints])
        for seed in range(300)
    ]
    assert np.mean(found) == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize("clip_samples", [RATE, RATE // 2 + 317, 1_500])
@pytest.mark.parametrize("frequency_hz", [100.0, 1_000.0])
def test_a_sine_has_no_click(clip_samples: int, frequency_hz: float) -> None:
    """At a joint the slope is at most sqrt(2) (w + pi / (2 fade)): both tones and both fades."""
    clip = tone(frequency_hz, clip_samples, RATE)
    looped = loop_to_length(clip, 5 * clip_samples, RATE)
    fade = min(FADE, clip_samples // 2)
    omega = 2 * np.pi * frequency_hz / RATE
    assert np.abs(np.diff(looped)).max() <= np.sqrt(2.0) * (omega + np.pi / (2 * fade))


def test_a_sine_repeated_without_a_fade_has_one() -> None:
    clip = tone(100.0, RATE // 2 + 317, RATE)
    assert np.abs(np.diff(np.tile(clip, 2))).max() > 10 * 2 * np.pi * 100.0 / RATE


def test_the_fade_is_half_the_clip_below_a_tenth_of_a_second() -> None:
    clip = white(1_000)  # 45 ms
    looped = loop_to_length(clip, 1_500, RATE)
    assert np.array_equal(looped[:500], clip[:500])
    assert not np.array_equal(looped[500:1_000], clip[500:])
