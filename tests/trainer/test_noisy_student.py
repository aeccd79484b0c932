"""``train noisy-student`` through the command line, on a whole small suite."""

from __future__ import annotations

import io
import signal
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from test_resume import KILL_9, plain
from tiny_interrupt import KilledError, interrupt
from tiny_sets import TAGS, write_set
from tiny_students import NOISY, QUICK
from tiny_suite import (
    SAMPLES,
    SET,
    TRAIN_SET,
    assert_same_weights,
    run,
    run_well,
    song_tags,
    start,
    values,
)

import trainer.keeper
import trainer.noisy_student as stage
from manifests.member_audio import decode_pcm
from manifests.rows import CHUNK_SAMPLES
from trainer.data import Batch
from trainer.runs.checkpoint import load_checkpoint
from trainer.runs.folder import read_config
from trainer.student_audio import Answers
from trainer.tagger import load_tagger
from trainer.teacher import Teacher, load_teacher


@pytest.fixture
def shared(suite: Path, dat_run: Path) -> tuple[object, ...]:
    """A student with stage 1 and teacher given, so that it alone is trained."""
    given = ("--encoder", dat_run, "--teacher", dat_run)
    return ("noisy-student", "--shards", suite, *QUICK, *given)


@pytest.fixture
def save_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trainer.keeper, "SAVE_EVERY_S", 0.0)
    monkeypatch.setattr(trainer.keeper, "LOG_EVERY", 1)


# ---- a whole run -----------------------------------------------------------------------


