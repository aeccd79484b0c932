"""Sound above the band that a set keeps: a reject of the plan, or an error that names the file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tiny_clips import NO_TAGS, clip
from tiny_corpora import generator, write_audio

from manifests.errors import ManifestError
from manifests.rows import Clip
from pipeline.activity import levels_db
from pipeline.config import RunOptions, SetConfig
from pipeline.heard import as_heard, band_loss_db, out_of_band
from pipeline.planned import Plan
from pipeline.stages.build import build_set
from pipeline.stages.plan import plan_set
from pipeline.stages.scan import Scan, scan

CONFIG = SetConfig(music=("folder",), noise=("folder",), halves="none", snrs_db=(0.0,))


def tone(frequency_hz: float, rate: int, seconds: float = 4.0, rms: float = 0.1) -> np.ndarray:
    t = np.arange(round(seconds * rate)) / rate
    return rms * np.sqrt(2) * np.sin(2 * np.pi * frequency_hz * t)


def scanned(folder: Path, rate: int, **sounds: np.ndarray) -> Scan:
    for name, samples in sounds.items():
        write_audio(folder / f"{name}.wav", samples, rate)
    return scan("folder", str(folder))


def planned(music: Scan, noise: Scan, band_hz: float | None = None, noises: int = 1) -> Plan:
    return plan_set(replace(CONFIG, noises=noises), [music], [noise], NO_TAGS, band_hz=band_hz)


def built(plan: Plan, music: Scan, noise: Scan, out: Path) -> int:
    roots = {"music": {"folder": music.root}, "noise": {"folder": noise.root}}
    return build_set(
        plan, str(out), roots, run=RunOptions(jobs=1, max_reject_percent=100)
    ).n_examples


def only(found: Scan) -> Clip:
    (clip,) = found.clips
    return clip


@pytest.mark.parametrize(
    ("frequency_hz", "rate", "band_hz", "loss_db"),
    [
        (440.0, 48_000, None, 0),
        (440.0, 48_000, 3_600.0, 0),
        (440.0, 22_050, None, 0),
        (6_900.0, 16_000, 7_200.0, 0),
        (880.0, 16_000, 1_000.0, 0),
        (11_000.0, 22_050, None, 0),
    ],
)
def test_sound_within_the_band_loses_nothing(
    tmp_path: Path, frequency_hz: float, rate: int, band_hz: float | None, loss_db: int
) -> None:
    found = only(scanned(tmp_path, rate, a=tone(frequency_hz, rate)))
    assert len(found.band_db) == 44
    assert band_loss_db(found, band_hz) == loss_db
    assert as_heard(found, band_hz) is found and out_of_band(found, band_hz) is None


@pytest.mark.parametrize(
    ("frequency_hz", "rate", "band_hz"),
    [(18_000.0, 48_000, None), (15_000.0, 44_100, None), (9_000.0, 44_100, 7_200.0)],
)
def test_sound_above_the_band_is_a_reject_as_music_and_as_noise(
    tmp_path: Path, frequency_hz: float, rate: int, band_hz: float | None
) -> None:
    low, high = tone(440.0, rate), tone(frequency_hz, rate)
    music = scanned(tmp_path / "music", rate, low=low, high=high)
    noise = scanned(tmp_path / "noise", rate, low=low / 2, high=high / 2)
    plan = planned(music, noise, band_hz)
    assert [(row.music.path, row.noises[0].path) for row in plan.rows] == [("low.wav", "low.wav")]
    assert [(reject.path, reject.reason) for reject in plan.rejects] == [
        ("high.wav", "out-of-band"),
        ("high.wav", "out-of-band"),
    ]
    kept = "11025" if band_hz is None else "7200"
    detail = f"high.wav: expected a frame above -60 dBFS below {kept} Hz, where the set ends, got -"
    assert plan.rejects[0].detail.startswith(detail)
    assert built(plan, music, noise, tmp_path / "set") == 1


def test_music_of_which_little_is_left_is_planned_by_that_level(tmp_path: Path) -> None:
    """An 18 kHz tone at -10 dBFS over one of 440 Hz that alone is heard."""
    rate, high = 48_000, tone(18_000.0, 48_000, rms=0.3)
    found = only(scanned(tmp_path / "a", rate, a=high + tone(440.0, rate, rms=0.01)))
    assert band_loss_db(found, None) == 30
    assert set(levels_db(as_heard(found, None).rms_db)) == {-40}
    assert out_of_band(found, None) is None
    faint = only(scanned(tmp_path / "b", rate, b=high + tone(440.0, rate, rms=1.1e-4)))
    reject = out_of_band(faint, None)
    assert reject is not None and reject.reason == "out-of-band"
    assert "got -79 dBFS" in reject.detail


def test_broadband_noise_is_planned_as_it_was(tmp_path: Path) -> None:
    hiss = 0.1 * generator("hiss").standard_normal(44_100)
    found = only(scanned(tmp_path, 44_100, a=hiss))
    assert band_loss_db(found, 7_200.0) == 5
    assert as_heard(found, 7_200.0, 10) is found
    assert out_of_band(clip(), None) is None  # a clip of which no band was measured


def test_a_span_without_sound_in_the_band_is_named_while_rendering(tmp_path: Path) -> None:
    """The clip as a whole is heard; the plan cannot see that this span is not."""
    rate = 48_000
    high, low = tone(18_000.0, rate, 5.0), tone(440.0, rate, 5.0)
    music = scanned(tmp_path / "music", rate, m=np.concatenate([high, low]))
    noise = scanned(tmp_path / "noise", rate, n=tone(300.0, rate))
    plan = plan_set(replace(CONFIG, excerpt_s="3"), [music], [noise], NO_TAGS, band_hz=None)
    row = replace(plan.rows[0], music=replace(plan.rows[0].music, start_s=1.0))
    with pytest.raises(ManifestError) as caught:
        built(replace(plan, rows=(row,)), music, noise, tmp_path / "set")
    assert "m.wav: expected sound below 11025 Hz in the span from 1 s, got -" in str(caught.value)
    assert str(caught.value).endswith("or change --band-limit or --seed")


def test_noises_that_cancel_out_are_named(tmp_path: Path) -> None:
    rate = 22_050
    hiss = 0.1 * generator("hiss").standard_normal(4 * rate)
    music = scanned(tmp_path / "music", rate, m=tone(440.0, rate))
    noise = scanned(tmp_path / "noise", rate, up=hiss, down=-hiss)
    plan = planned(music, noise, noises=2)
    with pytest.raises(ManifestError) as caught:
        built(plan, music, noise, tmp_path / "set")
    first, second = (span.path for span in plan.rows[0].noises)
    assert f"{first} and {second}: expected noises whose sum is heard, got " in str(caught.value)
    assert str(caught.value).endswith("take one of them out of the corpus or change --seed")
