"""The noisy student in parts: its losses, who reads and hears what, and the teacher's answers."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny_sets import TAGS, write_set
from torch import nn

from manifests.errors import ManifestError, UsageError
from manifests.shardset import load_set
from trainer.compute import Compute
from trainer.config import ModelConfig, StudentConfig, SystemConfig, TrainConfig
from trainer.data import iter_clips, make_part
from trainer.data.index import restrict
from trainer.data.reading import UNLABELLED_CLEAN
from trainer.models.heads import LabelPredictor
from trainer.models.registry import new_encoder
from trainer.noisy_student import noisy_student_losses
from trainer.roles import Roles, with_unlabelled
from trainer.runs.distributed import World
from trainer.student_audio import student_parts, unlabelled_reading
from trainer.tagger import Tagger
from trainer.teacher import Teacher, centred
from trainer.teacher_cache import Predictions, cached_predictions

CPU = Compute(torch.device("cpu"), World(), SystemConfig(workers=0, compile="off"))
LN3 = math.log(3.0)


# ---- losses ----------------------------------------------------------------------------


def test_losses_by_hand() -> None:
    """Logits 0 and ln 3 are probabilities 1/2 and 3/4; the teacher's are not rounded."""
    labelled = torch.tensor([[[0.0, LN3]]])
    unlabelled = torch.tensor([[[0.0, LN3]], [[LN3, 0.0]]])
    found = noisy_student_losses(
        nn.Flatten(), nn.Identity(), labelled, torch.tensor([[1.0, 0.0]]), unlabelled, 0.5,
        probabilities=torch.tensor([[0.25, 0.5], [0.75, 1.0]]),
    )  # fmt: skip
    tag = (-math.log(1 / 2) - math.log(1 / 4)) / 2
    pseudo = (
        sum(
            -q * math.log(p) - (1 - q) * math.log(1 - p)
            for q, p in ((0.25, 1 / 2), (0.5, 3 / 4), (0.75, 3 / 4), (1.0, 1 / 2))
        )
        / 4
    )
    assert float(found["tag"]) == pytest.approx(tag, rel=1e-6)
    assert float(found["pseudo"]) == pytest.approx(pseudo, rel=1e-6)
    assert float(found["loss"]) == pytest.approx(tag + 0.5 * pseudo, rel=1e-6)


def test_the_loss_is_least_where_the_student_says_what_the_teacher_says() -> None:
    answers = torch.tensor([[0.2, 0.9]])
    logits = torch.logit(answers)[None].requires_grad_()
    found = noisy_student_losses(
        nn.Flatten(), nn.Identity(), torch.zeros(1, 1, 2), torch.zeros(1, 2), logits, 1.0,
        probabilities=answers,
    )  # fmt: skip
    found["pseudo"].backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None and float(logits.grad.abs().max()) < 1e-6


# ---- what is read ------------------------------------------------------------------------

READINGS = {
    # teacher, student, cache: views, members that may be opened
    ("clean", "both", False): (["clean", "noisy"], {"clean", "noisy"}),
    ("clean", "noisy", False): (["clean", "noisy"], {"clean", "noisy"}),
    ("clean", "augmented", False): (["clean"], {"clean"}),
    ("noisy", "both", False): (["noisy"], {"noisy"}),
    ("clean", "both", True): (["noisy"], {"clean", "noisy"}),
}


@pytest.mark.parametrize("hears", READINGS)
def test_what_is_read_of_unlabelled_examples(hears: tuple[str, str, bool], suite: Path) -> None:
    student = StudentConfig(
        teacher_hears=hears[0], student_hears=hears[1], teacher_cache=hears[2]  # type: ignore[arg-type]
    )  # fmt: skip
    config = TrainConfig(method="noisy-student", student=student)
    parts = student_parts(Roles({"train": str(suite / "train")}), config)
    views, members = READINGS[hears]
    part = parts["target"]
    assert [view.value for view in part.reading.views] == views
    assert {m.name.split(".")[0] for ref in part.refs for m in ref.members} == members
    assert not part.reading.tags and not any(ref.tags for ref in part.refs)
    assert {ref.domain for ref in part.refs} == {"target"}
    assert [view.value for view in parts["source"].reading.views] == ["clean"]
    assert parts["source"].reading.tags


@pytest.mark.parametrize(
    ("student", "views"),
    [
        (StudentConfig(labelled_hears="student"), ["noisy"]),
        (StudentConfig(labelled_hears="student", student_hears="augmented"), ["clean"]),
    ],
)
def test_labelled_examples_as_the_student_hears_the_others(
    student: StudentConfig, views: list[str], suite: Path
) -> None:
    config = TrainConfig(method="noisy-student", student=student)
    part = student_parts(Roles({"train": str(suite / "train")}), config)["source"]
    assert [view.value for view in part.reading.views] == views and part.reading.tags


