"""Demo sounds: right pitch, level and band; noise that lasts; rooms and recordings as asked."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.demo import percussion, plucked, sustained, voices
from pipeline.demo.music import render_song
from pipeline.demo.noises import NOISES, render_noise
from pipeline.demo.oscillators import (
    band_noise,
    drift,
    harmonic_numbers,
    harmonic_table,
    phase_of,
    ramps,
    table_index,
)
from pipeline.demo.phrases import REGISTER_HZ, chords, compose, melody
from pipeline.demo.rooms import record, room_response
from pipeline.demo.seeding import generator_for
from pipeline.demo.traits import DYNAMICS, INSTRUMENTS, STYLES, VOICES, Traits

RATE = 16_000
Player = Callable[[float, float, int, np.random.Generator], NDArray[np.float64]]


def rms_db(x: NDArray[np.float64]) -> float:
    return float(10 * np.log10(np.mean(x * x)))


def band_share(x: NDArray[np.float64], rate: int, low_hz: float, high_hz: float) -> float:
    power = np.abs(np.fft.rfft(x)) ** 2
    f = np.fft.rfftfreq(len(x), 1 / rate)
    return float(power[(f >= low_hz) & (f < high_hz)].sum() / power.sum())


def pitch_hz(x: NDArray[np.float64], rate: int, around_hz: float) -> float:
    """Autocorrelation peak within half an octave of the expected period."""
    spectrum = np.abs(np.fft.rfft(x, 2 * len(x))) ** 2
    r = np.fft.irfft(spectrum)
    low, high = int(rate / around_hz / 1.4), int(rate / around_hz * 1.4) + 2
    return rate / (low + int(np.argmax(r[low:high])))


def clip(traits: Traits, name: str = "a", duration_s: float = 3.0) -> NDArray[np.float64]:
    rngs = generator_for(0, "song", name), generator_for(0, "clip", name)
    return render_song(traits, duration_s, RATE, 1, *rngs)[:, 0]


def test_table_oscillator_plays_the_harmonics_asked_for() -> None:
    table = harmonic_table(np.array([1.0, 0.0, 0.5]))
    x = table[table_index(phase_of(200.0, RATE, RATE))]
    spectrum = np.abs(np.fft.rfft(x)) / RATE * 2
    assert spectrum[200] / spectrum[600] == pytest.approx(2.0, rel=1e-3)
    assert spectrum[400] < 1e-3 * spectrum[200]
    assert np.sqrt(np.mean(x * x)) == pytest.approx(1.0, rel=1e-3)


def test_harmonics_stay_below_the_nyquist_frequency() -> None:
    assert harmonic_numbers(1000.0, 16_000).max() == 7
    assert harmonic_numbers(20.0, 16_000, limit=40).max() == 40
    assert harmonic_numbers(9000.0, 16_000).tolist() == [1.0]


def test_ramps_rise_and_fall_smoothly() -> None:
    envelope = ramps(1000, 1000, 0.1, 0.2)
    assert envelope[0] < 0.01 and envelope[-1] < 0.01
    assert (envelope[100:800] == 1.0).all()
    assert (np.diff(envelope[:100]) > 0).all() and (np.diff(envelope[800:]) < 0).all()


def test_band_noise_keeps_level_and_band(rng: np.random.Generator) -> None:
    x = band_noise(10 * RATE, RATE, rng, 1000.0, 3000.0)
    assert rms_db(x) == pytest.approx(1.5, abs=2.0)
    assert band_share(x, RATE, 500.0, 6000.0) > 0.8


def test_drift_stays_within_0_and_1(rng: np.random.Generator) -> None:
    curve = drift(5 * RATE, RATE, rng, 1.0)
    assert curve.min() >= 0.0 and curve.max() <= 1.0
    assert np.abs(np.diff(curve)).max() < 2 * np.pi / RATE


@pytest.mark.parametrize(
    ("play", "hz"),
    [
        (plucked.guitar, 196.0), (plucked.piano, 440.0), (plucked.harpsichord, 330.0),
        (sustained.strings, 330.0), (sustained.flute, 880.0), (sustained.synth, 220.0),
        (voices.male, 147.0), (voices.female, 330.0), (voices.choir, 262.0),
    ],
)  # fmt: skip
def test_instruments_play_in_tune(play: Player, hz: float, rng: np.random.Generator) -> None:
    note = play(hz, 1.0, RATE, rng)
    assert np.isfinite(note).all() and len(note) >= 0.8 * RATE
    steady = note[RATE // 4 : RATE * 4 // 5]
    assert pitch_hz(steady, RATE, hz) == pytest.approx(hz, rel=0.03)


def test_sitar_glides_into_its_pitch(rng: np.random.Generator) -> None:
    note = plucked.sitar(250.0, 1.0, RATE, rng)
    assert pitch_hz(note[RATE // 2 : RATE], RATE, 250.0) == pytest.approx(250.0, rel=0.02)


def test_timbres_differ(rng: np.random.Generator) -> None:
    share = {
        name: band_share(play(330.0, 1.0, RATE, rng), RATE, 2000.0, 8000.0)
        for name, play in {
            "guitar": plucked.guitar, "harpsichord": plucked.harpsichord,
            "flute": sustained.flute, "sitar": plucked.sitar,
        }.items()
    }  # fmt: skip
    assert share["harpsichord"] > 0.3 > 0.1 > share["guitar"]
    assert share["sitar"] > 0.1 > share["flute"]


@pytest.mark.parametrize("pattern", [percussion.kit, percussion.four_on_the_floor])
def test_drums_keep_the_tempo(pattern: Callable[..., NDArray[np.float64]]) -> None:
    x = pattern(8 * RATE, RATE, 120.0, np.random.default_rng(0))
    energy = np.sum(x[: 8 * RATE].reshape(-1, RATE // 100) ** 2, axis=1)
    onset = np.maximum(np.diff(energy), 0.0)
    r = np.correlate(onset, onset, "full")[len(onset) - 1 :]
    # 120 beats a minute: the patterns repeat after one or two beats, not after three quarters.
    assert max(r[49:52].max(), r[99:102].max()) > 2.0 * r[36:39].max()


@pytest.mark.parametrize("tempo", ["slow", "medium", "fast"])
@pytest.mark.parametrize("part", ["guitar", "flute", "piano"])
def test_notes_stay_in_the_register_and_the_tempo_is_notes_per_second(
    tempo: str, part: str
) -> None:
    traits = Traits((part,), tempo=tempo)
    song = compose(traits, generator_for(1, tempo))
    notes = melody(traits, song, part, 20.0, generator_for(2, tempo))
    low, high = REGISTER_HZ[part]
    assert all(low <= note.pitch_hz <= high * 1.0001 for note in notes)
    rate = len(notes) / 20.0
    bounds = {"slow": (0.3, 1.3), "medium": (1.0, 3.6), "fast": (3.0, 12.0)}[tempo]
    assert bounds[0] < rate < bounds[1]
    struck = chords(traits, song, part, 20.0, generator_for(3, tempo))
    assert len(struck) % 3 == 0 and struck[0].onset_s == 0.0


def test_quiet_songs_leave_notes_out() -> None:
    counts = []
    for dynamics in ("quiet", "medium"):
        traits = Traits(("guitar",), tempo="fast", dynamics=dynamics)
        song = compose(traits, generator_for(1, "s"))
        counts.append(len(melody(traits, song, "guitar", 60.0, generator_for(2, "n"))))
    assert counts[0] < 0.85 * counts[1]


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("voice", VOICES)
def test_songs_are_finite_active_and_below_full_scale(style: str, voice: str) -> None:
    dynamics = DYNAMICS[(STYLES.index(style) + VOICES.index(voice)) % 3]
    instrument = INSTRUMENTS[(2 * STYLES.index(style) + VOICES.index(voice)) % 7]
    x = clip(Traits((instrument,), style, "medium", dynamics, voice))
    assert x.shape == (3 * RATE,) and np.isfinite(x).all()
    assert np.abs(x).max() <= 0.85
    target = {"quiet": -33.0, "medium": -22.0, "loud": -14.0}[dynamics]
    assert rms_db(x) == pytest.approx(target, abs=3.0)
    frames = np.array([rms_db(frame + 1e-9) for frame in x.reshape(-1, RATE // 10)])
    # The pipeline needs half of the frames within 40 dB of the loudest and above -60 dBFS.
    assert np.mean((frames > frames.max() - 40) & (frames > -60)) > 0.6


def test_loudness_is_heard_beside_the_level() -> None:
    shapes = {}
    for dynamics in ("quiet", "loud"):
        x = clip(Traits(("guitar",), "plain", "medium", dynamics))
        shapes[dynamics] = band_share(x, RATE, 2000.0, 8000.0), np.abs(x).max() / np.std(x)
    assert shapes["loud"][0] > 10 * shapes["quiet"][0]
    assert shapes["loud"][1] < shapes["quiet"][1]


def test_clips_of_a_song_share_tempo_and_key_but_not_notes() -> None:
    traits = Traits(("piano",))
    a, b = (compose(traits, generator_for(0, "song", "x")) for _ in range(2))
    assert a == b
    notes = [melody(traits, a, "piano", 9.0, generator_for(0, str(i))) for i in range(2)]
    assert notes[0] != notes[1]


def test_stereo_channels_differ_and_mono_is_one_channel() -> None:
    traits = Traits(("guitar", "flute"))
    rngs = generator_for(0, "s"), generator_for(0, "c")
    x = render_song(traits, 2.0, 44_100, 2, *rngs)
    assert x.shape == (88_200, 2)
    assert np.abs(x[:, 0] - x[:, 1]).max() > 0.01


@pytest.mark.parametrize("kind", sorted(NOISES))
def test_noise_is_sustained_and_wide(kind: str) -> None:
    x = render_noise((kind,), 3.0, 44_100, 1, generator_for(0, kind))[:, 0]
    assert x.shape == (132_300,) and np.isfinite(x).all() and np.abs(x).max() <= 0.85
    assert -36.0 < rms_db(x) < -18.0
    frames = np.array([rms_db(f + 1e-9) for f in x[: 30 * 4410].reshape(30, 4410)])
    assert np.mean((frames > frames.max() - 40) & (frames > -60)) > 0.9
    assert band_share(x, 44_100, 8000.0, 22_050.0) > 1e-3


@pytest.mark.parametrize("kind", sorted(NOISES))
def test_noise_can_be_shorter_than_its_parts(kind: str) -> None:
    x = render_noise((kind,), 0.3, RATE, 1, generator_for(1, kind))
    assert x.shape == (4800, 1) and np.isfinite(x).all() and np.abs(x).max() > 0.0


def test_noise_of_two_kinds_holds_both() -> None:
    x = render_noise(("alarm", "engine"), 3.0, RATE, 2, generator_for(0, "both"))
    assert x.shape == (48_000, 2)
    assert band_share(x[:, 0], RATE, 20.0, 1000.0) > 0.15
    assert band_share(x[:, 0], RATE, 1900.0, 3500.0) > 0.15


@pytest.mark.parametrize("t60_s", [0.3, 0.9])
def test_room_decays_as_asked(t60_s: float, rng: np.random.Generator) -> None:
    response = room_response(44_100, t60_s, rng)
    assert np.sum(response**2) == pytest.approx(1.0)
    assert np.argmax(np.abs(response)) == 0
    # Schroeder's backward integral; the slope between -20 and -40 dB gives the decay time.
    left = np.cumsum(response[::-1] ** 2)[::-1]
    level = 10 * np.log10(left / left[0])
    t20, t40 = (int(np.argmax(level < db)) / 44_100 for db in (-20.0, -40.0))
    assert 3 * (t40 - t20) == pytest.approx(t60_s, rel=0.35)


def test_recording_has_the_snr_asked_for(rng: np.random.Generator) -> None:
    t = np.arange(44_100) / 44_100
    music = np.sin(2 * np.pi * 500.0 * t)
    noise = np.sin(2 * np.pi * 2000.0 * t)
    x = record(music, noise, 12.0, 44_100, np.ones(1))
    power = np.abs(np.fft.rfft(x)) ** 2
    assert 10 * np.log10(power[500] / power[2000]) == pytest.approx(12.0, abs=0.3)
