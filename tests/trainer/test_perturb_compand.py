"""Compression: the curve at rest, time constants, the gain that runs ahead, and sox itself."""

from __future__ import annotations

import math
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import brentq

from manifests.signal import Signal, amplitude
from trainer.perturb.compand import (
    PRESETS,
    Compander,
    DynamicRange,
    compand,
    envelope,
    gain_at,
)

RATE = 22_050


def square(level: float, n_samples: int = 6 * RATE) -> Signal:
    """A wave of one magnitude: its level is exactly that once the follower has settled."""
    return level * np.where(np.arange(n_samples) // 25 % 2, 1.0, -1.0)


@pytest.mark.parametrize(
    ("preset", "level_db", "expected_db"),
    [
        ("music-standard", -70.0, -58.0), ("music-standard", -55.0, -43.0),
        ("music-standard", -43.0, -37.0), ("music-standard", -25.0, -25.0),
        ("music-standard", -10.5, -20.5), ("music-standard", 0.0, -20.0),
        ("speech", -70.0, -55.0), ("speech", -60.0, -45.0), ("speech", -40.5, -33.0),
        ("speech", -21.0, -21.0), ("speech", -80.0, -72.5), ("speech", -95.0, -95.0),
    ],
)  # fmt: skip
def test_the_curve_at_rest(preset: str, level_db: float, expected_db: float) -> None:
    after = compand(square(amplitude(level_db)), PRESETS[preset])
    assert 20 * math.log10(abs(after[-1])) == pytest.approx(expected_db, abs=0.02)


def test_a_steady_sine_rests_where_rise_and_fall_balance() -> None:
    """The level v of a fast sine solves rise·E[(s-v)+] = fall·E[(v-s)+], s its magnitude."""
    rise, fall = (1 - math.exp(-1 / (RATE * t)) for t in (0.1, 0.3))

    def surplus(v: float) -> float:
        def above(phase: float) -> float:
            return max(math.sin(phase) - v, 0.0)

        def below(phase: float) -> float:
            return max(v - math.sin(phase), 0.0)

        edges = sorted((math.asin(v), math.pi - math.asin(v)))
        up, down = (quad(f, 0, math.pi, points=edges)[0] for f in (above, below))
        return rise * up - fall * down

    share = brentq(surplus, 0.1, 0.99)
    for peak_db in (-45.0, -12.0):
        tone = amplitude(peak_db) * np.sin(2 * math.pi * 441.0 * np.arange(4 * RATE) / RATE)
        after = compand(tone, PRESETS["music-standard"])
        wanted = gain_at(np.array([share * amplitude(peak_db)]), PRESETS["music-standard"])[0]
        found = np.sqrt(np.mean(after[-RATE:] ** 2) / np.mean(tone[-RATE:] ** 2))
        assert 20 * math.log10(found / wanted) == pytest.approx(0.0, abs=0.02)


def test_time_constants_of_the_level() -> None:
    rise, fall = (1 - math.exp(-1 / (RATE * t)) for t in (0.1, 0.3))
    up = envelope(np.ones(RATE), rise=rise, fall=fall, initial=0.0)
    assert up[round(0.1 * RATE) - 1] == pytest.approx(1 - math.exp(-1), rel=1e-9)
    down = envelope(np.zeros(RATE), rise=rise, fall=fall, initial=1.0)
    assert down[round(0.3 * RATE) - 1] == pytest.approx(math.exp(-1), rel=1e-9)


def test_the_level_is_the_larger_or_smaller_of_two_linear_steps() -> None:
    """With a rise faster than the fall the step is a maximum; written as one, it is an oracle."""
    rectified = np.abs(np.random.default_rng(0).standard_normal(3_000))
    found = envelope(rectified, rise=0.03, fall=0.004, initial=0.7)
    level = 0.7
    for sample, after in zip(rectified, found, strict=True):
        level = max(0.97 * level + 0.03 * sample, 0.996 * level + 0.004 * sample)
        assert after == pytest.approx(level, rel=1e-12)


def test_the_gain_runs_ahead_of_the_signal() -> None:
    quiet, loud = amplitude(-30.0), 1.0
    clip = np.concatenate([square(quiet), square(loud)])
    gain = compand(clip, PRESETS["music-standard"]) / clip
    onset, delay = 6 * RATE, round(0.1 * RATE)
    assert gain[onset - delay - 2] == pytest.approx(gain[onset - delay - 1000], rel=1e-3)
    level = quiet + (loud - quiet) * (1 - math.exp(-1))  # 0.1 s after the onset
    expected = gain_at(np.array([level]), PRESETS["music-standard"])[0]
    assert gain[onset] == pytest.approx(expected, rel=1e-3)


def test_edges() -> None:
    """Silence, a clip shorter than the delay, a click, times below a sample."""
    assert not compand(np.zeros(5_000), PRESETS["speech"]).any()
    short = square(0.1, 500)
    level = envelope(np.abs(short), rise=1 - math.exp(-1 / 2205), fall=1 - math.exp(-1 / 6615),
                     initial=1.0)  # fmt: skip
    expected = short * gain_at(level[-1:], PRESETS["speech"])
    np.testing.assert_allclose(compand(short, PRESETS["speech"]), expected, rtol=1e-12)
    click = np.zeros(6 * RATE)
    click[4 * RATE] = 1.0
    assert compand(click, PRESETS["speech"]).max() == 1.0, "clipped to full scale"
    at_once = Compander(((-60, -60), (0, -30)), attack_s=0.0, decay_s=0.0, delay_s=0.0)
    np.testing.assert_allclose(compand(square(0.1, 50), at_once), square(0.01, 50))


@pytest.mark.parametrize("preset", list(PRESETS))
def test_compression_is_that_of_the_source_file(preset: str) -> None:
    clip = 0.8 * np.random.default_rng(1).uniform(-1, 1, RATE)
    item = DynamicRange(preset)
    whole = item.perturb(clip, key="k", gain_db=0.0).signal
    quiet = item.perturb(clip * amplitude(-11.0), key="k", gain_db=-11.0).signal
    np.testing.assert_allclose(quiet, whole * amplitude(-11.0), rtol=1e-9, atol=1e-15)
    assert not np.allclose(quiet, item.perturb(clip * amplitude(-11.0), key="k", gain_db=0).signal)


@pytest.mark.skipif(shutil.which("sox") is None, reason="the sox program is not installed")
@pytest.mark.parametrize("preset", list(PRESETS))
def test_equals_sox(preset: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    t = np.arange(3 * RATE) / RATE
    clip = 0.4 * np.sin(2 * math.pi * 220 * t) * (0.1 + np.exp(-3 * (t % 1)))
    clip += 0.02 * rng.standard_normal(len(t))
    clip[RATE : 2 * RATE] *= 1e-3
    given, written = tmp_path / "given.f64", tmp_path / "written.f64"
    clip.astype("<f8").tofile(given)
    raw = ["-t", "f64", "-r", str(RATE), "-c", "1"]
    curve = ",".join(f"{a:g},{b:g}" for a, b in PRESETS[preset].points_db)
    effect = ["compand", "0.1,0.3", curve, "0", "0", "0.1"]
    subprocess.run(["sox", "-D", *raw, str(given), *raw, str(written), *effect], check=True)
    found, expected = compand(clip, PRESETS[preset]), np.fromfile(written)
    assert len(found) == len(expected)
    # sox rounds the corners of its curve, and its samples to 32 bits
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=2e-9)
