"""A trained tagger as the teacher of a noisy student: fixed, in eval mode, without gradient."""

from __future__ import annotations

from pathlib import Path

import torch

from manifests.errors import UsageError
from trainer.compute import Compute
from trainer.config import TeacherConfig
from trainer.models.freeze import freeze
from trainer.runs.checkpoint import load_checkpoint
from trainer.tagger import Tagger, load_tagger
from trainer.weights import has_checkpoint


class Teacher:
    """Gives tag probabilities of crops.

    Args:
        tagger: the trained tagger; frozen here.
        tags: the student's tags; the teacher's in any order.
        compute: device, and whether its encoder is compiled.

    Attributes:
        tagger: the trained tagger.
        tags: the columns of its answers.
        chunk_samples: samples of one of its inputs.
    """

    def __init__(self, tagger: Tagger, tags: tuple[str, ...], compute: Compute) -> None:
        self.tagger, self.tags = tagger, tags
        self.chunk_samples = tagger.encoder.chunk_samples
        self._encoder = compute.compiled(freeze(tagger.encoder.to(compute.device)))
        self._predictor = freeze(tagger.predictor.to(compute.device))
        columns = [tagger.tags.index(tag) for tag in tags]
        self._columns = torch.tensor(columns, device=compute.device)

    @torch.no_grad()
    def __call__(self, audio: torch.Tensor) -> torch.Tensor:
        """Return the probabilities of crops: the mean over their whole chunks, as in evaluation.

        Args:
            audio: (B, 1, L) with L of at least ``chunk_samples``, not levelled.

        Returns:
            (B, n_tags), float32. Chunks follow each other around the middle of the crop.
        """
        n_chunks = audio.shape[2] // self.chunk_samples
        middle = centred(audio, n_chunks * self.chunk_samples)
        chunks = middle.reshape(len(audio) * n_chunks, 1, self.chunk_samples)
        logits = self._predictor(self._encoder(self.tagger.prepare(chunks)))
        # sigmoid in float32, as everywhere: in bfloat16 it has 8 bits
        probabilities: torch.Tensor = logits.float().sigmoid()
        return probabilities.view(len(audio), n_chunks, -1).mean(dim=1)[:, self._columns]


def centred(audio: torch.Tensor, n_samples: int) -> torch.Tensor:
    """Return the middle of crops: (B, 1, L) to (B, 1, n_samples)."""
    start = (audio.shape[2] - n_samples) // 2
    return audio[:, :, start : start + n_samples]


def load_teacher(path: Path, tags: tuple[str, ...], compute: Compute) -> Teacher:
    """Load the best checkpoint of a run as a teacher; see ``find_teacher`` for the errors."""
    return Teacher(find_teacher(path, tags), tags, compute)


def find_teacher(path: Path, tags: tuple[str, ...]) -> Tagger:
    """Load a tagger that can teach.

    Args:
        path: a finished run, or a checkpoint's own folder, which is taken as it is.
        tags: the student's tags.

    Raises:
        UsageError: no checkpoint there, the run is not finished, or it has other tags.
        ManifestError: it holds no tagger, or is damaged.
    """
    tagger = load_tagger(path)
    if set(tagger.tags) != set(tags):
        lacking = sorted(set(tags) - set(tagger.tags))
        extra = sorted(set(tagger.tags) - set(tags))
        raise UsageError(
            f"--teacher {path}: expected a tagger of the {len(tags)} tags of the training set, "
            f"got {len(tagger.tags)}: lacks {lacking[:5]}, adds {extra[:5]}; train both on sets of "
            "one tags.json"
        )
    last = path / "checkpoints" / "last"
    if has_checkpoint(last):
        progress = load_checkpoint(last).progress
        if not progress["done"]:
            raise UsageError(
                f"--teacher {path}: expected a finished run, got one at step {progress['step']} of "
                f"{progress['n_steps']}; run it to its end, or name {path / 'checkpoints/best'} to "
                "take it as it is"
            )
    return tagger


def teacher_config(path: Path, tags: tuple[str, ...]) -> TeacherConfig:
    """Return what a student's config says of a teacher; see ``find_teacher`` for the errors."""
    tagger = find_teacher(path, tags)
    return TeacherConfig(str(tagger.card["method"]), tagger.model)
