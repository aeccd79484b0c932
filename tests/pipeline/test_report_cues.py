"""Cues: measured on signals whose answer is known, classified where the AUC is known."""

from __future__ import annotations

import itertools
import math
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from manifests.rows import CHUNK_SAMPLES, SAMPLE_RATE
from pipeline.report import cue_auc, cues
from pipeline.report.advice import cue_advice
from pipeline.report.cue_auc import CueReport, CueScore, CueTable, cross_validated_auc, cue_report
from pipeline.report.cues import ChunkCues


def tone(frequency_hz: float, amplitude: float, n_samples: int = CHUNK_SAMPLES) -> Any:
    return amplitude * np.sin(2 * np.pi * frequency_hz * np.arange(n_samples) / SAMPLE_RATE)


def test_level_peak_and_silence_of_a_tone() -> None:
    level_db, peak_db, silence = cues.loudness_cues(tone(441.0, 0.1))
    assert level_db == pytest.approx(-23.0103, abs=1e-3)  # 20 dB below full scale, less 3.01
    assert peak_db == pytest.approx(-20.0, abs=0.02)  # no sample falls on the very top
    assert silence == 0.0


def test_silence_counts_frames_below_60_dbfs() -> None:
    samples = tone(441.0, 0.1)
    frame = SAMPLE_RATE // 10
    samples[: 13 * frame] = tone(441.0, 0.00141, 13 * frame)  # 0.00141 / sqrt 2: -60.01 dBFS
    assert cues.silent_share(samples) == pytest.approx(13 / 26)
    samples[: 13 * frame] = tone(441.0, 0.00142, 13 * frame)
    assert cues.silent_share(samples) == 0.0


@pytest.mark.parametrize(
    ("low", "high", "share_db"),
    [(0.1, 0.0, -60.0), (0.0, 0.1, 0.0), (0.1, 0.1, -3.0103), (0.3, 0.03, -20.0432)],
)
def test_band_share_of_two_tones(low: float, high: float, share_db: float) -> None:
    """Energies of tones are in proportion to their squared amplitudes."""
    mixed = tone(1_000.0, low) + tone(9_500.0, high)
    assert cues.band_share_db(mixed) == pytest.approx(share_db, abs=0.01)


def test_silence_and_too_little_have_cues_too() -> None:
    for n_samples in (0, 1, 100, CHUNK_SAMPLES):
        silence = np.zeros(n_samples)
        assert cues.loudness_cues(silence)[:2] == (-100.0, -100.0)
        assert cues.band_share_db(silence) == -60.0
        assert np.array_equal(cues.as_heard(silence), silence)
    assert cues.loudness_cues(np.zeros(CHUNK_SAMPLES))[2] == 1.0


@given(st.floats(-95.0, 0.0), st.integers(0, 2**32 - 1))
def test_heard_has_one_level_and_keeps_the_crest(level_db: float, seed: int) -> None:
    noise = np.random.default_rng(seed).standard_normal(4_000)
    noise *= 10 ** (level_db / 20) / math.sqrt(float(np.mean(noise**2)))
    stored, heard = cues.loudness_cues(noise), cues.loudness_cues(cues.as_heard(noise))
    assert heard[0] == -20.0
    assert heard[1] - heard[0] == pytest.approx(stored[1] - stored[0], abs=1e-5)


@given(st.integers(0, 40 * CHUNK_SAMPLES))
def test_chunks_are_whole_apart_and_spread(n_samples: int) -> None:
    pieces = cues.chunk_slices(n_samples)
    whole = n_samples // CHUNK_SAMPLES
    assert len(pieces) == max(1, min(4, whole))
    if whole == 0:
        assert pieces == [slice(0, n_samples)]
        return
    assert all(p.stop - p.start == CHUNK_SAMPLES and p.start % CHUNK_SAMPLES == 0 for p in pieces)
    assert all(a.stop <= b.start for a, b in itertools.pairwise(pieces))
    assert pieces[0].start == 0 and pieces[-1].stop <= n_samples
    assert len(pieces) == 1 or pieces[-1].stop == whole * CHUNK_SAMPLES


def labelled(rng: np.random.Generator, n: int) -> tuple[NDArray[np.bool_], NDArray[np.int_]]:
    """Return labels and songs: 40 songs, each with both labels."""
    noisy = np.arange(n) % 2 == 1
    return noisy, np.arange(n) // 2 % 40


@pytest.mark.parametrize("distance", [0.0, 1.0, 3.0])
def test_auc_of_two_gaussians(rng: np.random.Generator, distance: float) -> None:
    """Equal variances, means ``d`` apart: AUC = Phi(d / sqrt 2)."""
    noisy, songs = labelled(rng, 4_000)
    features = rng.standard_normal((4_000, 1)) + distance * noisy[:, None]
    score = cross_validated_auc(features, noisy, songs)
    assert score.auc == pytest.approx(NormalDist().cdf(distance / math.sqrt(2)), abs=0.03)
    assert 0.0 <= score.error < 0.03


