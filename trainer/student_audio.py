"""What a noisy student reads and hears, and what its teacher answers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from manifests.errors import UsageError
from manifests.rows import SAMPLE_RATE, SOURCE, TARGET
from trainer.augment import STRONG, AugmentationChain
from trainer.compute import Compute, prepared
from trainer.config import ModelConfig, StudentConfig, TeacherConfig, TrainConfig
from trainer.data import Batch, Loader, Part, Reading, make_part
from trainer.data.draws import draw_example
from trainer.data.reading import (
    LABELLED_CLEAN,
    STUDENT_LABELLED,
    STUDENT_NOISY,
    UNLABELLED_CLEAN,
    UNLABELLED_NOISY,
    UNLABELLED_PAIR,
    UNLABELLED_RECORDING,
)
from trainer.level import band_limit, narrower_hz
from trainer.loaders import check_lengths, open_loader
from trainer.models.registry import chunk_samples
from trainer.roles import UNLABELLED, Roles
from trainer.runs.seeding import step_generator
from trainer.snr_schedule import heard_as
from trainer.teacher import Teacher, centred, teacher_config
from trainer.teacher_cache import Predictions


def student_config(config: TrainConfig, roles: Roles, teacher: Path | None) -> TrainConfig:
    """Return the config with what the first teacher and the unlabelled set are.

    Args:
        config: from preset and options.
        roles: sets by role.
        teacher: the teacher's run; None where a baseline is to be trained.

    Raises:
        UsageError: no such teacher, an unfinished one, or one of other tags.
        ManifestError: the teacher's checkpoint or a set is damaged.
    """
    found = TeacherConfig("baseline", config.model)
    if teacher is not None:
        found = teacher_config(teacher, roles.open("train").index.tags)
    unlabelled = ""
    if UNLABELLED in roles:
        index = roles.open(UNLABELLED).index
        unlabelled = f"{index.name} {index.plan_sha256[:12]}"
    return replace(config, teacher=found, unlabelled=unlabelled)


def student_parts(roles: Roles, config: TrainConfig) -> dict[str, Part]:
    """Return what is read of the labelled and of the unlabelled examples.

    Raises:
        UsageError: no unlabelled examples, or a set that the options do not fit.
        ManifestError: a set is damaged.
    """
    train = roles.open("train")
    labelled = make_part(train, labelled_reading(config.student), domain=SOURCE)
    given = UNLABELLED in roles
    unlabelled = roles.open(UNLABELLED) if given else train
    index = unlabelled.index
    if not any(shard.n_examples for shard in index.shards):
        raise UsageError(
            f"{index.name}: expected unlabelled examples, got a set without any; name another "
            "--unlabelled-shards"
        )
    reading = unlabelled_reading(config, index.snrs_db, index.name)
    if not given:
        return {SOURCE: labelled, TARGET: make_part(unlabelled, reading, domain=TARGET)}
    # of a wider set teacher and student hear the band of the labelled examples
    name, band_hz = f"{index.name}/unlabelled", roles.band_hz()
    return {SOURCE: labelled, TARGET: make_part(unlabelled, reading, name=name, band_hz=band_hz)}


def labelled_reading(student: StudentConfig) -> Reading:
    """Return what is read of labelled examples."""
    noisy = student.labelled_hears == "student" and student.student_hears != "augmented"
    return STUDENT_LABELLED if noisy else LABELLED_CLEAN


def unlabelled_reading(config: TrainConfig, snrs_db: tuple[float, ...], name: str) -> Reading:
    """Return what is read of unlabelled examples: tags never.

    The first view is the teacher's, the last one the student's; they may be the same.

    Raises:
        UsageError: the student would hear what the teacher hears, or the options do not fit
            together otherwise.
    """
    student = config.student
    if not snrs_db:
        if student.student_hears == "noisy":
            raise UsageError(
                f"--student-hears noisy: expected a set with noise, got the recordings of {name}, "
                "whose student would hear what the teacher hears; use both or augmented"
            )
        return UNLABELLED_RECORDING
    _check_hearing(student)
    if student.teacher_hears == "noisy":
        return heard_as(UNLABELLED_NOISY, config.snr, snrs_db)
    if student.student_hears == "augmented":
        return UNLABELLED_CLEAN
    return STUDENT_NOISY if student.teacher_cache else UNLABELLED_PAIR


def _check_hearing(student: StudentConfig) -> None:
    """Check that student and teacher hear what examples with noise can give them."""
    if student.teacher_hears == "noisy" and student.student_hears != "both":
        raise UsageError(
            f"--student-hears {student.student_hears}: expected both with --teacher-hears noisy, "
            "which opens no clean member; the student would hear what the teacher hears, or "
            "clean audio"
        )
    if student.teacher_cache and student.teacher_hears == "noisy":
        raise UsageError(
            "--teacher-cache: expected with --teacher-hears clean, got noisy: a noisy crop has "
            "another SNR in every pass, so no answer to it can be kept"
        )


def student_loaders(
    parts: dict[str, Part], config: TrainConfig, teacher: ModelConfig, compute: Compute
) -> dict[str, Loader]:
    """Return the loaders of both halves.

    Crops of unlabelled examples are as long as the longer of the two inputs: the student hears the
    middle of them, the teacher all of its chunks that fit around it. With cached predictions they
    are the student's.

    Raises:
        UsageError: too few examples for a batch.
        ManifestError: examples shorter than one of the inputs.
    """
    longest = max((config.model, teacher), key=chunk_samples)
    if config.student.teacher_cache:
        check_lengths([parts[TARGET]], chunk_samples(teacher))
        longest = config.model
    size = config.tagger.batch_size
    return {
        SOURCE: open_loader([parts[SOURCE]], size, config, compute),
        TARGET: open_loader([parts[TARGET]], size, replace(config, model=longest), compute),
    }


class StudentAudio:
    """What the student hears of a batch: noisy as it was read, augmented, then levelled.

    Draws come from a generator per batch, so a resumed round hears the same.

    Args:
        config: the run's config.
        round_number: from 1; every round draws anew.
        compute: rank and device.
    """

    def __init__(self, config: TrainConfig, round_number: int, compute: Compute) -> None:
        self._prepare, self._n_samples = prepared(config.model), chunk_samples(config.model)
        self._chain = AugmentationChain(STRONG) if config.student.augments else None
        self._plain_labelled = config.student.labelled_hears == "clean"
        self._seed, self._round, self._compute = config.seed, round_number, compute

    def labelled(self, batch: Batch) -> torch.Tensor:
        """Return labelled audio, (B, 1, T), on the device."""
        chain = None if self._plain_labelled else self._chain
        return self._heard(batch, SOURCE, chain)

    def unlabelled(self, batch: Batch) -> torch.Tensor:
        """Return unlabelled audio, (B, 1, T), on the device."""
        return self._heard(batch, TARGET, self._chain)

    def _heard(self, batch: Batch, half: str, chain: AugmentationChain | None) -> torch.Tensor:
        audio = centred(batch.views[-1].audio.to(self._compute.device), self._n_samples)
        if chain is not None:
            rank = self._compute.world.rank
            purpose = f"student {half} {self._round}"
            audio = chain(audio, step_generator(self._seed, purpose, batch.number, rank=rank))
        return self._prepare(audio)


class Answers:
    """The teacher's probabilities of a batch of unlabelled crops.

    Args:
        teacher: the teacher.
        predictions: its predictions of whole chunks, where they were made before.
        part: the unlabelled examples.
        loader: the loader of the batches.
        config: the run's config.
        device: where the answers go.
    """

    def __init__(
        self,
        teacher: Teacher,
        predictions: Predictions | None,
        part: Part,
        loader: Loader,
        config: TrainConfig,
        device: torch.device,
    ) -> None:
        self._teacher, self._predictions, self._part = teacher, predictions, part
        self._refs = {ref.key: ref for ref in part.refs}
        # a teacher may have learned in a narrower band than its student does
        self._limit_hz = narrower_hz(teacher.tagger.band_hz, part.heard_hz)
        self._loader, self._config, self._device = loader, config, device

    def __call__(self, batch: Batch) -> torch.Tensor:
        """Return (B, n_tags), on the device."""
        if self._predictions is None:
            audio = batch.views[0].audio.to(self._device)
            if self._limit_hz is not None:
                audio = band_limit(audio, self._limit_hz, SAMPLE_RATE)
            return self._teacher(audio)
        length = self._loader.config.crop_samples
        found = self._predictions.of_crops(batch.keys, self._starts(batch), length)
        return found.to(self._device)

    def _starts(self, batch: Batch) -> list[int]:
        """Return where the crops of a batch begin: a pure function of seed, pass and key."""
        return [
            draw_example(
                self._part,
                self._refs[key],
                seed=self._config.seed,
                pass_number=batch.step // self._loader.steps_per_epoch,
                crop_samples=self._loader.config.crop_samples,
                snr_values=(),
                snr_over=self._config.snr.over,
            ).starts[-1]
            for key in batch.keys
        ]
