"""Audio of a wider band than the training set's: limited wherever a tagger hears it."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from tiny_sets import TAGS, canonical, music_and_noise, write_set
from tiny_suite import SAMPLES, SET, run_well

from manifests import store
from manifests.canonical import pretty_json
from manifests.errors import ManifestError
from manifests.keys import AUDIO
from manifests.reading import limit_band
from manifests.rows import CHUNK_SAMPLES, SAMPLE_RATE, SOURCE, TARGET
from manifests.shardset import INDEX, ShardSet, load_set
from manifests.signal import from_pcm, to_pcm
from trainer.adabn import average_from_here
from trainer.audio_files import file_chunks, predict_chunks
from trainer.compute import Compute
from trainer.config import ModelConfig, StudentConfig, SystemConfig, TagConfig, TrainConfig
from trainer.data import Loader, LoaderConfig, Part, SnrRange, clip_refs, iter_clips, make_part
from trainer.data.crops import whole_pcm
from trainer.data.index import load_refs
from trainer.data.members import ShardReader
from trainer.data.reading import LABELLED_CLEAN, UNLABELLED_NOISY, UNLABELLED_RECORDING
from trainer.evaluation.score_file import load_score_file
from trainer.perturb.names import parse_perturbations
from trainer.roles import Roles
from trainer.runs.checkpoint import TrainingState, save_checkpoint
from trainer.runs.distributed import World
from trainer.stage3_dat import dat_parts
from trainer.student_audio import Answers, StudentAudio, student_loaders, student_parts
from trainer.tagger import Tagger, load_tagger
from trainer.teacher import Teacher
from trainer.teacher_cache import cached_predictions

BAND_HZ = 7_200.0
CHUNK = 1_200
CPU = Compute(torch.device("cpu"), World(), SystemConfig(workers=0, compile="off"))
PLAIN = StudentConfig(student_hears="noisy")
"""The student without the augmentation, which may put something above the band."""


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> ShardSet:
    """Recordings of the full band."""
    folder = tmp_path_factory.mktemp("wide")
    return write_set(
        str(folder), n_songs=4, snrs_db=(), halves=False, name="real", n_samples=SAMPLES
    )


@pytest.fixture(scope="module")
def noisy(tmp_path_factory: pytest.TempPathFactory) -> ShardSet:
    return write_set(str(tmp_path_factory.mktemp("noisy")), n_songs=4)


def members(shard_set: ShardSet) -> dict[tuple[str, str], np.ndarray]:
    """Every stored member, (n_samples,), float64, by key and name."""
    found = {}
    with ShardReader() as reader:
        for ref in load_refs(shard_set):
            names = tuple(member.name for member in ref.members)
            for name, data in reader.read([(ref, names)])[0].items():
                found[ref.key, name] = from_pcm(whole_pcm(ref, name, data))
    return found


def above_band(audio: torch.Tensor) -> float:
    """The share of the power above the band."""
    spectrum = torch.fft.rfft(audio.double() * torch.hann_window(audio.shape[-1])).abs().square()
    edge = round(BAND_HZ * audio.shape[-1] / SAMPLE_RATE) + 2
    return float(spectrum[..., edge:].sum() / spectrum.sum())


# ---- what is decoded ---------------------------------------------------------------------


@pytest.mark.parametrize("n_workers", [0, 2])
def test_clips_are_limited_whole_and_then_cut(noisy: ShardSet, n_workers: int) -> None:
    refs, whole = clip_refs(noisy, ["clean", "noisy.snr_0"], chunk_samples=CHUNK), members(noisy)
    shared = {"chunk_samples": CHUNK, "n_workers": n_workers}
    for clip in iter_clips(refs, **shared, band_hz=BAND_HZ):  # type: ignore[arg-type]
        for name, chunks in clip.chunks.items():
            expected = limit_band(whole[clip.ref.key, name], BAND_HZ)[: chunks.numel()]
            np.testing.assert_array_equal(chunks.flatten(), expected.astype(np.float32))


def test_clips_of_the_same_band_or_a_narrower_one_keep_their_bits(noisy: ShardSet) -> None:
    for own_hz in (BAND_HZ, 4_000.0):
        refs = [
            replace(ref, band_hz=own_hz) for ref in clip_refs(noisy, ["clean"], chunk_samples=CHUNK)
        ]
        pairs = zip(
            iter_clips(refs, chunk_samples=CHUNK),
            iter_clips(refs, chunk_samples=CHUNK, band_hz=BAND_HZ),
            strict=True,
        )
        assert all(torch.equal(a.chunks["clean"], b.chunks["clean"]) for a, b in pairs)


def test_perturbed_clips_stay_in_the_band_too(noisy: ShardSet) -> None:
    (ref,) = clip_refs(noisy, ["clean"], chunk_samples=CHUNK)[:1]
    hiss = parse_perturbations(["white-noise:0.4"])
    shares = [
        above_band(clip.chunks["white-noise:0.4"])
        for band_hz in (None, BAND_HZ)
        for clip in iter_clips([ref], chunk_samples=CHUNK, perturbations=hiss, band_hz=band_hz)
    ]
    assert shares[0] > 0.05 and shares[1] < 1e-6


def limited(part: Part, **options: object) -> Loader:
    config = LoaderConfig(batch_size=2, crop_samples=1_500, seed=4, **options)  # type: ignore[arg-type]
    return Loader([part], config)


def test_crops_are_those_of_the_whole_limited_member(noisy: ShardSet, wide: ShardSet) -> None:
    """Also where the crop begins or ends with the member: no crop has edges of its own."""
    for shard_set, reading in ((noisy, LABELLED_CLEAN), (wide, UNLABELLED_RECORDING)):
        kept = {key: a for (key, name), a in members(shard_set).items() if name in ("clean", AUDIO)}
        whole = {key: limit_band(audio, BAND_HZ) for key, audio in kept.items()}
        part = make_part(shard_set, reading, band_hz=BAND_HZ)
        for batch in limited(part).batches(0, 4):
            for key, crop in zip(batch.keys, batch.audio[:, 0].numpy(), strict=True):
                places = np.lib.stride_tricks.sliding_window_view(whole[key], len(crop))
                assert np.abs(places - crop).max(axis=1).min() < 1e-7, key


@pytest.mark.parametrize("over", ["clip", "crop"])
def test_mixes_are_made_in_the_band(noisy: ShardSet, over: str) -> None:
    part = make_part(noisy, UNLABELLED_NOISY, domain="target", band_hz=BAND_HZ)
    (batch,) = limited(part, snr_over=over).batches(0, 1, snr=SnrRange(-7, -7))
    assert above_band(batch.audio) < 1e-6


def test_only_a_limit_that_takes_something_away_makes_another_loader(noisy: ShardSet) -> None:
    """So runs of sets of one band go on as they began, and others are not mixed of two ways."""
    part = make_part(noisy, LABELLED_CLEAN, domain="source")
    refs = tuple(replace(ref, band_hz=BAND_HZ) for ref in part.refs)
    plain, same = (replace(part, refs=refs, band_hz=hz) for hz in (None, BAND_HZ))
    narrow = replace(same, band_hz=5_000.0)
    prints = [limited(one).fingerprint for one in (part, plain, same, narrow)]
    assert prints[0] == prints[1] == prints[2] != prints[3]
    assert [one.heard_hz for one in (part, plain, same, narrow)] == [
        None,
        BAND_HZ,
        BAND_HZ,
        5_000.0,
    ]


# ---- evaluation --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def narrow_run(dat_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a training set below 7,200 Hz, whose tagger hears differences."""
    folder = tmp_path_factory.mktemp("narrow") / "narrow"
    shutil.copytree(dat_run, folder)
    tagger = load_tagger(dat_run)
    average_from_here(tagger.encoder, forget=True)
    heard = [np.float32(sum(music_and_noise(CHUNK_SAMPLES, n))) for n in range(8)]
    with torch.no_grad():
        tagger.encoder.train()(tagger.prepare(torch.from_numpy(np.stack(heard)[:, None])))
        tagger.predictor.layers[2].weight.mul_(10.0)
    state = TrainingState({"encoder": tagger.encoder, "predictor": tagger.predictor})
    save_checkpoint(folder / "checkpoints/best", state, {**tagger.card, "band_hz": BAND_HZ})
    return folder


