"""Training hears sets of a wider band than that of the labels in the labels' band."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny_bands import BAND_HZ, above_band, limited
from tiny_sets import TAGS, write_set
from tiny_suite import SET

from manifests.rows import CHUNK_SAMPLES, SAMPLE_RATE, SOURCE, TARGET
from manifests.shardset import ShardSet
from trainer.compute import Compute
from trainer.config import ModelConfig, StudentConfig, SystemConfig, TagConfig, TrainConfig
from trainer.data import Part
from trainer.roles import Roles
from trainer.runs.distributed import World
from trainer.stage3_dat import dat_parts
from trainer.student_audio import Answers, StudentAudio, student_loaders, student_parts
from trainer.tagger import load_tagger
from trainer.teacher import Teacher
from trainer.teacher_cache import cached_predictions

CPU = Compute(torch.device("cpu"), World(), SystemConfig(workers=0, compile="off"))
PLAIN = StudentConfig(student_hears="noisy")
"""The student without the augmentation, which may put something above the band."""


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
