"""The bound on levels that decides ``too-quiet`` is conservative: what is planned is audible."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from plain_reader import level_dbfs, snr_db
from tiny_clips import NO_TAGS, clip
from tiny_corpora import chord, generator, write_audio

from manifests.member_audio import decode_pcm
from manifests.signal import QUIETEST_DBFS
from pipeline.choose import NoisePool, draw_excerpts, lowest_levels_db
from pipeline.config import SetConfig
from pipeline.render import RenderOptions, render
from pipeline.stages.plan import plan_set
from pipeline.stages.scan import Scan, scan

RATE = 22_050
SNRS_DB = (20.0, 0.0, -18.0)


def odd_signal(kind: int, seconds: float, rng: np.random.Generator) -> np.ndarray:
    """Return sounds of very different crest factor, level, offset and spread over time."""
    n = round(seconds * RATE)
    t = np.arange(n) / RATE
    sounds = (
        rng.standard_normal(n),
        np.sin(2 * np.pi * 300 * t),
        rng.standard_normal(n) * (rng.random(n) < 0.0005),
        np.sign(np.sin(2 * np.pi * 90 * t)),
        rng.standard_normal(n) * np.exp(-6.0 * t),
        rng.standard_normal(n) * (t > 0.8 * seconds),
        rng.standard_normal(n) + 4.0,
        chord(rng, seconds, RATE),
    )
    sound = sounds[kind]
    return sound / np.max(np.abs(sound)) * 10.0 ** (rng.uniform(-45.0, 0.0) / 20.0)


def scanned(root: Path, first: int) -> Scan:
    for number in range(16):
        rng = generator("odd", first, number)
        seconds = rng.uniform(2.8, 6.0)
        samples = odd_signal(number % 8, seconds, rng)
        write_audio(root / f"{number:02d}.wav", samples, RATE, "FLOAT")
    return scan("folder", str(root))


@pytest.mark.parametrize("k", [1, 2, 4])
def test_every_planned_example_ends_above_minus_70_dbfs(tmp_path: Path, k: int) -> None:
    music, noise = scanned(tmp_path / "music", 0), scanned(tmp_path / "noise", 100)
    config = SetConfig(
        music=("folder",), noise=("folder",), noises=k, snrs_db=SNRS_DB, halves="none", seed=k
    )
    plan = plan_set(config, [music], [noise], NO_TAGS, band_hz=None)
    roots = {"music": {"folder": music.root}, "noise": {"folder": noise.root}}
    options = RenderOptions(SNRS_DB, "wav", config.read_options(None))
    assert len(plan.rows) > 2
    assert {reject.reason for reject in plan.rejects} >= {"too-quiet"}
    for row in plan.rows:
        files = render(row, roots, options).files
        pcm = {name: decode_pcm(d, name)[0] for name, d in files.items() if name != "json"}
        clean = pcm.pop("clean.wav")
        assert level_dbfs(clean) > QUIETEST_DBFS
        for (name, noisy), target_db in zip(pcm.items(), SNRS_DB, strict=True):
            assert level_dbfs(noisy.astype(int) - clean) > QUIETEST_DBFS, (row.key, name)
            assert snr_db(clean, noisy) == pytest.approx(target_db, abs=0.05)


def test_the_bound_is_not_absurdly_low(tmp_path: Path) -> None:
    """White noise under white noise: the bound lies within 12 dB of what is rendered."""
    for folder in ("music", "noise"):
        sound = generator(folder).standard_normal(4 * RATE) * 0.1
        write_audio(tmp_path / folder / "a.wav", sound, RATE)
    music, noise = scan("folder", str(tmp_path / "music")), scan("folder", str(tmp_path / "noise"))
    config = SetConfig(music=("folder",), noise=("folder",), snrs_db=(0.0,), halves="none")
    pool = NoisePool(noise.clips, config)
    (excerpt,) = draw_excerpts(music.clips[0], config)
    bound_db = lowest_levels_db(excerpt, pool.draw(excerpt.key, excerpt.span.n_samples), (0.0,))
    (row,) = plan_set(config, [music], [noise], NO_TAGS, band_hz=None).rows
    roots = {"music": {"folder": music.root}, "noise": {"folder": noise.root}}
    files = render(row, roots, RenderOptions((0.0,), "wav", config.read_options(None))).files
    clean = decode_pcm(files["clean.wav"], "clean")[0]
    assert level_dbfs(clean) - 12.0 < bound_db[0] <= level_dbfs(clean)


def test_levels_without_noise_are_the_clips_own() -> None:
    (excerpt,) = draw_excerpts(clip(level_db=-30), SetConfig())
    assert lowest_levels_db(excerpt, (), (0.0,)) == pytest.approx((-31.0, -31.0), abs=0.01)