def probabilities(tagger: Tagger, signal: np.ndarray, path: Path) -> np.ndarray:
    """What ``train tag`` says of a signal as a file."""
    soundfile.write(path, to_pcm(signal), SAMPLE_RATE)
    predict = tagger.predict(torch.device("cpu"))
    (chunks,) = file_chunks(str(path), tagger)
    return predict_chunks(predict, chunks)[0].mean(axis=0)


def test_evaluate_says_of_a_clip_what_tag_says_of_its_file(
    wide: ShardSet, narrow_run: Path, tmp_path: Path
) -> None:
    run_well(
        "evaluate", "--checkpoint", narrow_run, "--shards", wide.url, "--out", tmp_path / "out"
    )
    file, table = load_score_file(str(tmp_path / "out/real.scores"))
    tagger, whole = load_tagger(narrow_run), members(wide)
    told = replace(tagger, band_hz=None)
    apart = 0.0
    for key, scores in zip(table.keys, table.scores[AUDIO], strict=True):
        signal = whole[key, AUDIO]
        np.testing.assert_allclose(
            scores, probabilities(tagger, signal, tmp_path / "a.flac"), atol=1e-5
        )
        other = probabilities(told, signal, tmp_path / "b.flac")
        apart = max(apart, float(np.abs(scores - other).max()))
    assert apart > 0.05, "the band above would have counted"
    assert file.metric.clip_score.endswith("tail dropped, of audio limited to 7200 Hz")


