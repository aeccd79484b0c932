"""Time stretch, pitch shift and white noise: sines, clicks and powers that are known."""

from __future__ import annotations

import math
import statistics

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from manifests.canonical import hash64
from manifests.errors import ManifestError, UsageError
from manifests.signal import Signal, peak, power
from trainer.perturb.apply import apply_perturbation
from trainer.perturb.names import STANDARD, is_perturbation, parse_perturbations
from trainer.perturb.perturbation import Perturbation, Perturbed
from trainer.perturb.time_and_pitch import PitchShift, TimeStretch
from trainer.perturb.white_noise import WhiteNoise, white_noise

RATE = 22_050
N_SAMPLES = 3 * RATE


def sine(frequency_hz: float, n_samples: int = N_SAMPLES) -> Signal:
    tone: Signal = 0.5 * np.sin(2 * math.pi * frequency_hz * np.arange(n_samples) / RATE)
    return tone


def peak_hz(signal: Signal) -> float:
    """Frequency of the largest peak: parabola through the log magnitudes of a padded FFT."""
    middle = signal[4096:-4096]
    n_fft = 1 << 19
    magnitude = np.log(np.abs(np.fft.rfft(middle * np.hanning(len(middle)), n_fft)) + 1e-12)
    top = int(magnitude.argmax())
    left, centre, right = magnitude[top - 1 : top + 2]
    return float(top + 0.5 * (left - right) / (left - 2 * centre + right)) * RATE / n_fft


def cents(found_hz: float, expected_hz: float) -> float:
    return 1200 * math.log2(found_hz / expected_hz)


def heard(item: Perturbation, signal: Signal, **more: float) -> Signal:
    return apply_perturbation(item, signal, key="clip-1", **more)[0]


# ---- pitch and time -------------------------------------------------------------------


@pytest.mark.parametrize("semitones", [1.0, -1.0, 0.5, 0.0, 7.0, -12.0])
def test_a_sine_moves_by_the_semitones_within_5_cents(semitones: float) -> None:
    before = sine(440.0)
    after = heard(PitchShift(semitones), before)
    assert abs(cents(peak_hz(after), 440.0 * 2 ** (semitones / 12))) < 5
    assert len(after) == len(before)
    assert power(after) == pytest.approx(power(before), rel=1e-9)


@pytest.mark.parametrize("speed", [1.414, 0.707, 1.0, 2.0])
def test_a_stretched_sine_keeps_its_pitch_and_has_the_length(speed: float) -> None:
    before = sine(440.0)
    after = heard(TimeStretch(speed), before)
    assert abs(cents(peak_hz(after), 440.0)) < 5
    assert len(after) == round(len(before) / speed) == TimeStretch(speed).n_samples(len(before))
    assert power(after) == pytest.approx(power(before), rel=1e-9)


@pytest.mark.parametrize("speed", [1.414, 0.707])
def test_events_come_as_much_earlier_or_later(speed: float) -> None:
    before = 1e-4 * np.random.default_rng(0).standard_normal(N_SAMPLES)
    for place in (15_000, 50_000):
        before[place : place + 64] += np.hanning(64)
    energy = heard(TimeStretch(speed), before) ** 2
    for place in (15_000, 50_000):
        expected = (place + 32) / speed
        near = np.arange(round(expected) - 4_000, round(expected) + 4_000)
        centre = float((energy[near] * near).sum() / energy[near].sum())
        assert abs(centre - expected) < 0.03 * RATE  # less than half a frame


def test_a_chord_with_a_beat_keeps_its_parts() -> None:
    after = heard(TimeStretch(1.414), sine(220.0) + sine(330.0) + sine(2_000.0))
    middle = after[4096:-4096]
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle)))) ** 2
    places = [round(f * len(middle) / RATE) for f in (220.0, 330.0, 2_000.0)]
    parts = [float(spectrum[p - 5 : p + 6].sum()) for p in places]
    assert sum(parts) > 0.97 * spectrum.sum()
    assert max(parts) / min(parts) < 10**0.1  # within 1 dB of each other


