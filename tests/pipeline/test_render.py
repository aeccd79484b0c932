"""Rendering one example: gains, ladder, loops, rounding, sources that changed."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray
from plain_reader import level_dbfs, snr_db
from tiny_corpora import Corpora, MakePlan, Roots, burst, chord, generator, write_audio

from manifests import signal
from manifests.audio import AudioError
from manifests.errors import ManifestError
from manifests.member_audio import decode_pcm
from manifests.rows import CHUNK_SAMPLES, PlanRow
from pipeline.planned import Plan
from pipeline.render import Rendered, RenderOptions, checked_source, render

RATE = 22_050


def options_of(plan: Plan) -> RenderOptions:
    return RenderOptions(
        plan.config.snrs_db, plan.config.codec, plan.config.read_options(plan.band_hz)
    )


def decoded(rendered: Rendered) -> dict[str, NDArray[np.int16]]:
    return {
        name.rsplit(".", 1)[0]: decode_pcm(data, name)[0]
        for name, data in rendered.files.items()
        if name != "json"
    }


@pytest.fixture
def own(tmp_path: Path) -> Corpora:
    """One music clip and four noises at 22,050 Hz, so that nothing is resampled."""
    write_audio(tmp_path / "music/m.wav", chord(generator("m"), 3.5, RATE), RATE)
    for number, seconds in enumerate((5.0, 0.4, 3.5, 2.0)):
        sound = burst(generator("n", number), seconds, RATE)
        write_audio(tmp_path / f"noise/n{number}.wav", sound, RATE)
    return Corpora(tmp_path / "music", tmp_path / "noise", tmp_path / "none")


def planned(own: Corpora, make_plan: MakePlan, **fields: object) -> tuple[Plan, PlanRow, Roots]:
    fields = {"band_limit": "off", "halves": "none", **fields}
    plan = make_plan(own.music, own.noise, **fields)
    roots = {"music": {"folder": str(own.music)}, "noise": {"folder": str(own.noise)}}
    return plan, plan.rows[0], roots


def test_a_mix_written_out_by_hand(own: Corpora, make_plan: MakePlan) -> None:
    """The whole signal path for k = 2 in plain numpy: read, mean, loop, sum, gains, round."""
    plan, row, roots = planned(own, make_plan, noises=2, snrs_db=(6.0, -6.0))
    rendered = render(row, roots, options_of(plan))
    music = soundfile.read(own.music / "m.wav")[0]
    music = music - music.mean()
    total = np.zeros(music.size)
    for noise in row.noises:
        clip = soundfile.read(own.noise / noise.path)[0]
        if noise.looped:
            part = signal.loop_to_length(clip - clip.mean(), music.size, RATE)
        else:
            start = round(noise.start_s * RATE)
            part = clip[start : start + music.size]
        part = part - part.mean()
        total += part * 10 ** (round(-10 * np.log10(np.mean(part**2)), 4) / 20)
    ratio_db = 10 * np.log10(np.mean(music**2) / np.mean(total**2))
    mixes = [music + 10 ** (round(ratio_db - s, 4) / 20) * total for s in (6.0, -6.0)]
    peak = max(np.abs(m).max() for m in (music, *mixes))
    gain_db = min(0.0, np.floor(20 * np.log10(32766 / 32768 / peak) * 1e4) / 1e4)
    assert rendered.example.gain_db == pytest.approx(gain_db, abs=1e-9)
    pcm = decoded(rendered)
    for version, name in zip(
        (music, *mixes), ("clean", "noisy.snr_6", "noisy.snr_-6"), strict=True
    ):
        expected = np.rint(version * 10 ** (gain_db / 20) * 32768)
        assert np.max(np.abs(expected - pcm[name])) <= 1, name  # float sums may differ by an ulp
        assert np.mean(expected != pcm[name]) < 1e-3


def test_members_stand_in_order_and_the_sidecar_last(own: Corpora, make_plan: MakePlan) -> None:
    plan, row, roots = planned(own, make_plan, snrs_db=(-10.0, 5.0, 0.0))
    rendered = render(row, roots, options_of(plan))
    assert list(rendered.files) == [
        "clean.flac", "noisy.snr_-10.flac", "noisy.snr_5.flac", "noisy.snr_0.flac", "json"
    ]  # fmt: skip
    assert list(rendered.example.members) == [n.removesuffix(".flac") for n in rendered.files][:-1]


@pytest.mark.parametrize("k", [1, 2, 4])
def test_snr_is_over_the_sum_of_the_noises(own: Corpora, make_plan: MakePlan, k: int) -> None:
    plan, row, roots = planned(own, make_plan, noises=k)
    pcm = decoded(render(row, roots, options_of(plan)))
    for target_db in plan.config.snrs_db:
        noisy = pcm[f"noisy.snr_{target_db:g}"]
        assert snr_db(pcm["clean"], noisy) == pytest.approx(target_db, abs=0.05)


def test_the_ladder_is_one_noise_at_several_levels(own: Corpora, make_plan: MakePlan) -> None:
    plan, row, roots = planned(own, make_plan, noises=4)
    pcm = {
        name: p.astype(np.float64)
        for name, p in decoded(render(row, roots, options_of(plan))).items()
    }
    lowest = pcm["noisy.snr_-10"] - pcm["clean"]
    for target_db in (10, 5, 0, -5):
        part = pcm[f"noisy.snr_{target_db}"] - pcm["clean"]
        expected = lowest * 10 ** ((-10 - target_db) / 20)
        assert np.max(np.abs(part - expected)) <= 2.0  # rounding of four members
        assert np.corrcoef(part, lowest)[0, 1] > 0.999


def test_relevel_is_within_two_lsb_of_the_stored_rungs(own: Corpora, make_plan: MakePlan) -> None:
    plan, row, roots = planned(own, make_plan, noises=2)
    pcm = decoded(render(row, roots, options_of(plan)))
    clean, lowest = (pcm[n].astype(np.float32) / 32768 for n in ("clean", "noisy.snr_-10"))
    for target_db in (10.0, 5.0, 0.0, -5.0, -10.0):
        mixed = signal.relevel(clean, lowest, -10.0, target_db)
        stored = pcm[f"noisy.snr_{target_db:g}"]
        assert np.max(np.abs(mixed * 32768 - stored)) <= 2.0


def test_nothing_clips_and_the_loudest_touches_the_limit(
    tmp_path: Path, make_plan: MakePlan
) -> None:
    """Music at full scale under noise at -10 dB needs about 11 dB less."""
    loud = chord(generator("loud"), 3.0, RATE) * 2.0
    write_audio(tmp_path / "music/m.wav", np.clip(loud, -1, 1), RATE)
    write_audio(tmp_path / "noise/n.wav", burst(generator("x"), 4.0, RATE), RATE)
    own = Corpora(tmp_path / "music", tmp_path / "noise", tmp_path)
    plan, row, roots = planned(own, make_plan)
    rendered = render(row, roots, options_of(plan))
    peaks = [np.max(np.abs(p.astype(int))) for p in decoded(rendered).values()]
    assert max(peaks) in (32765, 32766) and rendered.example.gain_db < -3.0
    assert [m.peak for m in rendered.example.members.values()] == [
        round(float(peak) / 32768, 6) for peak in peaks
    ]


def test_quiet_music_is_not_raised(own: Corpora, make_plan: MakePlan) -> None:
    write_audio(own.music / "m.wav", chord(generator("m"), 3.5, RATE) * 0.05, RATE)
    plan, row, roots = planned(own, make_plan, snrs_db=(10.0,))
    rendered = render(row, roots, options_of(plan))
    assert rendered.example.gain_db == 0.0
    source = soundfile.read(own.music / "m.wav", dtype="int16")[0].astype(int)
    offset = decoded(rendered)["clean"] - source
    assert offset.max() - offset.min() <= 1  # the mean alone is gone


def test_the_mean_is_removed_unless_it_is_asked_to_stay(own: Corpora, make_plan: MakePlan) -> None:
    sound = chord(generator("m"), 3.5, RATE)
    write_audio(own.music / "m.wav", 0.5 * sound + 0.25, RATE)
    plan, row, roots = planned(own, make_plan, snrs_db=(20.0,))
    clean = decoded(render(row, roots, options_of(plan)))["clean"].astype(float)
    assert abs(clean.mean()) < 1.0
    plan, row, roots = planned(own, make_plan, snrs_db=(20.0,), keep_dc=True)
    clean = decoded(render(row, roots, options_of(plan)))["clean"].astype(float)
    assert clean.mean() / 32768 > 0.1


def test_figures_of_the_sidecar_are_those_of_the_samples(own: Corpora, make_plan: MakePlan) -> None:
    plan, row, roots = planned(own, make_plan, noises=2)
    rendered = render(row, roots, options_of(plan))
    pcm = decoded(rendered)
    for name, member in rendered.example.members.items():
        samples = pcm[name]
        assert member.n_samples == samples.size == row.music.n_samples
        assert member.pcm_sha256 == hashlib.sha256(samples.astype("<i2").tobytes()).hexdigest()
        assert rendered.levels_db[name] == pytest.approx(level_dbfs(samples), abs=0.001)
        if name != "clean":
            assert member.achieved_db == pytest.approx(snr_db(pcm["clean"], samples), abs=0.00051)
            assert member.target_db == float(name.removeprefix("noisy.snr_"))


def test_chunk_snrs_are_those_of_each_model_input(own: Corpora, make_plan: MakePlan) -> None:
    write_audio(own.music / "m.wav", chord(generator("m"), 9.0, RATE), RATE)
    write_audio(own.noise / "n0.wav", burst(generator("n"), 12.0, RATE), RATE)
    plan, row, roots = planned(own, make_plan, snrs_db=(0.0,))
    rendered = render(row, roots, options_of(plan))
    pcm = decoded(rendered)
    figures = rendered.example.chunk_snr_db
    assert len(figures) == 9 * RATE // CHUNK_SAMPLES == 3
    for number, figure in enumerate(figures):
        piece = slice(number * CHUNK_SAMPLES, (number + 1) * CHUNK_SAMPLES)
        found = snr_db(pcm["clean"][piece], pcm["noisy.snr_0"][piece])
        assert figure == pytest.approx(found, abs=0.02)


def test_recordings_are_kept_as_they_are(own: Corpora, make_plan: MakePlan) -> None:
    plan = make_plan(own.music, recordings=True, band_limit="off")
    roots = {"music": {"folder": str(own.music)}, "noise": {}}
    options = RenderOptions((), "flac", plan.config.read_options(None))
    rendered = render(plan.rows[0], roots, options)
    assert list(rendered.files) == ["audio.flac", "json"]
    source = soundfile.read(own.music / "m.wav", dtype="int16")[0]
    offset = decoded(rendered)["audio"].astype(int) - source
    assert offset.max() - offset.min() <= 1
    example = rendered.example
    assert (example.noises, example.chunk_snr_db, example.gain_db) == ((), (), 0.0)
    assert example.members["audio"].target_db is None


def test_wav_and_flac_hold_the_same_samples(own: Corpora, make_plan: MakePlan) -> None:
    plan, row, roots = planned(own, make_plan)
    flac = render(row, roots, options_of(plan))
    wav = render(row, roots, replace(options_of(plan), codec="wav"))
    assert flac.example == wav.example
    assert all(name.endswith(".wav") for name in list(wav.files)[:-1])
    for name, samples in decoded(flac).items():
        assert np.array_equal(samples, decoded(wav)[name])


def test_rendering_twice_gives_the_same_bytes(own: Corpora, make_plan: MakePlan) -> None:
    plan, row, roots = planned(own, make_plan, noises=4)
    assert render(row, roots, options_of(plan)) == render(row, roots, options_of(plan))


def test_the_band_limit_holds_for_music_and_noise(own: Corpora, make_plan: MakePlan) -> None:
    plan, row, roots = planned(own, make_plan, band_limit="3000", snrs_db=(0.0,))
    rendered = render(row, roots, options_of(plan))
    assert rendered.example.band_hz == 3000.0
    for samples in decoded(rendered).values():
        spectrum = np.abs(np.fft.rfft(samples * np.hanning(samples.size))) ** 2
        edge = round(3200 * samples.size / RATE)
        assert spectrum[edge:].sum() < 1e-6 * spectrum.sum()


def test_a_changed_source_is_named(own: Corpora, make_plan: MakePlan) -> None:
    plan, row, roots = planned(own, make_plan)
    path = own.music / "m.wav"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(AudioError) as caught:
        render(row, roots, options_of(plan))
    assert caught.value.reason == "changed"
    found = hashlib.sha256(data).hexdigest()[:12]
    assert str(caught.value) == (
        f"m.wav: expected SHA-256 {row.music.source_sha256[:12]}…, got {found}…: the file changed "
        "since it was scanned; put the file back, or run the command again with --overwrite to "
        "scan what is there"
    )


def test_a_lost_source_is_named(own: Corpora, make_plan: MakePlan) -> None:
    plan, row, roots = planned(own, make_plan)
    (own.noise / row.noises[0].path).unlink()
    with pytest.raises(
        AudioError, match="expected the file that was scanned, found none; put the file"
    ):
        render(row, roots, options_of(plan))


def test_large_sources_are_hashed_in_blocks(
    own: Corpora, monkeypatch: pytest.MonkeyPatch, make_plan: MakePlan
) -> None:
    plan, row, roots = planned(own, make_plan)
    expected = render(row, roots, options_of(plan))
    monkeypatch.setattr("pipeline.render.IN_MEMORY_BYTES", 1000)
    url = str(own.music / "m.wav")
    assert checked_source(url, "m.wav", row.music.source_sha256) is None
    assert render(row, roots, options_of(plan)) == expected
    with pytest.raises(AudioError, match=r"m\.wav: expected SHA-256 000000000000…, got "):
        checked_source(url, "m.wav", "0" * 64)


def test_a_disk_that_fails_to_read_names_the_source(
    own: Corpora, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(file: object, name: str) -> bytes:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("pipeline.render.IN_MEMORY_BYTES", 1000)
    monkeypatch.setattr("hashlib.file_digest", fail)
    with pytest.raises(AudioError, match=r"m\.wav: cannot be read: Input/output error"):
        checked_source(str(own.music / "m.wav"), "m.wav", "0" * 64)


def test_a_noise_that_is_silent_over_its_span_is_refused(own: Corpora, make_plan: MakePlan) -> None:
    """The plan draws no such span; a row that somebody edited may hold one."""
    for path in own.noise.iterdir():
        path.unlink()
    late = np.concatenate([np.zeros(5 * RATE), burst(generator("late"), 5.0, RATE)])
    write_audio(own.noise / "late.wav", late, RATE)
    plan, row, roots = planned(own, make_plan)
    edited = replace(row, noises=(replace(row.noises[0], start_s=0.0),))
    with pytest.raises(ManifestError, match=r"^late\.wav: expected sound below 11025 Hz "):
        render(edited, roots, options_of(plan))