def test_the_table_says_who_heard_less(wide: ShardSet, narrow_run: Path, tmp_path: Path) -> None:
    """A full-band tagger and a limited one are compared: what each is given belongs to it."""
    full = tmp_path / "full"
    shutil.copytree(narrow_run, full)
    tagger = load_tagger(full)
    state = TrainingState({"encoder": tagger.encoder, "predictor": tagger.predictor})
    save_checkpoint(full / "checkpoints/best", state, {**tagger.card, "band_hz": None, "seed": 9})
    scores = []
    for one in (narrow_run, full):
        run_well(
            "evaluate", "--checkpoint", one, "--shards", wide.url, "--out", tmp_path / one.name
        )
        scores.append(tmp_path / one.name / "real.scores")
    assert load_score_file(str(scores[1]))[0].metric.clip_score.endswith("tail dropped")
    alone = run_well("compare", scores[0], "--out", tmp_path / "table").output
    assert "real: heard up to 7200 Hz, the band of the training sets\n" in alone
    both = run_well("compare", *scores, "--out", tmp_path / "table").output
    assert "Hz, the band of its training set, in 1 of 2 seeds; evaluate the others again" in both


# ---- training ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def roles(tmp_path_factory: pytest.TempPathFactory, wide: ShardSet) -> Roles:
    """A training set below 7,200 Hz, and wider ones to hear besides."""
    folder = tmp_path_factory.mktemp("roles")
    write_set(str(folder / "train"), **SET, n_songs=8, band_hz=BAND_HZ, name="train")
    write_set(str(folder / "extra"), **SET, n_songs=4, name="extra", halves=False)
    urls = {"train": str(folder / "train"), "extra-target": str(folder / "extra")}
    return Roles({**urls, "unlabelled": wide.url})


