"""A teacher's predictions of all whole chunks of every clip, made once and kept beside the run.

A crop then takes the mean of the chunks that it overlaps, weighted by the overlap. That is not what
the teacher says of the crop itself, so it is an option (docs/decisions/0009-noisy-student.md).
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from manifests import store
from manifests.canonical import canonical_json, sha256_text
from manifests.errors import ManifestError
from manifests.keys import AUDIO, CLEAN
from trainer.audio_files import CHUNKS_AT_ONCE
from trainer.compute import Compute
from trainer.data import Part, iter_clips
from trainer.data.index import ExampleRef, restrict
from trainer.level import narrower_hz
from trainer.runs.progress import show_progress
from trainer.teacher import Teacher

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Predictions:
    """Probabilities of whole chunks.

    Attributes:
        rows: (n_chunks of all clips, n_tags), float32, on the CPU.
        places: by key, the first row of the clip and how many it has.
        chunk_samples: samples of a chunk; chunk k of a clip begins at k times that.
    """

    rows: torch.Tensor
    places: dict[str, tuple[int, int]]
    chunk_samples: int

    def of_crops(self, keys: Sequence[str], starts: Sequence[int], n_samples: int) -> torch.Tensor:
        """Return the probabilities of crops, (B, n_tags).

        Args:
            keys: the clips.
            starts: first sample of each crop.
            n_samples: length of the crops.
        """
        return torch.stack(
            [self._of_crop(key, start, n_samples) for key, start in zip(keys, starts, strict=True)]
        )

    def _of_crop(self, key: str, start: int, n_samples: int) -> torch.Tensor:
        first, n_chunks = self.places[key]
        begins = torch.arange(n_chunks) * self.chunk_samples
        ends = begins + self.chunk_samples
        overlap = (ends.clamp(max=start + n_samples) - begins.clamp(min=start)).clamp(min=0)
        if not overlap.any():  # within the tail that fills no chunk
            return self.rows[first + n_chunks - 1]
        weights = overlap / overlap.sum()
        return (weights[:, None] * self.rows[first : first + n_chunks]).sum(dim=0)


def cached_predictions(teacher: Teacher, part: Part, folder: Path, compute: Compute) -> Predictions:
    """Read the predictions on a part's clean members (or recordings), or make and keep them.

    Over several ranks each makes a share.

    Args:
        teacher: the teacher; it computes in float32.
        part: the unlabelled examples.
        folder: where the file goes: ``teacher-HASH.safetensors``, HASH over teacher and samples.
        compute: rank, ranks, decoding processes.

    Raises:
        ManifestError: a clip is damaged or shorter than the teacher's chunk, or the file was
            changed.
    """
    refs = restrict(part.refs, (CLEAN if part.snrs_db else AUDIO,))
    band_hz = narrower_hz(teacher.tagger.band_hz, part.band_hz) or part.band_hz
    identity = _identity(teacher, refs, band_hz)
    path = folder / f"teacher-{identity[:12]}.safetensors"
    # one answer for all ranks: the first may write while another one looks
    if compute.world.gather_counts(int(path.is_file()))[0]:
        rows = _read(path, identity)
    else:
        rows = compute.world.gather_rows(_predict(teacher, refs, band_hz, compute))
        if compute.world.is_main:
            metadata = {"identity": identity, "sha256": _digest(rows)}
            store.write_bytes(str(path), save({"probabilities": rows}, metadata))
        compute.world.barrier()
    places, first = {}, 0
    for ref in refs:
        n_chunks = ref.n_samples // teacher.chunk_samples
        places[ref.key] = first, n_chunks
        first += n_chunks
    return Predictions(rows, places, teacher.chunk_samples)


def _predict(
    teacher: Teacher, refs: Sequence[ExampleRef], band_hz: float | None, compute: Compute
) -> torch.Tensor:
    """Return the rows of this rank's share of the clips."""
    world, rows = compute.world, [torch.empty(0, len(teacher.tags))]
    clips = iter_clips(
        refs,
        chunk_samples=teacher.chunk_samples,
        rank=world.rank,
        world_size=world.size,
        n_workers=compute.system.workers,
        cache=compute.shard_cache,
        band_hz=band_hz,
    )
    n_clips = len(refs) * (world.rank + 1) // world.size - len(refs) * world.rank // world.size
    with show_progress("teacher", n_clips, quiet=not world.is_main) as show:
        for number, clip in enumerate(clips, 1):
            (chunks,) = clip.chunks.values()
            for some in torch.split(chunks, CHUNKS_AT_ONCE):
                rows.append(teacher(some.to(compute.device)).cpu())
            show(number, n_examples=1)
    return torch.cat(rows)


def _identity(teacher: Teacher, refs: Sequence[ExampleRef], band_hz: float | None) -> str:
    """Return the hash of all that decides the predictions, places on disk excepted."""
    digest = hashlib.sha256()
    for ref in refs:
        limit_hz = narrower_hz(band_hz, ref.band_hz)
        said = "" if limit_hz is None else f" below {limit_hz:g} Hz"
        digest.update(f"{ref.key} {ref.members[0].pcm_sha256}{said}\n".encode())
    whole = [teacher.tagger.sha256, asdict(teacher.tagger.model), teacher.tags, digest.hexdigest()]
    return sha256_text(canonical_json(whole))


def _digest(rows: torch.Tensor) -> str:
    return hashlib.sha256(rows.numpy().tobytes()).hexdigest()


def _read(path: Path, identity: str) -> torch.Tensor:
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            rows: torch.Tensor = file.get_tensor("probabilities")
    except (OSError, SafetensorError) as error:
        raise ManifestError(f"{path}: expected a teacher's predictions: {error}") from error
    if (metadata.get("identity"), metadata.get("sha256")) != (identity, _digest(rows)):
        raise ManifestError(
            f"{path}: expected the predictions that were written, got others; remove the file to "
            "make them anew"
        )
    return rows