# ---- white noise ----------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.1, 0.4, 0.9])
def test_noise_is_as_high_as_the_clip_and_their_sum_is_what_is_heard(share: float) -> None:
    clip = sine(300.0) + 0.2 * sine(977.0)
    done = WhiteNoise(share).perturb(clip, key="a", gain_db=0.0)
    assert done.added is not None
    assert peak(done.added) == pytest.approx(share * clip.max(), rel=1e-12)
    np.testing.assert_allclose(done.signal - done.added, (1 - share) * clip, atol=1e-15)
    # mean square: that of unit noise times the square of what brings its peak to r·max(x)
    unit = white_noise(len(clip), "a")
    expected = power(unit) * (share * clip.max() / peak(unit)) ** 2
    assert power(done.added) == pytest.approx(expected, rel=1e-12)
    assert power(unit) == pytest.approx(1.0, abs=4 * math.sqrt(2 / len(clip)))


@pytest.mark.parametrize("share", [0.1, 0.4])
def test_the_snr_is_that_of_powers_not_of_peaks(share: float) -> None:
    clip = sine(367.5)  # 60 samples a period: mean square 0.5²/2, and the peak is hit
    _, snr_db = apply_perturbation(WhiteNoise(share), clip, key="a")
    unit = white_noise(len(clip), "a")
    music, noise = (1 - share) ** 2 * 0.125, (share * 0.5 / peak(unit)) ** 2 * power(unit)
    assert snr_db == pytest.approx(10 * math.log10(music / noise), abs=1e-6)
    crest = clip.copy()
    crest[1_000] = 1.0  # one click: the same music, but now twice the noise
    _, lower_db = apply_perturbation(WhiteNoise(share), crest, key="a")
    assert snr_db is not None and lower_db is not None
    assert snr_db - lower_db == pytest.approx(20 * math.log10(2), abs=0.01)


def test_all_shares_hear_the_same_noise_and_other_clips_hear_another() -> None:
    clip = sine(300.0)
    weak, strong = (WhiteNoise(r).perturb(clip, key="a", gain_db=0.0).added for r in (0.1, 0.4))
    assert weak is not None and strong is not None
    np.testing.assert_allclose(strong, 4 * weak, rtol=1e-12)
    other = white_noise(len(clip), "b")
    assert abs(np.corrcoef(white_noise(len(clip), "a"), other)[0, 1]) < 0.02


def test_the_noise_is_white_and_gaussian() -> None:
    noise = white_noise(1 << 17, "any")
    bands = (np.abs(np.fft.rfft(noise)) ** 2)[1:].reshape(8, -1).mean(axis=1)
    assert bands.max() / bands.min() < 1.06
    assert np.mean(noise**4) == pytest.approx(3.0, abs=0.1)
    assert abs(noise.mean()) < 0.012


def test_the_noise_is_the_inverse_normal_of_stable_bits() -> None:
    bits = np.random.PCG64(hash64("white-noise", "a key")).random_raw(50)
    normal = statistics.NormalDist()
    expected = [normal.inv_cdf(((int(b) >> 11) + 0.5) / 2**53) for b in bits]
    np.testing.assert_allclose(white_noise(50, "a key"), expected, rtol=1e-9, atol=1e-12)


# ---- what all share -------------------------------------------------------------------


@pytest.mark.parametrize("name", STANDARD)
def test_a_clip_is_perturbed_alike_whatever_came_before_and_on_any_threads(name: str) -> None:
    (item,) = parse_perturbations([name])
    rng = np.random.default_rng(3)
    clip, other = sine(311.0) + 0.05 * rng.standard_normal(N_SAMPLES), sine(100.0, 30_000)
    n_threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        first = heard(item, clip, band_hz=7_200.0)
        torch.set_num_threads(2)
        apply_perturbation(item, other, key="clip-2")
        again = heard(item, clip, band_hz=7_200.0)
        assert torch.get_num_threads() == 2, "as it was"
    finally:
        torch.set_num_threads(n_threads)
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first[:1_000], clip[:1_000], atol=1e-3), "it does something"