def test_extra_targets_of_dat_are_limited(roles: Roles) -> None:
    for given in ("extra-target", "unlabelled"):  # with noise, and recordings
        sets = Roles({**roles.urls, "extra-target": roles.urls[given]})
        own, extra = dat_parts(sets, TrainConfig(method="dat", extra_target=True))[TARGET]
        assert (own.is_limited, extra.is_limited, extra.heard_hz) == (False, True, BAND_HZ)
        (batch,) = limited(extra).batches(0, 1)
        assert above_band(batch.audio) < 1e-6


def student(roles: Roles, *, cache: bool) -> tuple[TrainConfig, Part]:
    config = TrainConfig(
        method="noisy-student", model=ModelConfig(width=0.03), tagger=TagConfig(batch_size=2),
        student=StudentConfig(teacher_cache=cache),
    )  # fmt: skip
    return config, student_parts(roles, config)[TARGET]


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> list[torch.Tensor]:
    """What teachers hear."""
    found: list[torch.Tensor] = []
    real = Teacher.__call__
    monkeypatch.setattr(Teacher, "__call__", lambda t, audio: real(t, found.append(audio) or audio))
    return found


@pytest.mark.parametrize("teacher_hz", [None, BAND_HZ, 4_000.0])
@pytest.mark.parametrize("cache", [False, True])
def test_teacher_and_student_hear_a_wider_set_in_the_band_of_the_labels(
    roles: Roles, narrow_run: Path, heard: list[torch.Tensor], tmp_path: Path, cache: bool,
    teacher_hz: float | None,
) -> None:  # fmt: skip
    """A teacher of a narrower band hears that one; a wider one has no more to hear."""
    config, part = student(roles, cache=cache)
    teacher = Teacher(replace(load_tagger(narrow_run), band_hz=teacher_hz), TAGS, CPU)
    predictions = cached_predictions(teacher, part, tmp_path, CPU) if cache else None
    loader = student_loaders({TARGET: part, SOURCE: part}, config, config.model, CPU)[TARGET]
    (batch,) = loader.batches(0, 1)
    answers = Answers(teacher, predictions, part, loader, config, CPU.device)(batch)
    assert answers.shape == (2, len(TAGS))
    of_student = StudentAudio(replace(config, student=PLAIN), 1, CPU).unlabelled(batch)
    assert above_band(of_student) < 1e-6
    assert max(above_band(audio) for audio in heard) < 1e-6
    spectrum = torch.fft.rfft(torch.cat(heard).double() * torch.hann_window(CHUNK_SAMPLES)).abs()
    at = [round(hz * CHUNK_SAMPLES / SAMPLE_RATE) for hz in (4_100, 6_500)]
    between = spectrum[..., at[0] : at[1]].square().sum() / spectrum.square().sum()
    assert (float(between) < 1e-6) == (teacher_hz == 4_000.0)


def test_kept_answers_tell_bands_apart(roles: Roles, narrow_run: Path, tmp_path: Path) -> None:
    _, part = student(roles, cache=True)
    tagger = load_tagger(narrow_run)
    for band_hz in (BAND_HZ, None, 4_000.0):
        cached_predictions(
            Teacher(replace(tagger, band_hz=band_hz), TAGS, CPU), part, tmp_path, CPU
        )
    assert len(list(tmp_path.glob("teacher-*"))) == 2, "two of them hear the same"


def test_a_band_that_no_set_can_have_is_named(noisy: ShardSet, tmp_path: Path) -> None:
    assert Roles({"train": noisy.url}).band_hz() is None
    for found in ("7200", -1.0, 500.0, 12_000.0, True):
        index = replace(noisy.index, config={"band_hz": found})
        store.write_text(store.join(str(tmp_path), INDEX), pretty_json(canonical(index)))
        roles = Roles({"train": str(tmp_path)})
        with pytest.raises(
            ManifestError, match=r"tiny: expected a band_hz of 500 to 11025 Hz or no"
        ):
            roles.band_hz()
    assert load_set(noisy.url).index.tags == TAGS