def test_a_cue_may_tell_at_both_ends(rng: np.random.Generator) -> None:
    noisy, songs = labelled(rng, 2_000)
    features = rng.choice([-1.0, 1.0], 2_000) * (1.0 + 4.0 * noisy) + rng.normal(0, 0.2, 2_000)
    assert cross_validated_auc(features[:, None], noisy, songs).auc > 0.99


def test_a_constant_cue_tells_nothing(rng: np.random.Generator) -> None:
    noisy, songs = labelled(rng, 100)
    assert cross_validated_auc(np.full((100, 2), -20.0), noisy, songs) == CueScore(0.5, 0.0)


def test_no_song_is_trained_and_tested_on(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    tested: list[set[float]] = []

    class Spy:
        def fit(self, features: NDArray[np.float64], _: object) -> None:
            self.trained = set(features[:, 0])

        def decision_function(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
            assert not self.trained & set(features[:, 0])
            tested.append(set(features[:, 0]))
            return features[:, 0]

    monkeypatch.setattr(cue_auc, "make_pipeline", lambda *_: Spy())
    noisy, songs = labelled(rng, 400)
    cross_validated_auc(songs[:, None].astype(float), noisy, songs)
    assert len(tested) == 5 and set().union(*tested) == set(range(40))


def chunk(song: int, target_db: float | None, level_db: float, peak_db: float) -> ChunkCues:
    stored, heard = (level_db, peak_db, 0.0, -60.0), (-20.0, peak_db - level_db - 20, 0.0, -60.0)
    return ChunkCues(f"folder/{song}", target_db, stored, heard)


def test_report_of_chunks_by_snr(rng: np.random.Generator) -> None:
    """Noisy at -10 dB is 10 dB louder with the same crest: level tells as stored, nothing after."""
    chunks = []
    for song in range(30):
        for target_db, louder in ((None, 0.0), (10.0, 0.4), (-10.0, 10.4)):
            level = float(rng.normal(-25, 1)) + louder
            chunks.append(chunk(song, target_db, level, level + float(rng.normal(12, 1))))
    report = cue_report(chunks, 30)
    assert (report.reason, report.n_songs, report.n_chunks, report.folds) == ("", 30, 30, 5)
    assert report.stored is not None and report.heard is not None
    assert report.stored.scores["level"]["-10"].auc == 1.0
    assert report.stored.scores["level"]["10"].auc < 0.75
    assert 0.55 < report.stored.scores["level"]["all"].auc < 0.95
    assert report.heard.best("level") == 0.5
    assert report.heard.best("peak") < 0.65
    assert report.spreads is not None
    assert list(report.spreads["stored"]["level"]) == ["clean", "10", "-10"]
    assert report.spreads["heard"]["level"]["-10"].median == -20.0


def test_too_few_songs() -> None:
    chunks = [chunk(song, snr, -20.0, -10.0) for song in range(3) for snr in (None, 0.0)]
    report = cue_report(chunks, 3)
    assert (
        report.reason == "the sample holds 3 songs, and cross-validation by song needs at least 4"
    )
    assert report.stored is None and cue_advice(report, None) == []


def table(**best: float) -> CueTable:
    values = {"level": 0.5, "peak": 0.5, "silence": 0.5, "band above 8 kHz": 0.5, "all cues": 0.5}
    values |= {name.replace("_", " "): value for name, value in best.items()}
    return CueTable({cue: {"0": CueScore(v, 0.01), "-10": CueScore(v, 0.01)}
                     for cue, v in values.items()})  # fmt: skip


BAND = "band above 8 kHz"


@pytest.mark.parametrize(
    ("stored", "heard", "band_hz", "expected"),
    [
        (table(), table(), None, ["no cue alone tells much (at most AUC 0.50"]),
        (table(level=0.9), table(), None, ["no cue", "up to AUC 0.90: noisy members are louder"]),
        (table(), table(peak=0.8), None, ["most is peak: AUC 0.80", "the crest factor"]),
        (table(), table(silence=0.7), None, ["most is silence", "noise fills the pauses"]),
        (table(), table(**{BAND: 0.9}), None, [BAND, "Build the set with `--band-limit auto`"]),
        (table(), table(**{BAND: 0.9}), 7_200.0, [BAND, "says that it ends at 7,200"]),
        (table(), table(), 7_200.0, ["no cue", "tells nothing: the set is limited to 7,200 Hz"]),
        (table(), table(**{BAND: 0.9}), 9_000.0, [BAND, "Build the set with `--band-limit auto`"]),
    ],
)  # fmt: skip
def test_advice(
    stored: CueTable, heard: CueTable, band_hz: float | None, expected: list[str]
) -> None:
    lines = cue_advice(CueReport("", stored=stored, heard=heard), band_hz)
    assert len(lines) == len(expected)
    for line, part in zip(lines, expected, strict=True):
        assert part in line