def test_nothing_leaves_the_band_of_the_set() -> None:
    clip = sine(1_000.0)
    inside, snr_db = apply_perturbation(WhiteNoise(0.4), clip, key="a", band_hz=7_200.0)
    full, full_db = apply_perturbation(WhiteNoise(0.4), clip, key="a")

    def above(signal: Signal) -> float:
        middle = signal[2_000:-2_000]
        spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle)))) ** 2
        return float(spectrum[round(len(spectrum) * 7_300 / 11_025) :].sum())

    assert above(inside) < 1e-4 * above(full)
    assert snr_db is not None and full_db is not None
    # the noise lost is that above the middle of the filter's slope
    assert snr_db - full_db == pytest.approx(10 * math.log10(11_025 / 6_950), abs=0.1)


@settings(max_examples=25, deadline=None)
@given(
    name=st.sampled_from(STANDARD),
    n_samples=st.integers(4_000, 9_000),
    level=st.floats(1e-3, 1.0),
    gain_db=st.floats(-20.0, 0.0),
    seed=st.integers(0, 5),
)
def test_every_clip_comes_out_finite_and_of_the_length_foretold(
    name: str, n_samples: int, level: float, gain_db: float, seed: int
) -> None:
    (item,) = parse_perturbations([name])
    clip = level * np.random.default_rng(seed).uniform(-1, 1, n_samples)
    after, snr_db = apply_perturbation(item, clip, key="k", gain_db=gain_db)
    assert len(after) == item.n_samples(n_samples) and np.isfinite(after).all()
    assert (snr_db is None) == (not name.startswith("white-noise"))


def test_clips_that_cannot_be_perturbed_are_named() -> None:
    with pytest.raises(ManifestError, match="quiet-1: expected sound to perturb, got silence"):
        apply_perturbation(WhiteNoise(0.1), np.zeros(5_000), key="quiet-1")
    with pytest.raises(ManifestError, match=r"short-1: pitch-shift:\+1: audio: expected more than"):
        apply_perturbation(PitchShift(1), sine(440.0, 3_000), key="short-1")
    (drc,) = parse_perturbations(["drc:speech"])
    for gain_db in (-1e9, 1e9):
        with pytest.raises(ManifestError, match=r"wild-1: drc:speech: "):
            apply_perturbation(drc, sine(440.0), key="wild-1", gain_db=gain_db)

    class Broken(WhiteNoise):
        def perturb(self, signal: Signal, *, key: str, gain_db: float) -> Perturbed:
            return Perturbed(signal * math.nan)

    with pytest.raises(ManifestError, match=r"nan-1: white-noise:0\.1: expected finite samples"):
        apply_perturbation(Broken(0.1), sine(440.0), key="nan-1")


# ---- names ----------------------------------------------------------------------------


def test_names_are_read_and_written_one_way() -> None:
    assert tuple(item.name for item in parse_perturbations(["all"])) == STANDARD
    texts = ["pitch-shift:1, time-stretch:1.50", "drc:speech", "white-noise:0.1,pitch-shift:+1.0"]
    names = ["pitch-shift:+1", "time-stretch:1.5", "drc:speech", "white-noise:0.1"]
    assert [item.name for item in parse_perturbations(texts)] == names, "each once, in order"
    assert parse_perturbations([]) == ()
    assert [item.name for item in parse_perturbations(["pitch-shift:-0"])] == ["pitch-shift:+0"]
    for name in (*STANDARD, *names):
        assert [item.name for item in parse_perturbations([name])] == [name]
        assert is_perturbation(name)
    assert not any(map(is_perturbation, ("clean", "audio", "noisy.snr_-2.5")))


@pytest.mark.parametrize(
    "text",
    [
        "", "reverb", "reverb:1", "time-stretch", "time-stretch:fast", "time-stretch:0",
        "time-stretch:4.1", "time-stretch:nan", "pitch-shift:13", "pitch-shift:inf", "drc:radio",
        "drc", "white-noise:0", "white-noise:1", "all,", "white-noise:0.1,,drc:speech",
    ],
)  # fmt: skip
def test_other_names_are_refused_with_those_that_there_are(text: str) -> None:
    with pytest.raises(UsageError, match=r"^--perturb: expected all, or names of time-str") as info:
        parse_perturbations([text])
    for legal in ("pitch-shift:SEMITONES", "drc:music-standard, drc:speech", "white-noise:SHARE"):
        assert legal in str(info.value)