def test_teacher_rounds_and_what_uses_the_run(suite: Path, dat_run: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    command = ("noisy-student", "--shards", suite, "--encoder", dat_run, *QUICK)
    run_well(*command, "--out", out, "--rounds", "2")
    steps, cards = {}, {}
    for folder in ("teacher", "round-1", "."):
        last = load_checkpoint(out / folder / "checkpoints/last").progress
        steps[folder] = (last["n_steps"], last["done"], last["stage"], last["method"])
        cards[folder] = load_tagger(out / folder)
    assert steps == {
        "teacher": (4, True, "baseline", "baseline"),
        "round-1": (4, True, "round-1", "noisy-student"),
        ".": (4, True, "noisy-student", "noisy-student"),
    }
    assert cards["round-1"].card["teacher_sha256"] == cards["teacher"].sha256
    assert cards["."].card["teacher_sha256"] == cards["round-1"].sha256
    assert cards["."].tags == TAGS and cards["."].card["round"] == 2
    config = read_config(out)
    assert config["teacher"] == {"method": "baseline", "model": config["model"]}
    assert config["unlabelled"] == "" and config["student"]["rounds"] == 2
    for name in ("tag", "pseudo", "loss", "snr_low_db"):
        assert len(values(out, f"train/{name}")) == 2 == len(values(out, "valid/auc_mean"))
    taggers = [out, out / "teacher", out / "round-1"]
    for one in taggers:
        run_well("evaluate", "--checkpoint", one, "--shards", suite / "test-musan")
    shown = run_well("compare", *taggers, "--out", tmp_path / "table").output.splitlines()
    assert {"run", "run/teacher", "run/round-1"} <= {line.split()[0] for line in shown if line}
    curves = (tmp_path / "table" / "training-run.svg").read_text()
    assert all(f"Stage {name}<" in curves for name in ("baseline", "round-1", "noisy-student"))
    write_recording(tmp_path / "a.wav")
    assert "a.wav: " in run_well("tag", tmp_path / "a.wav", "--checkpoint", out).output


def write_recording(path: Path) -> None:
    """Three seconds of noise as WAV."""
    import soundfile

    soundfile.write(path, 0.1 * np.random.default_rng(0).standard_normal(SAMPLES), 22_050)


def test_the_teacher_stays_as_it_is_and_learns_nothing(
    shared: tuple[object, ...], dat_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    teachers: list[Teacher] = []

    def load(*arguments: Any) -> Teacher:
        teachers.append(load_teacher(*arguments))
        return teachers[-1]

    monkeypatch.setattr(stage, "load_teacher", load)
    run_well(*shared, "--out", tmp_path / "run", *NOISY)
    (teacher,), before = teachers, load_tagger(dat_run)
    for now, then in (
        (teacher.tagger.encoder, before.encoder),
        (teacher.tagger.predictor, before.predictor),
    ):
        found, expected = now.state_dict(), then.state_dict()
        assert any("running_mean" in name for name in expected) or now is teacher.tagger.predictor
        assert all(torch.equal(found[name], value) for name, value in expected.items())
        assert not now.training
        assert all(p.grad is None and not p.requires_grad for p in now.parameters())
    after = load_checkpoint(tmp_path / "run/checkpoints/last").weights
    began = load_checkpoint(dat_run / "encoder/checkpoints/best").weights
    assert not torch.equal(after["encoder/first.conv.weight"], began["encoder/first.conv.weight"])


def members_of(folder: Path) -> dict[str, dict[str, Any]]:
    """Every audio member of a set by key and name, (n_samples,), int16."""
    found: dict[str, dict[str, Any]] = {}
    for path in sorted(folder.glob("*.tar")):
        with tarfile.open(path) as archive:
            for info in archive:
                key, _, rest = info.name.partition(".")
                if rest.endswith(".wav"):
                    data = archive.extractfile(info)
                    assert data is not None
                    pcm, _ = decode_pcm(io.BytesIO(data.read()).getvalue(), info.name, SAMPLES)
                    found.setdefault(key, {})[rest.removesuffix(".wav")] = pcm
    return found


def place(crop: Any, whole: Any) -> list[int]:
    """Where a crop lies in a member."""
    first = np.flatnonzero(whole[: len(whole) - len(crop) + 1] == crop[0])
    return [int(s) for s in first if np.array_equal(whole[s : s + len(crop)], crop)]


def test_the_teacher_hears_clean_and_the_student_noisy(
    shared: tuple[object, ...], suite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found again in the shards' members: the same crop, clean there and noisy here."""
    heard: list[tuple[str, torch.Tensor, torch.Tensor]] = []
    asked: list[tuple[Batch, torch.Tensor]] = []
    ask, hear, losses = Answers.__call__, Teacher.__call__, stage.noisy_student_losses

    def teach(self: Teacher, audio: torch.Tensor) -> torch.Tensor:
        asked[-1] = (asked[-1][0], audio)
        return hear(self, audio)

    def answer(self: Answers, batch: Batch) -> torch.Tensor:
        asked.append((batch, torch.empty(0)))
        return ask(self, batch)

    def learn(e: Any, p: Any, a: Any, y: Any, unlabelled: Any, *rest: Any, **more: Any) -> Any:
        batch, teacher_audio = asked[-1]
        heard.extend(zip(batch.keys, teacher_audio[:, 0], unlabelled[:, 0], strict=True))
        return losses(e, p, a, y, unlabelled, *rest, **more)

    monkeypatch.setattr(Teacher, "__call__", teach)
    monkeypatch.setattr(Answers, "__call__", answer)
    monkeypatch.setattr(stage, "noisy_student_losses", learn)
    as_is = ("--input-level", "asis", "--encoder", "random", "--snr-draw", "stored")
    run_well(*shared, *as_is, *NOISY, "--out", tmp_path / "run")
    members = members_of(suite / "train")
    assert len(heard) == 4 * 4
    for key, teacher_audio, student_audio in heard:
        clean, noisy = (
            (audio * 32_768).round().short().numpy() for audio in (teacher_audio, student_audio)
        )
        assert len(clean) == len(noisy) == CHUNK_SAMPLES
        places = {name: place(noisy, pcm) for name, pcm in members[key].items()}
        (rung,) = [name for name, found in places.items() if found]
        assert rung.startswith("noisy.snr_")
        assert place(clean, members[key]["clean"]) == places[rung], "one crop for both"


def test_tags_of_unlabelled_examples_are_never_read(
    shared: tuple[object, ...], tmp_path: Path
) -> None:
    other = tmp_path / "train"
    write_set(str(other), n_songs=8, **TRAIN_SET, tags=song_tags(1, of_targets_only=True))
    run_well(*shared, "--out", tmp_path / "a", *NOISY)
    run_well(*shared, "--set", f"train={other}", "--out", tmp_path / "b", *NOISY)
    assert_same_weights(tmp_path / "b/checkpoints/last", tmp_path / "a/checkpoints/last")


def test_other_sets_other_networks_and_kept_answers(
    shared: tuple[object, ...], suite: Path, tmp_path: Path
) -> None:
    """Distillation into another backbone with longer inputs, from real recordings."""
    recordings = tmp_path / "recordings"
    options = {**SET, "snrs_db": (), "corpus": "real", "n_songs": 6}
    write_set(str(recordings), halves=False, name="real", **options)
    out = tmp_path / "run"
    command = (
        *shared, "--encoder", "random", "--backbone", "musicnn", "--width", "0.05", "--out", out,
        "--unlabelled-shards", recordings, "--teacher-cache", "--epochs", "1",
    )  # fmt: skip
    run_well(*command)
    config = read_config(out)
    assert config["unlabelled"] == "real 000000000000"
    assert config["teacher"]["model"]["backbone"] == "samplecnn" != config["model"]["backbone"]
    assert len(list(out.glob("teacher-*.safetensors"))) == 1
    assert not values(out, "train/snr_low_db"), "recordings have no SNR"
    again = (*command[:-2], "--unlabelled-shards", suite, "--out", out)
    refused = run(*again, "--epochs", "1")
    assert refused.exit_code == 2 and 'unlabelled: has "real 000000000000"' in refused.output


@pytest.mark.parametrize(
    ("name", "step", "rounds"),
    [("noisy-student", 3, 1), pytest.param("round-1", 3, 2, marks=pytest.mark.slow)],
)
@pytest.mark.usefixtures("save_often")
def test_a_stopped_run_ends_with_the_same_bits(
    shared: tuple[object, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    step: int,
    rounds: int,
) -> None:
    command = (*shared, "--rounds", rounds, "--labelled-hears", "student")
    run_well(*command, "--out", tmp_path / "whole")
    with monkeypatch.context() as patch, pytest.raises(KilledError):
        interrupt(patch, name, step)
        run(*command, "--out", tmp_path / "cut")
    run_well(*command, "--out", tmp_path / "cut", "--resume")
    for folder in ("round-1", ".")[-rounds:]:
        whole, cut = tmp_path / "whole" / folder, tmp_path / "cut" / folder
        for checkpoint in ("last", "best"):
            assert_same_weights(
                cut / "checkpoints" / checkpoint, whole / "checkpoints" / checkpoint
            )
        assert plain(cut) == plain(whole)


@pytest.mark.slow
@pytest.mark.usefixtures("save_often")
def test_kill_9_of_teacher_and_students(suite: Path, dat_run: Path, tmp_path: Path) -> None:
    command = ("noisy-student", "--shards", suite, "--encoder", dat_run, *QUICK, "--rounds", "2")
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    run_well(*command, "--out", whole)
    for death in ("baseline 3", "round-1 2", "noisy-student 4"):
        process = start((*command, "--out", cut), KILL_9, DIES_AT=death)
        output = process.communicate(timeout=600)[0]
        assert process.returncode == -signal.SIGKILL, output
    run_well(*command, "--out", cut, "--resume")
    for folder in ("teacher", "round-1", "."):
        for name in ("last", "best"):
            checkpoint = Path(folder) / "checkpoints" / name
            assert_same_weights(cut / checkpoint, whole / checkpoint)
    assert plain(cut) == plain(whole)