@pytest.mark.parametrize(
    ("student", "snrs_db", "message"),
    [
        (StudentConfig(student_hears="noisy"), (), "--student-hears noisy: expected a set with"),
        (
            StudentConfig(student_hears="noisy", teacher_hears="noisy"), (0.0,),
            "--student-hears noisy: expected both with --teacher-hears noisy",
        ),
        (
            StudentConfig(student_hears="augmented", teacher_hears="noisy"), (0.0,),
            "--student-hears augmented: expected both with --teacher-hears noisy",
        ),
        (
            StudentConfig(teacher_cache=True, teacher_hears="noisy"), (0.0,),
            "--teacher-cache: expected with --teacher-hears clean, got noisy",
        ),
    ],
)  # fmt: skip
def test_ears_that_do_not_fit(
    student: StudentConfig, snrs_db: tuple[float, ...], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        unlabelled_reading(TrainConfig(student=student), snrs_db, "set")


def test_an_unlabelled_set_gives_all_its_examples(suite: Path, tmp_path: Path) -> None:
    config = TrainConfig(method="noisy-student")
    roles = with_unlabelled(Roles({"train": str(suite / "train")}), str(suite))
    part = student_parts(roles, config)["target"]
    assert part.name == "extra-target/unlabelled" and len(part.refs) == 6
    recordings = tmp_path / "recordings"
    write_set(str(recordings), n_songs=4, excerpts=1, snrs_db=(), halves=False)
    part = student_parts(with_unlabelled(roles, str(recordings)), config)["target"]
    assert [view.value for view in part.reading.views] == ["recording"]
    write_set(str(tmp_path / "none"), n_songs=0, halves=False, name="none")
    nothing = with_unlabelled(roles, str(tmp_path / "none"))
    with pytest.raises(UsageError, match="none: expected unlabelled examples, got a set without"):
        student_parts(nothing, config)


# ---- the teacher ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tagger() -> Tagger:
    torch.manual_seed(3)
    model = ModelConfig(backbone="musicnn", chunk_s=1.0, width=0.1)
    encoder = new_encoder(model)
    predictor = LabelPredictor(encoder.n_features, len(TAGS))
    return Tagger("t", encoder.eval(), predictor.eval(), TAGS, None, model, "0" * 64, {})


def noise(n_examples: int, n_samples: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return 0.1 * torch.randn(n_examples, 1, n_samples, generator=generator)


def test_a_longer_crop_is_the_mean_of_the_chunks_around_its_middle(tagger: Tagger) -> None:
    audio, length = noise(2, 50_000), tagger.encoder.chunk_samples
    assert length == 22_050
    start = (50_000 - 2 * length) // 2
    predict = tagger.predict(torch.device("cpu"))
    halves = [
        torch.from_numpy(predict(audio[:, :, s : s + length].numpy())[0])
        for s in (start, start + length)
    ]
    teacher = Teacher(tagger, TAGS, CPU)
    torch.testing.assert_close(teacher(audio), (halves[0] + halves[1]) / 2)
    assert torch.equal(centred(audio, length)[0, 0], audio[0, 0, 13_975:36_025])


def test_columns_are_the_students_tags(tagger: Tagger) -> None:
    audio, turned = noise(2, 22_050), tuple(reversed(TAGS))
    found = Teacher(tagger, turned, CPU)(audio)
    torch.testing.assert_close(found.flip(1), Teacher(tagger, TAGS, CPU)(audio))
    assert not found.requires_grad and 0 < float(found.min()) <= float(found.max()) < 1


def test_a_crop_takes_the_chunks_that_it_overlaps() -> None:
    rows = torch.tensor([[9.0], [0.0], [1.0], [5.0]])
    predictions = Predictions(rows, {"a": (0, 1), "b": (1, 3)}, 100)
    starts = {0: 0.0, 25: 0.25, 100: 1.0, 150: 3.0, 180: 4.2, 250: 5.0, 300: 5.0}
    for start, expected in starts.items():
        found = predictions.of_crops(["b"], [start], 100)
        assert float(found) == pytest.approx(expected), start
    longer = predictions.of_crops(["b", "a"], [50, 0], 200)
    assert longer[:, 0].tolist() == pytest.approx([0.25 * 0 + 0.5 * 1 + 0.25 * 5, 9.0])


def test_predictions_are_made_once_and_kept(
    tagger: Tagger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_set(str(tmp_path / "set"), n_songs=3, excerpts=1, n_samples=50_000, snrs_db=(0.0,))
    part = make_part(load_set(str(tmp_path / "set")), UNLABELLED_CLEAN)
    teacher = Teacher(tagger, TAGS, CPU)
    found = cached_predictions(teacher, part, tmp_path, CPU)
    assert found.rows.shape == (6, len(TAGS))
    for clip in iter_clips(restrict(part.refs, ("clean",)), chunk_samples=22_050):
        alone = teacher(clip.chunks["clean"])
        for number in range(2):
            of_crop = found.of_crops([clip.ref.key], [number * 22_050], 22_050)
            torch.testing.assert_close(of_crop[0], alone[number])
    with monkeypatch.context() as patch:
        patch.setattr(Teacher, "__call__", lambda *_: pytest.fail("asked again"))
        again = cached_predictions(teacher, part, tmp_path, CPU)
    assert torch.equal(again.rows, found.rows) and again.places == found.places
    other = Teacher(replace(tagger, sha256="1" * 64), TAGS, CPU)
    cached_predictions(other, part, tmp_path, CPU)
    files = sorted(tmp_path.glob("teacher-*.safetensors"))
    assert len(files) == 2, "another teacher has a file of its own"
    for file in files:
        data = file.read_bytes()
        file.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(ManifestError, match="got others; remove the file to make them anew"):
        cached_predictions(teacher, part, tmp_path, CPU)
    files[0].write_bytes(b"x")
    files[1].write_bytes(b"x")
    with pytest.raises(ManifestError, match="expected a teacher's predictions"):
        cached_predictions(teacher, part, tmp_path, CPU)


def test_other_methods_keep_their_configs() -> None:
    """What a baseline's config says, and the hash over it, are as before."""
    record = TrainConfig(method="baseline").record()
    assert not record.keys() & {"student", "teacher", "unlabelled"}
    assert TrainConfig(method="noisy-student").record()["student"]["rounds"] == 1
